//! RL-39: no panic of this process tells a secret, wherever it comes from.
//!
//! - The hook is the program's own. This test starts itself once more, as a process that knows secrets and panics with
//!   them in its text, on several threads, and reads what it said.

use daybook_adapters::kite::http::{Address, HyperTransport, Limits};
use daybook_adapters::kite::pace::WallPace;
use daybook_adapters::kite::secret::{redact_panics, scrub_remembered};
use daybook_adapters::kite::session::{Credentials, Login, SessionEvent};
use daybook_adapters::kite::{Kite, Secret};
use daybook_vocabulary::Nanos;
use std::process::Command;
use std::sync::Arc;

const PANICS: &str = "DAYBOOK_TEST_PANICS";
const KEY: &str = "k3yk3yk3y";
const SECRET: &str = "s3cr3ts3cr3t";
const TOKEN: &str = "t0k3nt0k3nt0k3n";

/// A client that has logged in: from here on the process knows its secrets.
fn client() -> Kite {
    let address = Address::parse("http://127.0.0.1:1").unwrap();
    let transport = Arc::new(HyperTransport::new(address.clone(), Limits::default()).unwrap());
    let credentials = Credentials { api_key: Secret::new(KEY), api_secret: Secret::new(SECRET) };
    let kite = Kite::new(address, credentials, transport, Arc::new(WallPace::new()));
    let access_token = Secret::new(TOKEN);
    kite.tell(SessionEvent::LoggedIn(Login { access_token, user_id: "AB1234".to_owned(), login_time: Nanos(0) }));
    kite
}

/// What the started process does: it panics, as a library might that was handed a header or an address.
fn panic_with_secrets() {
    redact_panics();
    let kite = client();
    let header = format!("Authorization: token {KEY}:{TOKEN}");
    let address = format!("wss://ws.example?api_key={KEY}&access_token={TOKEN}");
    let threads = [
        std::thread::Builder::new().name("wires".to_owned()).spawn(move || panic!("not a header: {header}")),
        std::thread::Builder::new().spawn(move || assert!(address.is_empty(), "no address: {address}")),
        std::thread::Builder::new().spawn(|| {
            let checksum = format!("{KEY}request{SECRET}").parse::<u8>().map_err(|_| format!("{KEY}request{SECRET}"));
            assert!(checksum.expect("a checksum") > 0);
        }),
    ];
    for thread in threads {
        assert!(thread.unwrap().join().is_err(), "it panicked");
    }
    // What prints a secret by its own means shows it as stars anyway.
    panic!("{:?}", kite.credentials());
}

#[test]
fn no_panic_tells_a_secret() {
    if std::env::var_os(PANICS).is_some() {
        return panic_with_secrets();
    }
    let me = std::env::current_exe().unwrap();
    let run = |trace: &str| {
        Command::new(&me)
            .args(["--exact", "no_panic_tells_a_secret", "--nocapture", "--test-threads", "1"])
            .env(PANICS, "1")
            .env("RUST_BACKTRACE", trace)
            .output()
            .unwrap()
    };
    for trace in ["0", "1"] {
        let output = run(trace);
        assert!(!output.status.success());
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(said.matches("panicked at").count(), 4, "{said}");
        assert!(said.contains("thread 'wires' panicked") && said.contains("token ***:***"), "{said}");
        for secret in [KEY, SECRET, TOKEN] {
            assert!(!said.contains(secret), "{secret} can be read: {said}");
        }
    }
}

#[test]
fn what_was_remembered_is_taken_out_of_every_text() {
    let _kite = client();
    let text = format!("error: {KEY} {SECRET} {TOKEN} and the rest");
    assert_eq!(scrub_remembered(&text).as_deref(), Some("error: *** *** *** and the rest"));
}
