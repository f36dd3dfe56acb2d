//! The simulated broker: a whole NSE day (375 minutes, 50 symbols and the index) at full speed, over a socket.
//!
//! - From the first subscription to the last tick of the day at a client that reads every packet in full mode.
//! - Wall time: a server, a client and the loopback device are involved. `--bench simulate -- --test` runs it once.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use daybook_adapters::kite_server::{NoBook, Port, ServeOptions, Setup, Speed, World, request_life, resume, run};
use daybook_adapters::kite_wire::{sign, stamp};
use daybook_config::Calendar;
use daybook_journal::{Options, Writer};
use daybook_replay::synthetic::{self, Market};
use daybook_replay::{History, KiteMarket};
use daybook_vocabulary::{Interval, Money, Price};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const DATE: &str = "2025-06-04";
/// Ticks of a day: one every five seconds.
const TICKS: u64 = 375 * 12;
const SYMBOLS: u64 = 50;

fn journal(path: &Path) {
    let market = Market {
        seed: 9,
        symbols: (0..SYMBOLS).map(|index| (format!("S{index:02}"), Price::from_units(500))).collect(),
        tick: Price(5_000_000),
        interval: Interval::MINUTE,
        from: "2025-06-03".parse().unwrap(),
        to: DATE.parse().unwrap(),
    };
    let mut writer = Writer::create(path, Options::session()).unwrap();
    synthetic::write(&market, &Calendar::nse(), &mut writer).unwrap();
    writer.close().unwrap();
}

/// A server of its own for one day; it stays until the process ends.
fn server(path: &Path) -> u16 {
    let market = KiteMarket::open(vec![History::open(path).unwrap()], Calendar::nse()).unwrap();
    let date = DATE.parse().unwrap();
    let setup = Setup {
        date,
        start: stamp::at(date, 9 * 3600),
        cash: Money::from_units(1_000_000),
        freeze: 100_000,
        fill_max: None,
        api_key: "sim_api_key".to_owned(),
        api_secret: "sim_api_secret".to_owned(),
        request_life: request_life(1_440),
    };
    let mut world = World::new(Arc::new(market), setup);
    resume(&mut world, &mut NoBook).unwrap();
    let port = Port::open(0).unwrap();
    let number = port.number();
    let options = ServeOptions {
        port: number,
        speed: Speed::Max,
        faults: Vec::new(),
        fault_seed: None,
        redirect: None,
        postback: None,
        limited: false,
    };
    std::thread::spawn(move || run(port, world, Box::new(NoBook), options).unwrap());
    number
}

fn ask(port: u16, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    let request = format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn after<'a>(text: &'a str, mark: &str) -> &'a str {
    let (_, rest) = text.split_once(mark).unwrap();
    &rest[..32]
}

fn subscribed(port: u16) -> BufReader<TcpStream> {
    let login = ask(port, "GET /connect/login?api_key=sim_api_key", "");
    let request = after(&login, "request_token=");
    let sum = sign::checksum(&["sim_api_key", request, "sim_api_secret"]);
    let form = format!("api_key=sim_api_key&request_token={request}&checksum={sum}");
    let session = ask(port, "POST /session/token", &form);
    let token = after(&session, "\"access_token\":\"").to_owned();
    let table =
        ask(port, &format!("GET /instruments HTTP/1.1\r\nAuthorization: token sim_api_key:{token}\r\nX-Rest:"), "");
    let tokens: Vec<&str> =
        table.lines().filter(|line| line.ends_with(",NSE")).filter_map(|line| line.split(',').next()).collect();
    assert_eq!(tokens.len() as u64, SYMBOLS + 1);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let handshake = format!(
        "GET /?api_key=sim_api_key&access_token={token} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(handshake.as_bytes()).unwrap();
    let list = tokens.join(",");
    for text in
        [format!("{{\"a\":\"subscribe\",\"v\":[{list}]}}"), format!("{{\"a\":\"mode\",\"v\":[\"full\",[{list}]]}}")]
    {
        // A client's frames are masked; a mask of zeros changes nothing.
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        let frame = [&[0x81, 0x80 | 126, length[0], length[1], 0, 0, 0, 0][..], text.as_bytes()].concat();
        stream.write_all(&frame).unwrap();
    }
    BufReader::with_capacity(1 << 20, stream)
}

/// Reads frames until the last tick of the day has come for every symbol; how many packets there were.
fn read_day(reader: &mut impl Read) -> u64 {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(next(reader));
    }
    let (mut packets, wanted) = (0, TICKS * SYMBOLS);
    while packets < wanted {
        let kind = next(reader) & 0x0f;
        let length = match next(reader) {
            126 => usize::from(u16::from_be_bytes([next(reader), next(reader)])),
            127 => usize::try_from(u64::from_be_bytes(std::array::from_fn(|_| next(reader)))).unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        reader.read_exact(&mut payload).unwrap();
        assert_ne!(kind, 8, "the server closed");
        let mut rest = payload.get(2..).filter(|_| kind == 2 && length > 4).unwrap_or_default();
        while let [high, low, more @ ..] = rest {
            let packet = usize::from(u16::from_be_bytes([*high, *low]));
            packets += u64::from(packet == 184);
            rest = &more[packet..];
        }
    }
    packets
}

fn next(reader: &mut impl Read) -> u8 {
    let mut byte = [0];
    reader.read_exact(&mut byte).unwrap();
    byte[0]
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn a_day(path: &Path) -> Duration {
    let port = server(path);
    let mut reader = subscribed(port);
    let begun = Instant::now();
    assert!(read_day(&mut reader) >= TICKS * SYMBOLS);
    begun.elapsed()
}

fn simulate(criterion: &mut Criterion) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("j");
    journal(&path);
    let mut group = criterion.benchmark_group("simulate");
    group.sample_size(10).throughput(Throughput::Elements(TICKS * SYMBOLS));
    group.bench_function("a day of 50 symbols at full speed, full mode", |bencher| {
        bencher.iter_custom(|count| (0..count).map(|_| a_day(&path)).sum());
    });
    group.finish();
}

criterion_group!(benches, simulate);
criterion_main!(benches);
