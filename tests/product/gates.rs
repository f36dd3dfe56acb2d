//! What stops `trade` before it begins: each gate, in one clear line, before the broker is asked for anything; and what
//! nobody may read afterwards.

use crate::broker_world::{Broker, World};
use serde_json::Value;
use std::path::PathBuf;

fn trade<'a>(command: &'a str, broker: &'a Broker, more: &[&'a str]) -> Vec<&'a str> {
    let sma = ["--strategy", "sma-cross", "--set", "fast=2", "--set", "slow=5"];
    let mut arguments = vec![command, "--broker-url", &broker.url, "--symbols", "BETA,ALPHA"];
    if !more.contains(&"--session") {
        arguments.extend(["--session", "today"]);
    }
    if !more.contains(&"--strategy") {
        arguments.extend(sma);
    }
    arguments.extend(more);
    arguments
}

/// One line on stderr that says all of it.
fn refused(world: &World, arguments: &[&str], says: &[&str]) {
    let (code, _, errors) = world.run(arguments);
    assert_eq!(code, Some(1), "{arguments:?}: {errors}");
    let errors: Vec<&str> = errors.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    for text in says {
        assert!(errors[0].contains(text), "{arguments:?} should say {text:?}, says: {}", errors[0]);
    }
}

fn verdicts(printed: &Value) -> Vec<(String, String)> {
    let word = |gate: &Value, name: &str| gate[name].as_str().unwrap().to_owned();
    printed["gates"].as_array().unwrap().iter().map(|gate| (word(gate, "gate"), word(gate, "verdict"))).collect()
}

/// RL-25: a rehearsal goes through every gate with the real session, changes nothing, and fails where one blocks; of
/// two opposing flags the last one wins.
#[test]
fn a_rehearsal_lists_every_gate_and_begins_nothing() {
    let world = World::new(&["2025-06-09", "2025-06-10"]);
    let broker = Broker::start(&world, &["--date", "2025-06-10", "--speed", "60"]);
    for command in [trade("trade", &broker, &["--paper", "--dry-run"]), trade("preflight", &broker, &[])] {
        let (code, printed, errors) = world.run(&command);
        assert_eq!((code, printed["passes"].as_bool()), (Some(0), Some(true)), "{errors} {printed}");
        let found = verdicts(&printed);
        assert_eq!(found.len(), 18);
        assert!(found.iter().all(|(_, verdict)| verdict == "ok" || verdict == "noted"), "{found:?}");
        assert!(!world.path("today").exists(), "nothing was begun");
    }
    // What is warmed up is no note any more; what ends too early blocks, and what needs it is not asked.
    let (_, printed, _) = world.run(&trade("preflight", &broker, &["--journal", "market"]));
    assert!(verdicts(&printed).contains(&("warm-up".to_owned(), "ok".to_owned())), "{printed}");
    // BT-25: limits that look back need something to look back at, and what they are measured against.
    let set = |value: &'static str| trade("trade", &broker, &["--paper", "--set", value]);
    refused(&world, &set("risk.max_var_pct=5"), &["look back at 20 sessions", "--journal DIR"]);
    refused(&world, &set("risk.max_beta=1"), &["risk.benchmark=SYMBOL"]);
    world.write(".killswitch", "");
    let (code, printed, _) = world.run(&trade("trade", &broker, &["--dry-run", "--set", "fast=0"]));
    let found = verdicts(&printed);
    let of = |name: &str| found.iter().find(|(gate, _)| gate == name).map(|(_, verdict)| verdict.as_str());
    assert_eq!((code, of("strategy"), of("kill-switch")), (Some(1), Some("blocked"), Some("blocked")), "{printed}");
    assert_eq!((of("winner"), of("quotes")), (Some("not-asked"), Some("ok")), "{printed}");
    refused(&world, &trade("trade", &broker, &["--paper"]), &["kill switch", "remove the file"]);
}

/// RL-22, RL-23: refused before any call of the broker: nobody listens at this address.
#[test]
fn what_is_wrong_at_home_is_said_before_anyone_is_asked() {
    let world = World::new(&["2025-06-09", "2025-06-10"]);
    let nobody = Broker::nobody();
    let live = [("DAYBOOK_PAPER_TRADING", "false")];
    let refused_live = |more: &[&str], says: &[&str]| {
        let arguments = trade("trade", &nobody, more);
        let output = world.command(&arguments).envs(live).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = errors.lines().find(|line| line.starts_with("error:")).unwrap_or_default().to_owned();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(says.iter().all(|text| line.contains(text)), "{more:?} should say {says:?}: {line}");
    };
    refused_live(&[], &["--arm", "--paper"]);
    refused(&world, &trade("trade", &nobody, &["--paper", "--set", "slow=1"]), &["slow"]);
    refused(&world, &trade("trade", &nobody, &["--paper", "--strategy", "sma-crosss"]), &["did you mean"]);
    // A winner that is missing, of another model, or too poor: at a broker it is refused, with the file it is about.
    let learned = ["--strategy", "learned", "--set", "model=winner", "--arm"];
    refused_live(&learned, &["winner", "No such file"]);
    std::fs::create_dir(world.path("winner")).unwrap();
    world.write("winner/metrics.json", "{}");
    refused_live(&learned, &["winner/metrics.json", "promote the model again"]);
}

/// Wrong credentials, and a real broker without any: one line that says what to set.
#[test]
fn credentials_that_are_missing_are_named() {
    let world = World::new(&["2025-06-09", "2025-06-10"]);
    let arguments = [
        "trade",
        "--paper",
        "--broker-url",
        "https://broker.invalid",
        "--session",
        "today",
        "--strategy",
        "sma-cross",
        "--symbols",
        "BETA",
    ];
    refused(&world, &arguments, &["KITE_API_KEY", ".env"]);
}

/// RL-39: key, secret and token are in no journal, no log line of either format, and no message.
#[test]
fn no_secret_of_a_day_on_paper_can_be_read_anywhere() {
    let world = World::new(&["2025-06-09", "2025-06-10"]);
    for (session, format) in [("one", "json"), ("two", "text")] {
        let broker = Broker::start(&world, &["--date", "2025-06-10", "--speed", "3600", "--start", "15:00"]);
        let mut arguments = vec!["--log", "trace", "--log-format", format];
        arguments.extend(trade("trade", &broker, &["--paper", "--session", session]));
        let output = world.command(&arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let folder = world.path(".config/daybook");
        let mut secrets = vec!["sim_api_secret".to_owned()];
        for file in std::fs::read_dir(&folder).unwrap().flatten() {
            if file.file_name().to_string_lossy().starts_with("kite-") {
                let kept: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
                secrets.push(kept["access_token"].as_str().unwrap().to_owned());
            }
        }
        assert!(secrets.len() > 1, "the day's login is kept");
        let said = [output.stdout, output.stderr.clone()];
        let files = files_of(world.path(session)).into_iter().map(|path| std::fs::read(path).unwrap());
        for (at, bytes) in said.into_iter().chain(files).enumerate() {
            for secret in &secrets {
                assert!(
                    !bytes.windows(secret.len()).any(|part| part == secret.as_bytes()),
                    "{secret} can be read in {at}: {}",
                    about(&bytes, secret)
                );
            }
        }
        let lines = String::from_utf8(output.stderr).unwrap();
        assert!(!lines.contains('\u{1b}'), "no colours where nobody watches: {lines}");
        if format == "json" {
            let parsed = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("one JSON object a line"));
            assert!(parsed.filter(|line| line["level"].is_string()).count() > 10, "{lines}");
        }
    }
}

fn files_of(folder: PathBuf) -> Vec<PathBuf> {
    let (mut open, mut files) = (vec![folder], Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files.push(path);
        }
    }
    files
}

/// The line in which a secret stands.
fn about(bytes: &[u8], secret: &str) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().find(|line| line.contains(secret)).unwrap_or_default().chars().take(400).collect()
}
