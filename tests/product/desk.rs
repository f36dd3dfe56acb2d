//! A folder of a test's own and the binary run in it: what every test of the product begins with.
//!
//! - The binary sees nothing of whoever runs the tests: no variable, no settings, a home of its own.
//! - Must never: be shared by two tests.

use daybook_config::Calendar;
use daybook_journal::{Options, Writer};
use daybook_replay::synthetic::{self, Market};
use daybook_vocabulary::{Interval, Price};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

pub struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).expect("text")
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).expect("written");
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_daybook"));
        command.args(arguments).current_dir(self.dir.path()).env_clear().env("HOME", self.dir.path());
        command
    }

    pub fn daybook(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// What a command that succeeds prints.
    pub fn works(&self, arguments: &[&str]) -> String {
        let output = self.daybook(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// What a command that succeeds prints with `--format json`.
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.answers(arguments, 0)
    }

    /// The same of a command that ends with this code.
    pub fn answers(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.daybook(&[arguments, &["--format", "json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    /// Exit 1: it could not be done, and stderr says all of this.
    pub fn fails(&self, arguments: &[&str], says: &[&str]) {
        self.ends(arguments, 1, says);
    }

    /// Exit 2: it was not asked for in the right way.
    pub fn misused(&self, arguments: &[&str], says: &[&str]) {
        self.ends(arguments, 2, says);
    }

    fn ends(&self, arguments: &[&str], code: i32, says: &[&str]) {
        let output = self.daybook(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        for text in says {
            assert!(stderr.contains(text), "{arguments:?} should say {text:?}, says: {stderr}");
        }
    }

    /// A journal of history with a made-up market in it, in small segments.
    pub fn market(&self, name: &str, market: &Market) {
        self.market_under(name, market, &Calendar::nse());
    }

    pub fn market_under(&self, name: &str, market: &Market, calendar: &Calendar) {
        self.market_writer(name, market, calendar).close().expect("a whole journal");
    }

    /// The same, for whoever has more to write.
    pub fn market_writer(&self, name: &str, market: &Market, calendar: &Calendar) -> Writer {
        let options = Options { segment_bytes: 64 * 1024, ..Options::default() };
        let mut writer = Writer::create(&self.path(name), options).expect("a new journal");
        synthetic::write(market, calendar, &mut writer).expect("a market");
        writer
    }
}

/// Candles of five minutes of these symbols, each beginning at 500.
pub fn five_minutes(symbols: &[&str], from: &str, to: &str) -> Market {
    made_up(11, symbols.iter().map(|symbol| (*symbol, 500)), Interval::minutes(5), from, to)
}

/// Candles of a quarter of an hour, January 2024 to a date: enough for what learns.
pub fn quarter_hours(to: &str) -> Market {
    made_up(5, [("ALFA", 500), ("BETA", 90)].into_iter(), Interval::minutes(15), "2024-01-01", to)
}

fn made_up<'a>(
    seed: u64,
    symbols: impl Iterator<Item = (&'a str, i64)>,
    interval: Interval,
    from: &str,
    to: &str,
) -> Market {
    Market {
        seed,
        symbols: symbols.map(|(symbol, price)| (symbol.to_owned(), Price::from_units(price))).collect(),
        tick: Price(5_000_000),
        interval,
        from: from.parse().expect("a date"),
        to: to.parse().expect("a date"),
    }
}
