//! A folder with a market of some days, and a simulated broker that plays it: what tests of the broker's commands need.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_daybook");
pub const SYMBOLS: [&str; 2] = ["ALPHA", "BETA"];

/// A folder with a market of some days in it.
pub struct World {
    pub dir: tempfile::TempDir,
}

impl World {
    pub fn new(days: &[&str]) -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        let mut text = String::from("Symbol,Date,Open,High,Low,Close,Volume\n");
        for (number, symbol) in SYMBOLS.into_iter().enumerate() {
            for (day, date) in days.iter().enumerate() {
                for bar in 0..75usize {
                    let minute = 9 * 60 + 15 + bar * 5;
                    // A price that goes up and down several times a day.
                    let wave = [0, 1, 2, 3, 4, 3, 2, 1][(bar / 3 + number + day) % 8];
                    let open = 500 + 100 * number + 2 * wave;
                    text += &format!(
                        "{symbol},{date} {:02}:{:02}:00,{open},{}.5,{}.5,{}.25,{}\n",
                        minute / 60,
                        minute % 60,
                        open + 2,
                        open - 2,
                        open + 1,
                        4_000 + 8 * bar
                    );
                }
            }
        }
        std::fs::write(world.path("candles.csv"), text).unwrap();
        world.done(&["ingest", "candles.csv", "--market", "nse", "--interval", "5m", "--journal", "market"]);
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).args(["--format", "json"]).current_dir(self.dir.path());
        command.env("HOME", self.dir.path()).env_remove("XDG_CONFIG_HOME");
        command
    }

    /// Runs a command; its exit code, what it printed as JSON, and what it said on stderr.
    pub fn run(&self, arguments: &[&str]) -> (Option<i32>, Value, String) {
        let output = self.command(arguments).output().unwrap();
        let printed = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code(), printed, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub fn done(&self, arguments: &[&str]) -> Value {
        let (code, printed, errors) = self.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {errors}");
        printed
    }
}

/// A simulated broker that ends with the test.
pub struct Broker {
    pub process: Child,
    pub url: String,
}

impl Broker {
    pub fn start(world: &World, arguments: &[&str]) -> Self {
        let common = ["simulate", "--journal", "market", "--port", "0", "--fresh"];
        let arguments: Vec<&str> = common.iter().chain(arguments).copied().collect();
        let mut process = world.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let begun: Value = serde_json::from_str(&line).unwrap();
        Self { process, url: begun["url"].as_str().unwrap().to_owned() }
    }
}

impl Broker {
    /// Where nobody listens.
    pub fn nobody() -> Self {
        let process = Command::new("true").spawn().unwrap();
        Self { process, url: "http://127.0.0.1:1".to_owned() }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
