//! Holds who may use whom, and what must be absent, against `cargo metadata`.
//!
//! - The direction of dependencies is the architecture: `ARCHITECTURE.md` says why, this test says no.
//! - Absence counts through every normal and build dependency, however deep; what only tests use does not ship.
//! - Needs no network: it asks about the platform it was built for, whose packages are there.
//! - Must never: be made to pass by loosening a list here without the matching change of `ARCHITECTURE.md`.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who uses whom of ours, exactly: crate, folder, its dependencies.
const DIRECTION: &[(&str, &str, &[&str])] = &[
    ("daybook-vocabulary", "engine/vocabulary", &[]),
    ("daybook-journal", "journal", &[]),
    ("daybook-config", "config", &["daybook-vocabulary"]),
    ("daybook-features", "features", &["daybook-vocabulary"]),
    ("daybook-core", "engine/core", &["daybook-config", "daybook-features", "daybook-vocabulary"]),
    (
        "daybook-inference",
        "learner/inference",
        &["daybook-config", "daybook-core", "daybook-features", "daybook-vocabulary"],
    ),
    (
        "daybook-train",
        "learner/train",
        &["daybook-core", "daybook-features", "daybook-inference", "daybook-vocabulary"],
    ),
    ("daybook-adapters", "adapters", &["daybook-journal", "daybook-vocabulary"]),
    (
        "daybook-replay",
        "replay",
        &[
            "daybook-adapters",
            "daybook-config",
            "daybook-core",
            "daybook-features",
            "daybook-inference",
            "daybook-journal",
            "daybook-train",
            "daybook-vocabulary",
        ],
    ),
    (
        "daybook",
        "",
        &[
            "daybook-adapters",
            "daybook-config",
            "daybook-core",
            "daybook-features",
            "daybook-inference",
            "daybook-journal",
            "daybook-replay",
            "daybook-train",
            "daybook-vocabulary",
        ],
    ),
];

/// What a crate does without, however deep: crate, packages, why.
const ABSENCES: &[(&[&str], &[&str], &str)] = &[
    (
        &["daybook-vocabulary", "daybook-journal", "daybook-config", "daybook-features", "daybook-core"],
        &["tokio", "mio", "hyper", "rustls", "reqwest", "tungstenite"],
        "only `adapters` and the binary's wiring see sockets (I4)",
    ),
    (
        &["daybook-vocabulary", "daybook-journal", "daybook-config", "daybook-features", "daybook-core"],
        &["parquet", "arrow", "arrow-ipc", "arrow-array", "flate2"],
        "foreign files are read in `adapters`, where a damaged one is contained",
    ),
    (
        &[
            "daybook-vocabulary",
            "daybook-journal",
            "daybook-config",
            "daybook-features",
            "daybook-core",
            "daybook-inference",
        ],
        &["candle-core", "candle-nn"],
        "deciding does not need a training library",
    ),
    (
        &["daybook-inference", "daybook-train"],
        &["tokio", "mio", "hyper", "rustls", "reqwest", "tungstenite", "daybook-adapters"],
        "the learner cannot reach a broker (I3)",
    ),
    (
        &["daybook-vocabulary", "daybook-journal", "daybook-config", "daybook-adapters"],
        &["arrow2"],
        "arrow2 reads and writes our own columns in `features`, never bytes from outside",
    ),
    (
        &["daybook-vocabulary", "daybook-config", "daybook-features", "daybook-core"],
        &["sled", "memmap2", "rustix", "tempfile"],
        "the core does no I/O (I1); caches and files of the journal are the journal's",
    ),
    (
        &["daybook-vocabulary", "daybook-config", "daybook-features", "daybook-core", "daybook-journal"],
        &["rand", "fastrand", "tracing-subscriber", "indicatif", "clap"],
        "randomness comes from the state (I1); talking to people is the binary's work",
    ),
];

/// Packages with one owner among our crates.
const OWNERS: &[(&str, &str, &str)] = &[
    ("parquet", "daybook-adapters", "foreign files are read in one place"),
    ("arrow", "daybook-adapters", "foreign files are read in one place"),
    ("arrow2", "daybook-features", "it must never meet bytes from outside (RUSTSEC-2025-0038)"),
    ("sled", "daybook-journal", "a cache that may be deleted, behind the journal's index"),
    ("memmap2", "daybook-journal", "the one place with `unsafe`"),
    ("getrandom", "daybook-journal", "file ids and keys; nothing else is random"),
    ("rkyv", "daybook-vocabulary", "payloads are encoded and decoded in one place"),
    ("clap", "daybook", "the command line is the binary's"),
    ("candle-core", "daybook-train", "training happens in one place"),
];

/// What a dependency is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Ships,
    Tests,
}

struct Graph {
    /// Name and version of each package by its id.
    packages: BTreeMap<String, (String, String)>,
    /// What each package uses.
    uses: BTreeMap<String, Vec<(String, Use)>>,
    /// Our crates: name to id.
    ours: BTreeMap<String, String>,
    /// Requirements as written: crate, dependency, requirement.
    requirements: Vec<(String, String, String)>,
}

#[test]
fn our_crates_use_each_other_exactly_as_the_map_says() {
    let graph = Graph::load();
    let mapped: BTreeSet<&str> = DIRECTION.iter().map(|(name, ..)| *name).collect();
    let found: BTreeSet<&str> = graph.ours.keys().map(String::as_str).collect();
    assert_eq!(found, mapped, "a crate came or went: say in DIRECTION and ARCHITECTURE.md who may use it");
    for (name, _, expected) in DIRECTION {
        let expected: BTreeSet<&str> = expected.iter().copied().collect();
        let ships = graph.direct_of_ours(name, Use::Ships);
        assert_eq!(ships, expected, "{name} must use exactly these of our crates; see the code map of ARCHITECTURE.md");
        let tests = graph.direct_of_ours(name, Use::Tests);
        assert!(tests.is_subset(&expected), "the tests of {name} may use {expected:?} of our crates, not {tests:?}");
    }
}

#[test]
fn what_must_be_absent_is_absent_however_deep() {
    let graph = Graph::load();
    for (crates, packages, why) in ABSENCES {
        for name in *crates {
            let reached = graph.reached(name);
            for package in *packages {
                assert!(
                    !reached.contains_key(*package),
                    "{}: {why}; move what needs it to another crate",
                    graph.path(name, package)
                );
            }
        }
    }
}

#[test]
fn some_packages_have_one_owner() {
    let graph = Graph::load();
    for (package, owner, why) in OWNERS {
        let users = graph.direct_users(package);
        assert_eq!(users, BTreeSet::from([*owner]), "only {owner} uses {package}: {why}");
    }
}

#[test]
fn versions_that_matter_are_held() {
    let graph = Graph::load();
    let rkyv = graph.version("rkyv").expect("vocabulary encodes with rkyv");
    assert!(rkyv >= (0, 8, 17), "rkyv {rkyv:?}: below 0.8.17 its validation has holes (RUSTSEC-2026-0001 and later)");
    for (name, _, requirement) in graph.requirements.iter().filter(|(_, dependency, _)| dependency == "libm") {
        assert!(
            requirement.starts_with('='),
            "{name} asks for libm {requirement}: pin it exactly (libm.workspace = true), or another release changes bits (I8)"
        );
    }
}

/// The journal appears in adapters for one word: what consumes a `Durable` may send it.
#[test]
fn adapters_use_only_durable_of_the_journal() {
    let sources = rust_files(&root().join("adapters/src"));
    assert!(!sources.is_empty(), "adapters has sources");
    for path in sources {
        let text = std::fs::read_to_string(&path).expect("a source file is readable");
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for (at, name) in line.match_indices("daybook_journal") {
                let rest = &line[at + name.len()..];
                let word = rest.strip_prefix("::").and_then(|rest| rest.strip_prefix("Durable"));
                assert!(
                    word.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')),
                    "{}:{}: adapters may name `daybook_journal::Durable` and nothing else of the journal",
                    path.display(),
                    index + 1
                );
            }
        }
    }
}

#[test]
fn every_direct_dependency_has_its_line() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    let (_, section) = text.split_once("\n## Dependencies\n").expect("ARCHITECTURE.md has a section `## Dependencies`");
    let section = section.split("\n## ").next().unwrap_or(section);
    let named: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    let graph = Graph::load();
    let is_ours = |name: &str| graph.ours.contains_key(name);
    let direct: BTreeSet<&str> = graph
        .requirements
        .iter()
        .map(|(_, dependency, _)| dependency.as_str())
        .filter(|dependency| !is_ours(dependency))
        .collect();
    let missing: Vec<_> = direct.difference(&named).collect();
    assert!(missing.is_empty(), "say in ARCHITECTURE.md, section Dependencies, why these are there: {missing:?}");
    let stale: Vec<_> = named.difference(&direct).collect();
    assert!(stale.is_empty(), "ARCHITECTURE.md explains dependencies that nobody has any more: {stale:?}");
}

#[test]
fn every_crate_obeys_the_workspace_lints_and_versions() {
    for (name, folder, _) in DIRECTION {
        let path = root().join(folder).join("Cargo.toml");
        let text = std::fs::read_to_string(&path).expect("a crate of ours has a manifest");
        assert!(
            text.contains("[lints]\nworkspace = true\n"),
            "{name}: without `[lints]` and `workspace = true` in {} nothing of clippy.toml holds there",
            path.display()
        );
        if folder.is_empty() {
            continue;
        }
        let mut section = "";
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('[') {
                section = line;
            }
            let names_one = section.ends_with("dependencies]") && line.contains('=');
            assert!(
                !names_one || line.contains("workspace = true"),
                "{}:{}: versions stand once, in the root's Cargo.toml; write NAME.workspace = true",
                path.display(),
                index + 1
            );
        }
    }
}

impl Graph {
    fn load() -> Self {
        let output = cargo(&[
            "metadata",
            "--offline",
            "--locked",
            "--format-version",
            "1",
            "--filter-platform",
            &host(),
            "--manifest-path",
            root().join("Cargo.toml").to_str().expect("the checkout's path is UTF-8"),
        ]);
        let metadata: Value = serde_json::from_str(&output).expect("cargo metadata prints JSON");
        let mut graph =
            Self { packages: BTreeMap::new(), uses: BTreeMap::new(), ours: BTreeMap::new(), requirements: Vec::new() };
        for package in list(&metadata["packages"]) {
            let (id, name) = (text(&package["id"]), text(&package["name"]));
            graph.packages.insert(id.clone(), (name.clone(), text(&package["version"])));
            if package["source"].is_null() {
                graph.ours.insert(name.clone(), id);
                let direct = list(&package["dependencies"]).iter();
                graph.requirements.extend(direct.map(|one| (name.clone(), text(&one["name"]), text(&one["req"]))));
            }
        }
        for node in list(&metadata["resolve"]["nodes"]) {
            graph.uses.insert(text(&node["id"]), list(&node["deps"]).iter().flat_map(uses_of).collect());
        }
        assert!(graph.ours.len() > 1 && graph.packages.len() > graph.ours.len(), "cargo metadata knows the workspace");
        graph
    }

    fn name(&self, id: &str) -> &str {
        &self.packages[id].0
    }

    fn version(&self, name: &str) -> Option<(u64, u64, u64)> {
        let (_, version) = self.packages.values().find(|(found, _)| found == name)?;
        let mut parts = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
        Some((parts.next()?, parts.next()?, parts.next()?))
    }

    fn direct_of_ours(&self, name: &str, wanted: Use) -> BTreeSet<&str> {
        self.uses[&self.ours[name]]
            .iter()
            .filter(|(id, kind)| *kind == wanted && self.ours.contains_key(self.name(id)))
            .map(|(id, _)| self.name(id))
            .collect()
    }

    fn direct_users(&self, package: &str) -> BTreeSet<&str> {
        self.ours
            .iter()
            .filter(|(_, id)| {
                self.uses[*id].iter().any(|(used, kind)| *kind == Use::Ships && self.name(used) == package)
            })
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Every package that ships with a crate of ours, and the one that brings it in.
    fn reached(&self, name: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.ours[name].clone()];
        while let Some(id) = open.pop() {
            for (used, kind) in &self.uses[&id] {
                if *kind == Use::Ships && !found.contains_key(self.name(used)) {
                    found.insert(self.name(used).to_owned(), self.name(&id).to_owned());
                    open.push(used.clone());
                }
            }
        }
        found
    }

    /// How a crate of ours comes to a package, for the message: `ours → one → another → package`.
    fn path(&self, name: &str, package: &str) -> String {
        let reached = self.reached(name);
        let mut steps = vec![package.to_owned()];
        while let Some(by) = reached.get(steps.last().expect("never empty")).filter(|by| *by != name) {
            steps.push(by.clone());
        }
        steps.push(name.to_owned());
        steps.reverse();
        steps.join(" → ")
    }
}

fn uses_of(dependency: &Value) -> Vec<(String, Use)> {
    let id = text(&dependency["pkg"]);
    let kinds = list(&dependency["dep_kinds"]).iter();
    let of = |kind: &Value| if kind["kind"] == "dev" { Use::Tests } else { Use::Ships };
    kinds.map(|kind| (id.clone(), of(kind))).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).expect("cargo metadata has a list here")
}

fn text(value: &Value) -> String {
    value.as_str().expect("cargo metadata has a text here").to_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The platform this test was built for, as cargo names it.
fn host() -> String {
    let output = cargo(&["-vV"]);
    let line = output.lines().find_map(|line| line.strip_prefix("host: "));
    line.expect("`cargo -vV` names its host").to_owned()
}

fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).args(arguments).current_dir(root()).output().expect("cargo can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`cargo {}` failed: {errors}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a source folder is readable") {
        let path = entry.expect("a source folder is readable").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
