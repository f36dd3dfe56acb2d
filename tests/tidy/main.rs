//! The house rules, read off the files themselves.
//!
//! - Each rule is a function from a file to what is wrong with it, with its line and what to do.
//! - Each rule is tried on a planted violation below: a rule that cannot fail is no rule.
//! - An exception stands in a list here, by file, with its reason; one that is no longer needed fails too.
//! - Must never: read what is not part of the tree (build outputs, journals, runs).

mod source;

use source::{code_of, functions, line_at, without_tests, words};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// A file longer than this cannot be kept in mind.
const FILE_LINES_MAX: usize = 800;
/// A function longer than this does not fit a screen.
const FUNCTION_LINES_MAX: usize = 70;
/// A test may tell a longer story.
const TEST_FUNCTION_LINES_MAX: usize = 100;

/// Words that code in a folder may not use: folder, words, why.
const BANNED_WORDS: &[(&str, &[&str], &str)] = &[
    ("engine/", CLOCKS, "the core's now is the frame's time (I1)"),
    ("features/src/", CLOCKS, "a feature is a function of the bars it has seen"),
    ("config/src/", CLOCKS, "a question about reference data names its date"),
    ("engine/", UNORDERED, "their order changes from run to run (I7); use a BTreeMap or a Vec by index"),
    ("features/src/", UNORDERED, "their order changes from run to run (I7); use a BTreeMap or a Vec by index"),
    ("journal/src/", UNORDERED, "their order changes from run to run (I7); use a BTreeMap or a Vec by index"),
    ("engine/", OUTSIDE, "the core does no I/O and spawns nothing (I1); return an output instead"),
    ("engine/", FLOATS, "prices, quantities and money are exact (I6); floats live in features"),
    ("journal/src/", FLOATS, "the journal holds bytes; nothing in it is a float"),
    ("journal/src/", TRADING, "the journal knows nothing of trading (I2); pass a callback"),
];
const CLOCKS: &[&str] = &["SystemTime", "Instant::now", "UNIX_EPOCH", "Utc::now", "Local::now"];
const UNORDERED: &[&str] = &["HashMap", "HashSet", "RandomState", "rand", "thread_rng", "fastrand"];
const OUTSIDE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "println",
    "eprintln",
    "print",
    "eprint",
    "stdout",
    "stderr",
    "getrandom",
];
const FLOATS: &[&str] = &["f32", "f64"];
const TRADING: &[&str] = &["Candle", "Price", "Quantity", "Instrument", "Symbol", "Strategy", "Interval"];

/// Files that may use banned words: file, words, why.
const WORD_EXCEPTIONS: &[(&str, &[&str], &str)] = &[
    ("engine/core/src/policy/features.rs", &["f32"], "it hands windows of features to what computes with them"),
    ("engine/core/src/strategy/intraday.rs", &["f64"], "it compares an RSI, which is a feature, with its bounds"),
    (
        "engine/vocabulary/src/decision.rs",
        &["f32"],
        "a model's numbers are journaled as the bits of the float they are",
    ),
    ("engine/vocabulary/src/decimal.rs", &["f64"], "the one named door between floats and exact numbers"),
    ("engine/vocabulary/src/units.rs", &["f64"], "prices and quantities leave for features through the same door"),
];

/// Files with `unsafe`, and why.
const UNSAFE_FILES: &[(&str, &str)] = &[
    ("learner/inference/src/encoder.rs", "calls its builds for AVX2 and AVX-512 with the proof that they are there"),
    ("learner/inference/src/simd.rs", "vector instructions behind tokens that prove them"),
    ("learner/train/src/network/gradient.rs", "the same for the derivative"),
    ("journal/src/storage/files.rs", "maps the committed bytes of a file, read-only"),
    ("journal/src/triple.rs", "calls the processor's crc32 instruction after asking whether it is there"),
];

/// Something wrong in a file.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// A file of the tree.
struct File {
    /// Relative to the root, with forward slashes.
    path: String,
    text: String,
    /// The text without comments and literals, of Rust files.
    code: String,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") { code_of(text) } else { String::new() };
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// All of the file is for tests or measurements.
    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let folders = format!("/{}", self.path);
        ["/tests/", "/benches/", "/testing/"].iter().any(|folder| folders.contains(folder))
            || name == "tests.rs"
            || name.ends_with("_tests.rs")
    }

    fn at(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, what: what.into() }
    }
}

#[test]
fn the_tree_is_tidy() {
    let files = tree();
    assert!(files.iter().filter(|file| file.is_rust()).count() > 20, "the tree was found");
    let mut findings: Vec<Finding> = files.iter().flat_map(findings_in).collect();
    findings.extend(links(&files));
    findings.extend(shown_files(&files));
    findings.extend(idle_exceptions(&files));
    let text: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(text.is_empty(), "{} places are not tidy:\n{}", text.len(), text.join("\n"));
}

fn findings_in(file: &File) -> Vec<Finding> {
    let mut found = Vec::new();
    if file.is_rust() {
        found.extend(says_what_it_is(file));
        found.extend(is_short(file));
        found.extend(has_short_functions(file));
        found.extend(is_finished(file));
        found.extend(gives_reasons(file));
        found.extend(has_no_unsafe(file));
        found.extend(uses_no_banned_words(file));
        found.extend(obeys_the_lints(file));
    }
    if file.is_markdown() {
        found.extend(has_one_title(file));
    }
    found.extend(has_no_trailing_space(file));
    found.extend(names_no_machine(file));
    found
}

fn says_what_it_is(file: &File) -> Option<Finding> {
    let first = file.text.lines().next().unwrap_or_default();
    let says = first.strip_prefix("//!").is_some_and(|rest| rest.trim().len() > 10);
    (!says).then(|| file.at(1, "begin the file with `//!`: what it is, its invariants, what it must never do"))
}

fn is_short(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    (lines > FILE_LINES_MAX).then(|| file.at(lines, format!("{lines} lines; split it by role below {FILE_LINES_MAX}")))
}

fn has_short_functions(file: &File) -> Vec<Finding> {
    let tests_from = line_at(&file.code, without_tests(&file.code).len());
    let limit = |line: usize| {
        if file.is_test() || line > tests_from { TEST_FUNCTION_LINES_MAX } else { FUNCTION_LINES_MAX }
    };
    functions(&file.code)
        .into_iter()
        .filter(|function| function.lines > limit(function.line))
        .map(|function| {
            let (name, lines, limit) = (&function.name, function.lines, limit(function.line));
            file.at(function.line, format!("`{name}` has {lines} lines; give its steps names, {limit} at most"))
        })
        .collect()
}

fn is_finished(file: &File) -> Vec<Finding> {
    ["todo", "unimplemented", "dbg"]
        .iter()
        .flat_map(|word| words(&file.code, word).map(move |at| (word, at)))
        .filter(|(word, at)| file.code[at + word.len()..].starts_with('!'))
        .map(|(word, at)| file.at(line_at(&file.code, at), format!("`{word}!` is not for the tree; finish it")))
        .collect()
}

fn gives_reasons(file: &File) -> Vec<Finding> {
    ["allow", "expect"]
        .iter()
        .flat_map(|word| words(&file.code, word).map(move |at| (word, at)))
        .filter(|(_, at)| is_attribute(&file.code[..*at]))
        .filter(|(word, at)| !arguments(&file.code[at + word.len()..]).contains("reason"))
        .map(|(word, at)| {
            file.at(line_at(&file.code, at), format!("`{word}` without a reason; add reason = \"…\" or fix the cause"))
        })
        .collect()
}

/// True when what comes next stands inside an attribute, directly or in its `cfg_attr`.
fn is_attribute(before: &str) -> bool {
    let begin = before.trim_end();
    if begin.ends_with("#[") || begin.ends_with("#![") {
        return true;
    }
    begin.rfind("cfg_attr(").is_some_and(|at| begin.ends_with(',') && !begin[at..].contains(']'))
}

/// What stands between the parentheses that follow.
fn arguments(code: &str) -> &str {
    let mut depth = 0i32;
    let end = code.char_indices().find(|&(_, letter)| {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    &code[..end.map_or(code.len(), |(at, _)| at)]
}

fn has_no_unsafe(file: &File) -> Vec<Finding> {
    if UNSAFE_FILES.iter().any(|(path, _)| *path == file.path) {
        return Vec::new();
    }
    words(&file.code, "unsafe")
        .map(|at| file.at(line_at(&file.code, at), "`unsafe` outside the files of UNSAFE_FILES; do without it"))
        .collect()
}

fn uses_no_banned_words(file: &File) -> Vec<Finding> {
    if file.is_test() {
        return Vec::new();
    }
    let code = without_tests(&file.code);
    let excepted = |word: &str| {
        let mut exceptions = WORD_EXCEPTIONS.iter().filter(|(path, ..)| *path == file.path);
        exceptions.any(|(_, words, _)| words.contains(&word))
    };
    let mut found = Vec::new();
    for (_, banned, why) in BANNED_WORDS.iter().filter(|(folder, ..)| file.path.starts_with(folder)) {
        for word in banned.iter().filter(|word| !excepted(word)) {
            found.extend(words(code, word).map(|at| file.at(line_at(code, at), format!("`{word}`: {why}"))));
        }
    }
    found
}

/// Where `clippy.toml` holds without exception.
fn obeys_the_lints(file: &File) -> Vec<Finding> {
    let strict = ["engine/", "features/", "config/"].iter().any(|folder| file.path.starts_with(folder));
    if !strict || file.is_test() {
        return Vec::new();
    }
    let code = without_tests(&file.code);
    ["disallowed_methods", "disallowed_types"]
        .iter()
        .flat_map(|lint| words(code, lint))
        .map(|at| file.at(line_at(code, at), "what clippy.toml bans has no exceptions here; do without it"))
        .collect()
}

fn has_one_title(file: &File) -> Vec<Finding> {
    let titles: Vec<usize> =
        prose(&file.text).filter(|(_, line)| line.starts_with("# ")).map(|(number, _)| number).collect();
    match titles.as_slice() {
        [_] => Vec::new(),
        [] => vec![file.at(1, "no title; begin with one line `# …`")],
        [_, more @ ..] => more.iter().map(|&line| file.at(line, "a second title; use `## …`")).collect(),
    }
}

/// Lines of a Markdown text outside its code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        let shown = !inside && !fence;
        inside ^= fence;
        shown.then_some((index + 1, line))
    })
}

fn links(files: &[File]) -> Vec<Finding> {
    let root = root();
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.is_markdown()) {
        for (line, target) in link_targets(&file.text) {
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
            let place = if path.is_empty() { PathBuf::from(&file.path) } else { folder.join(path) };
            if !root.join(&place).exists() && !files.iter().any(|other| Path::new(&other.path) == place) {
                found.push(file.at(line, format!("the link to {target} leads nowhere; correct or remove it")));
                continue;
            }
            let other = files.iter().find(|other| Path::new(&other.path) == place && other.is_markdown());
            if let Some(other) = other.filter(|other| !anchor.is_empty() && !anchors(&other.text).contains(anchor)) {
                found.push(file.at(line, format!("{} has no heading #{anchor}; correct the link", other.path)));
            }
        }
    }
    found
}

/// Targets of links that stay in the tree, with their lines.
fn link_targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let outside_code: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        for (at, _) in outside_code.match_indices("](") {
            let target: String = outside_code[at + 2..].chars().take_while(|&letter| letter != ')').collect();
            if !target.contains("://") && !target.starts_with("mailto:") {
                found.push((number, target));
            }
        }
    }
    found
}

fn anchors(text: &str) -> BTreeSet<String> {
    let anchor = |title: &str| {
        let kept = title.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect::<String>().to_lowercase()
    };
    prose(text)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| anchor(line.trim_start_matches('#').trim()))
        .collect()
}

/// A block that says `<!-- file: PATH -->` in the line before shows that file, to the letter.
fn shown_files(files: &[File]) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.is_markdown()) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(path) = line.strip_prefix("<!-- file: ").and_then(|rest| rest.strip_suffix(" -->")) else {
                continue;
            };
            let block = lines[index + 1..].iter().skip(1).take_while(|line| !line.starts_with("```"));
            let shown: String = block.map(|line| format!("{line}\n")).collect();
            match files.iter().find(|other| other.path == path) {
                None => found.push(file.at(index + 1, format!("there is no file {path} to show"))),
                Some(other) if other.text != shown => {
                    found.push(file.at(index + 1, format!("the block below is not {path} any more; copy it anew")));
                }
                Some(_) => {}
            }
        }
    }
    found
}

/// Exceptions that no file needs any more.
fn idle_exceptions(files: &[File]) -> Vec<Finding> {
    let code = |path: &str| files.iter().find(|file| file.path == path).map_or("", |file| file.code.as_str());
    let excepted = WORD_EXCEPTIONS.iter().flat_map(|(path, words, _)| words.iter().map(move |word| (*path, *word)));
    let unsafe_files = UNSAFE_FILES.iter().map(|(path, _)| (*path, "unsafe"));
    excepted
        .chain(unsafe_files)
        .filter(|(path, word)| words(without_tests(code(path)), word).next().is_none())
        .map(|(path, word)| Finding {
            path: path.to_owned(),
            line: 1,
            what: format!("does not need its exception for `{word}` any more; remove it from tests/tidy/main.rs"),
        })
        .collect()
}

fn has_no_trailing_space(file: &File) -> Vec<Finding> {
    // Golden files and samples are what they are.
    let written = ["rs", "md", "toml", "css"].iter().any(|kind| file.path.ends_with(&format!(".{kind}")));
    if !written && file.path.contains('.') && !file.path.starts_with(".ci/") {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate();
    let mut found: Vec<Finding> = lines
        .filter(|(_, line)| line.ends_with([' ', '\t', '\r']))
        .map(|(index, _)| file.at(index + 1, "spaces at the end of the line; remove them"))
        .collect();
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        found.push(file.at(file.text.lines().count(), "no line break at the end of the file; add one"));
    }
    found
}

fn names_no_machine(file: &File) -> Vec<Finding> {
    // In two pieces, so that this file does not find itself.
    let folders = [("/ho", "me/"), ("/ro", "ot/"), ("/wo", "rk/"), ("/Us", "ers/"), ("/mn", "t/"), (":\\Us", "ers\\")]
        .map(|(first, second)| format!("{first}{second}"));
    let mut found = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        // After a name it is a path inside something else.
        let names = |folder: &String| {
            let mut places = line.match_indices(folder.as_str());
            places.any(|(at, _)| {
                let inside = line[..at].ends_with(|before: char| before.is_alphanumeric() || "._-}".contains(before));
                // `who` is the invented person of the tests.
                !inside && !line[at + folder.len()..].starts_with("who")
            })
        };
        if let Some(folder) = folders.iter().find(|folder| names(folder)) {
            found.push(file.at(index + 1, format!("a path on one machine ({folder}…); make it relative")));
        }
    }
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The text files of the tree.
fn tree() -> Vec<File> {
    let mut files = Vec::new();
    collect(&root(), "", &mut files);
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    // Cargo marks its output folders with this file.
    if folder.join("CACHEDIR.TAG").exists() {
        return;
    }
    for entry in std::fs::read_dir(folder).expect("a folder of the tree is readable") {
        let entry = entry.expect("a folder of the tree is readable");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() {
            let hidden = name.starts_with('.') && name != ".ci";
            if !hidden && name != "target" && is_of_the_tree(&path) {
                collect(&entry.path(), &format!("{path}/"), files);
            }
        } else if is_text(&path)
            && let Ok(text) = std::fs::read_to_string(entry.path())
        {
            files.push(File::new(&path, &text));
        }
    }
}

/// Folders of the map; what a person puts beside them (journals, runs, exports) is none of our business.
fn is_of_the_tree(path: &str) -> bool {
    const FOLDERS: &[&str] = &[
        ".ci", "adapters", "benches", "config", "docs", "engine", "examples", "features", "journal", "learner",
        "replay", "src", "tests",
    ];
    path.contains('/') || FOLDERS.contains(&path)
}

fn is_text(path: &str) -> bool {
    const KINDS: &[&str] = &["rs", "md", "toml", "css", "html", "csv", "hex", "txt", "json", "sh", "yml"];
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((_, kind)) => KINDS.contains(&kind) || name == ".gitignore",
        None => path.starts_with(".ci/") || name == "LICENSE",
    }
}

#[cfg(test)]
mod planted {
    use super::*;

    const FIRST: &str = "//! What this file is for.\n";

    /// Exactly one finding, at that line, with that word in it.
    fn finds(path: &str, text: &str, line: usize, word: &str) {
        let findings = findings_in(&File::new(path, text));
        assert_eq!(findings.len(), 1, "{path}: {findings:?}");
        assert_eq!(findings[0].line, line, "{}", findings[0]);
        assert!(findings[0].what.contains(word), "{} does not speak of {word}", findings[0]);
    }

    fn passes(path: &str, text: &str) {
        assert_eq!(findings_in(&File::new(path, text)), []);
    }

    fn long_function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_file_without_its_first_line() {
        finds("src/a.rs", "fn a() {}\n", 1, "//!");
        finds("src/a.rs", "// comment\n//! late\n", 1, "//!");
        passes("src/a.rs", FIRST);
    }

    #[test]
    fn a_file_too_long() {
        finds("src/a.rs", &(FIRST.to_owned() + &"// more\n".repeat(800)), 801, "801 lines");
        passes("src/a.rs", &(FIRST.to_owned() + &"// more\n".repeat(799)));
    }

    #[test]
    fn a_function_too_long() {
        finds("src/a.rs", &(FIRST.to_owned() + &long_function(71)), 2, "`long` has 71 lines");
        passes("src/a.rs", &(FIRST.to_owned() + &long_function(70)));
        passes("src/a.rs", &format!("{FIRST}#[cfg(test)]\nmod tests {{\n{}}}\n", long_function(100)));
        passes("tests/a.rs", &(FIRST.to_owned() + &long_function(100)));
        finds("tests/a.rs", &(FIRST.to_owned() + &long_function(101)), 2, "101 lines");
    }

    #[test]
    fn unfinished_work() {
        for word in ["todo", "unimplemented", "dbg"] {
            finds("src/a.rs", &format!("{FIRST}fn a() {{\n    {word}!()\n}}\n"), 3, word);
        }
        passes("src/a.rs", &format!("{FIRST}// todo!() in a comment\nfn todo() {{}}\n"));
    }

    #[test]
    fn an_exception_without_a_reason() {
        finds("src/a.rs", &format!("{FIRST}#[allow(dead_code)]\nfn a() {{}}\n"), 2, "reason");
        finds("src/a.rs", &format!("{FIRST}\n#![expect(\n    dead_code\n)]\n"), 3, "reason");
        finds("src/a.rs", &format!("{FIRST}#[cfg_attr(test, allow(dead_code))]\nfn a() {{}}\n"), 2, "reason");
        passes("src/a.rs", &format!("{FIRST}#[expect(dead_code, reason = \"why\")]\nfn a() {{ b().expect(\"c\") }}\n"));
    }

    #[test]
    fn unsafe_code() {
        finds("src/a.rs", &format!("{FIRST}fn a() {{ unsafe {{ b() }} }}\n"), 2, "unsafe");
        passes("journal/src/storage/files.rs", &format!("{FIRST}fn a() {{ unsafe {{ b() }} }}\n"));
        passes("src/a.rs", &format!("{FIRST}#![deny(unsafe_code)]\n// unsafe\n"));
    }

    #[test]
    fn banned_words() {
        let using = |what: &str| format!("{FIRST}fn a() {{ {what} }}\n");
        for (path, what) in [
            ("engine/core/src/a.rs", "SystemTime"),
            ("engine/vocabulary/src/a.rs", "Instant::now"),
            ("features/src/a.rs", "HashMap"),
            ("engine/core/src/a.rs", "rand"),
            ("engine/core/src/a.rs", "f64"),
            ("engine/core/src/a.rs", "std::fs"),
            ("engine/core/src/a.rs", "println"),
            ("journal/src/a.rs", "Candle"),
            ("config/src/a.rs", "Utc::now"),
        ] {
            finds(path, &using(what), 2, what);
        }
        passes("replay/src/a.rs", &using("HashMap"));
        passes("engine/core/src/a.rs", &using("operand(); \"HashMap\""));
        passes("engine/core/src/strategy/intraday.rs", &using("f64"));
        passes("engine/core/src/a.rs", &format!("{FIRST}#[cfg(test)]\nmod tests {{ use f64; }}\n"));
        finds(
            "engine/core/src/a.rs",
            &format!("{FIRST}#[expect(clippy::disallowed_types, reason = \"I want to\")]\nfn a() {{}}\n"),
            2,
            "no exceptions",
        );
    }

    #[test]
    fn titles() {
        finds("a.md", "text\n", 1, "no title");
        finds("a.md", "# One\n\n# Two\n", 3, "second title");
        passes("a.md", "# One\n\n```\n# a comment of the shell\n```\n## Two\n");
    }

    #[test]
    fn spaces_and_line_ends() {
        finds("src/a.rs", &format!("{FIRST}fn a() {{}} \n"), 2, "spaces");
        finds("a.toml", "a = 1", 1, "line break");
        finds(".ci/run", "one\t\ntwo\n", 1, "spaces");
        passes("tests/golden/a.csv", "1, \n");
    }

    #[test]
    fn places_on_a_machine() {
        let folder = format!("/{}/", "home");
        finds("a.toml", &format!("path = \"{folder}somebody\"\n"), 1, "relative");
        finds("src/a.rs", &format!("{FIRST}// see {folder}somebody\n"), 2, "relative");
        passes("a.toml", &format!("path = \"..{folder}\"\n"));
    }

    #[test]
    fn links_that_lead_nowhere() {
        let broken = |text: &str| links(&[File::new("a.md", text), File::new("b.md", "# The other page\n")]).len();
        assert_eq!(broken("# A\n[x](nowhere.md) [y](b.md#nothing) [z](#missing)\n"), 3);
        assert_eq!(broken("# A\n[x](b.md#the-other-page) [y](#a) [z](https://example.org/)\n`[q](gone.md)`\n"), 0);
        assert_eq!(broken("# A\n```\n[x](nowhere.md)\n```\n"), 0);
    }

    #[test]
    fn a_block_that_differs_from_its_file() {
        let shown = |block: &str| {
            let page = format!("# A\n<!-- file: src/a.rs -->\n```rust\n{block}```\n");
            shown_files(&[File::new("a.md", &page), File::new("src/a.rs", FIRST)]).len()
        };
        assert_eq!(shown(FIRST), 0);
        assert_eq!(shown("//! Something else.\n"), 1);
        assert_eq!(shown_files(&[File::new("a.md", "<!-- file: gone.rs -->\n```\n```\n")]).len(), 1);
    }

    #[test]
    fn exceptions_that_nobody_needs() {
        let count = WORD_EXCEPTIONS.iter().map(|(_, words, _)| words.len()).sum::<usize>() + UNSAFE_FILES.len();
        assert_eq!(idle_exceptions(&[]).len(), count);
        assert_eq!(idle_exceptions(&[File::new(UNSAFE_FILES[0].0, "unsafe {}\n")]).len(), count - 1);
    }
}
