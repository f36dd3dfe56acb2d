//! A busy feed through the adapter: 3,000 instruments in full mode, ten packets a second each, for a minute.
//!
//! - The broker is a thread of this process that sends by the clock; the adapter is the real one: its WebSocket, its
//!   decoder, its thread. What it hears goes over a bounded queue to a thread that counts, as in a live session.
//! - Every packet carries the number of its round in its volume: one that is missing, doubled or out of order is seen.
//! - `cargo bench -p daybook-adapters --bench feed`; `-- --test` sends for two seconds. Exit code 1: something was dropped.

use daybook_adapters::kite::session::{Credentials, Login, SessionEvent};
use daybook_adapters::kite::ticker::{FeedEvent, FeedLimits, Subscriptions};
use daybook_adapters::kite::ticks::{Mode, Packet, Tick, Token};
use daybook_adapters::kite::{BlockingKite, Secret};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const INSTRUMENTS: u32 = 3_000;
const ROUNDS_A_SECOND: u32 = 10;
/// Packets of a frame, as a busy broker sends them.
const FRAME: u32 = 100;
const FULL: u16 = 184;
/// Ticks between the adapter's thread and the one that counts.
const QUEUE: usize = 65_536;

fn token(number: u32) -> u32 {
    (1_000 + number) * 256 + 1
}

/// One WebSocket message for each hundred instruments, in full mode, with plausible numbers.
fn messages() -> Vec<Vec<u8>> {
    let frames = (0..INSTRUMENTS).step_by(FRAME as usize);
    let message = |first: u32| {
        let length = 2 + FRAME as usize * (2 + usize::from(FULL));
        let mut bytes = vec![0x82, 126];
        bytes.extend_from_slice(&u16::try_from(length).expect("a frame fits").to_be_bytes());
        bytes.extend_from_slice(&(FRAME as u16).to_be_bytes());
        for number in first..first + FRAME {
            bytes.extend_from_slice(&FULL.to_be_bytes());
            bytes.extend_from_slice(&token(number).to_be_bytes());
            (0..45).for_each(|at: u32| bytes.extend_from_slice(&(130_000 + number + at * 7).to_be_bytes()));
        }
        bytes
    };
    frames.map(message).collect()
}

/// Writes the round into the volume of every packet of a message.
fn stamp(message: &mut [u8], round: u32) {
    for packet in message[6..].chunks_exact_mut(2 + usize::from(FULL)) {
        packet[18..22].copy_from_slice(&round.to_be_bytes());
    }
}

/// A broker that knows one thing: to send. It answers every other request with 404.
fn serve(listener: &TcpListener, rounds: u32, late: &AtomicU64) {
    for stream in listener.incoming() {
        let mut stream = stream.expect("the loopback device works");
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let key = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().starts_with("sec-websocket-key:").then(|| &line[18..]));
        match key {
            None => {
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            }
            Some(key) => {
                let accept = derive_accept_key(key.trim().as_bytes());
                let answer = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).expect("the adapter listens");
                return send(stream, rounds, late);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the broker sends by the clock")]
fn send(mut stream: TcpStream, rounds: u32, late: &AtomicU64) {
    let mut messages = messages();
    let begun = Instant::now();
    for round in 1..=rounds {
        let due = Duration::from_secs(1) * (round - 1) / ROUNDS_A_SECOND;
        if let Some(wait) = due.checked_sub(begun.elapsed()) {
            std::thread::sleep(wait);
        }
        for message in &mut messages {
            stamp(message, round);
            if stream.write_all(message).is_err() {
                return;
            }
        }
        let behind = begun.elapsed().saturating_sub(due).as_micros();
        late.fetch_max(u64::try_from(behind).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    // The connection stays until everything was heard.
    std::thread::sleep(Duration::from_secs(5));
}

/// CPU time, in hundredths of a second, of this process's threads that are meant, by number and name.
fn cpu_hundredths(is_meant: impl Fn(u32, &str) -> bool) -> u64 {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let cpu = |entry: fs::DirEntry| -> Option<u64> {
        let number = entry.file_name().to_str()?.parse().ok()?;
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok().filter(|_| is_meant(number, name.trim()))?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
    };
    threads.filter_map(cpu).sum()
}

fn resident_kib() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap_or(0)
}

/// What the counting thread found.
#[derive(Default)]
struct Counted {
    ticks: u64,
    wrong: u64,
    memory_early: u64,
    memory_most: u64,
}

/// Counts ticks until all have come, or none comes for a while.
fn count(ticks: &std::sync::mpsc::Receiver<Tick>, rounds: u32) -> Counted {
    let mut last = vec![0_i64; INSTRUMENTS as usize];
    let mut counted = Counted::default();
    let expected = u64::from(INSTRUMENTS) * u64::from(rounds);
    while counted.ticks < expected {
        match ticks.recv_timeout(Duration::from_secs(3)) {
            Ok(tick) => {
                let Packet::Full(quote, ..) = tick.packet else {
                    counted.wrong += 1;
                    continue;
                };
                let place = &mut last[(tick.token.0 / 256 - 1_000) as usize];
                let round = quote.volume.0 / daybook_vocabulary::decimal::SCALE;
                counted.wrong += u64::from(round != *place + 1);
                *place = round;
                counted.ticks += 1;
                if counted.ticks == expected / 5 {
                    counted.memory_early = resident_kib();
                }
                if counted.ticks.is_multiple_of(30_000) {
                    counted.memory_most = counted.memory_most.max(resident_kib());
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    counted
}

fn main() -> ExitCode {
    let seconds = if std::env::args().any(|argument| argument == "--test") { 2 } else { 60 };
    let rounds = seconds * ROUNDS_A_SECOND;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let late = Arc::new(AtomicU64::new(0));
    let behind = late.clone();
    std::thread::spawn(move || serve(&listener, rounds, &behind));

    let kite = BlockingKite::connect(&url, Credentials::simulated(), Duration::from_secs(5)).expect("it listens");
    let login = Login { access_token: Secret::new("t"), user_id: "U".to_owned(), login_time: kite.now() };
    kite.kite().tell(SessionEvent::LoggedIn(login));
    let wanted: Subscriptions = (0..INSTRUMENTS).map(|number| (Token(token(number)), Mode::Full)).collect();
    let (queue, ticks) = sync_channel(QUEUE);
    let (overruns, other) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (overrun, strange) = (overruns.clone(), other.clone());
    let streaming = kite.stream(wanted, FeedLimits::default(), move |event| {
        match event {
            FeedEvent::Tick(tick, _) => {
                if let Err(TrySendError::Full(_)) = queue.try_send(tick) {
                    overrun.fetch_add(1, Ordering::Relaxed);
                }
            }
            FeedEvent::Connected { .. } => {}
            FeedEvent::Flaw(..) | FeedEvent::Message(..) | FeedEvent::Lost { .. } | FeedEvent::SessionOver(_) => {
                strange.fetch_add(1, Ordering::Relaxed);
            }
        }
        true
    });
    let counted = count(&ticks, rounds);
    let (adapter, counting) =
        (cpu_hundredths(|_, name| name == "kite"), cpu_hundredths(|number, _| number == std::process::id()));
    drop(streaming);

    let expected = u64::from(INSTRUMENTS) * u64::from(rounds);
    let dropped = expected - counted.ticks.min(expected);
    println!("{INSTRUMENTS} instruments, full mode, {ROUNDS_A_SECOND} packets a second each, {seconds} s");
    println!("packets sent {expected}, heard {}, dropped {dropped}, out of order {}", counted.ticks, counted.wrong);
    println!("queue overruns {}, other events {}", overruns.load(Ordering::Relaxed), other.load(Ordering::Relaxed));
    println!("the broker was behind its clock by at most {} ms", late.load(Ordering::Relaxed) / 1_000);
    println!(
        "CPU of the adapter's thread {}.{:02} s ({} ns a packet), of the one that counts {}.{:02} s",
        adapter / 100,
        adapter % 100,
        adapter * 10_000_000 / expected,
        counting / 100,
        counting % 100
    );
    println!("resident memory after a fifth {} KiB, at most {} KiB", counted.memory_early, counted.memory_most);
    let good = dropped == 0 && counted.wrong == 0 && overruns.load(Ordering::Relaxed) == 0;
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
