//! A folder with a market of some days, and a simulated broker that plays it: what tests of the broker's commands need.

use crate::desk::Desk;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::ops::Deref;
use std::process::{Child, Command, Stdio};

pub const SYMBOLS: [&str; 2] = ["ALPHA", "BETA"];

/// A desk with a market of some days in the journal `market`; its commands print JSON.
pub struct World(Desk);

impl Deref for World {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.0
    }
}

impl World {
    pub fn new(days: &[&str]) -> Self {
        Self::of(&SYMBOLS, days)
    }

    pub fn of(symbols: &[&str], days: &[&str]) -> Self {
        let world = Self(Desk::new());
        let mut text = String::from("Symbol,Date,Open,High,Low,Close,Volume\n");
        for (number, symbol) in symbols.iter().enumerate() {
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
        world.write("candles.csv", text);
        world.done(&["ingest", "candles.csv", "--market", "nse", "--interval", "5m", "--journal", "market"]);
        world
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        self.0.command(&[arguments, &["--format", "json"]].concat())
    }

    /// Runs a command; its exit code, what it printed as JSON, and what it said on stderr.
    pub fn run(&self, arguments: &[&str]) -> (Option<i32>, Value, String) {
        self.run_with(arguments, &[])
    }

    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, Value, String) {
        let output = self.command(arguments).envs(variables.iter().copied()).output().unwrap();
        let printed = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code(), printed, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub fn done(&self, arguments: &[&str]) -> Value {
        self.json(arguments)
    }
}

/// A simulated broker that ends with the test.
pub struct Broker {
    process: Child,
    /// What it printed when it began.
    pub begun: Value,
    pub url: String,
}

impl Broker {
    /// One that plays a world's market, on a port that is free, with a book of its own.
    pub fn start(world: &World, arguments: &[&str]) -> Self {
        let common = ["simulate", "--journal", "market", "--port", "0", "--fresh"];
        Self::begin(world.command(&[&common[..], arguments].concat()))
    }

    /// Starts `simulate --format json …` and waits until it listens.
    pub fn begin(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let begun: Value = serde_json::from_str(&line).expect("one JSON object");
        Self { process, url: begun["url"].as_str().unwrap().to_owned(), begun }
    }

    /// What it was asked for since it started: `all`, `changes`, `logins`, `reads`, `sockets`.
    pub fn asked(&self) -> Value {
        let address = self.url.strip_prefix("http://").expect("it is on this machine");
        let mut stream = TcpStream::connect(address).expect("it listens");
        let request = format!("GET /daybook/requests HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        serde_json::from_str::<Value>(body).expect("JSON")["data"].clone()
    }

    /// Where nobody listens.
    pub fn nobody() -> Self {
        let process = Command::new("true").spawn().unwrap();
        Self { process, begun: Value::Null, url: "http://127.0.0.1:1".to_owned() }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A process that is killed where the test ends.
pub struct Running(pub Child);

impl Running {
    pub fn start(mut command: Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
