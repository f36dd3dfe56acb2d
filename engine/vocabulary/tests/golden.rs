//! Golden bytes: every kind and schema has a checked-in example, so that a change of format shows up in review.
//!
//! - `tests/golden/KIND.vSCHEMA.hex` holds the payload of [`example`]; a kind without a file fails, and says how to
//!   write one. A file that exists is never overwritten: journals on disk hold those bytes.
//! - Damaged payloads decode to an error or to another value; they never panic, not even when they are printed.

use daybook_vocabulary::VenueEntry;
use daybook_vocabulary::broker::{
    Answered, BookDifference, BooksReconciled, BrokerAnswer, BrokerBook, BrokerFill, BrokerOrder, BrokerPosition,
    BrokerRequest, BrokerStatus, ClockJumped, DifferenceKind, OpenAtBroker, Remedy, TakenUp,
};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::{
    Account, Action, Alarm, Bar, BasisPoints, BookLevel, Candle, Cause, Charges, CheckpointWritten, Command, Date,
    Decision, Depth, Evaluation, Event, FeedChange, FeedState, Fetched, Fill, Hash, InputFilter, InputJournal,
    Instrument, InstrumentId, Interval, Kind, Label, LimitChange, LimitKind, LimitMoved, Measure, ModelNumber, Money,
    Nanos, OperatorCommand, OrderEvent, OrderId, OrderIntent, OrderModified, OrderState, OrderType, OrderUpdate,
    Parent, PayloadBuffer, Price, Promotion, Quantity, Quarantine, Quote, Ratio, RequestKind, RequestRefused,
    RiskVerdict, RulesFollowed, Ruling, RunEnded, RunStarted, Series, SessionClosed, SessionHeader, SessionMode,
    SessionOpened, Side, SliceTaken, StateDigest, StopTightened, TimeInForce, TradeClosed, TradeMeasures, TradePrint,
    Trail, TrainingStarted, TrainingStep, Verdict,
};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Set it to write the files that are missing.
const WRITE: &str = "DAYBOOK_WRITE_GOLDEN";

#[test]
fn every_kind_has_its_golden_bytes() {
    let mut faults = Vec::new();
    for &kind in Kind::ALL {
        let event = example(kind);
        assert_eq!(event.kind(), kind, "the example of {kind} is of another kind");
        let (schema, payload) = encode(&event);
        let name = format!("{kind}.v{schema}.hex");
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(&name);
        if std::env::var_os(WRITE).is_some() && !path.exists() {
            std::fs::write(&path, to_hex(&payload)).expect("the folder of golden files can be written");
        }
        let Ok(text) = std::fs::read_to_string(&path) else {
            faults.push(format!("{name} is missing: run `{WRITE}=1 cargo test -p daybook-vocabulary` and check it in"));
            continue;
        };
        let golden = from_hex(&text);
        if golden.as_slice() != payload.as_slice() {
            faults.push(format!(
                "{name}: the bytes of {kind} changed. Journals hold the old ones: give the struct a new schema number"
            ));
        }
        let decoded = Event::decode(kind.number(), schema, &golden);
        assert_eq!(decoded.as_ref(), Ok(&event), "{name} decodes to another value");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_golden_file_belongs_to_a_kind_and_decodes() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("the golden files are checked in") {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (word, schema) = name.strip_suffix(".hex").and_then(|stem| stem.split_once(".v")).expect(&name);
        let kind: Kind = word.parse().expect(&name);
        let schema: u8 = schema.parse().expect(&name);
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        let payload = from_hex(&text);
        assert!(Event::decode(kind.number(), schema, &payload).is_ok(), "{name} no longer decodes");
        seen += 1;
    }
    assert!(seen > 0, "the golden files are checked in");
}

/// Journals on disk hold headers of schema 1: they read as headers without a parent.
#[test]
fn a_header_from_before_forks_has_no_parent() {
    let text = include_str!("golden/session-header.v1.hex");
    let decoded = Event::decode(Kind::SessionHeader.number(), 1, &from_hex(text));
    assert_eq!(
        decoded,
        Ok(Event::SessionHeader(SessionHeader { parent: None, ancestors: Vec::new(), ..session_header() }))
    );
    let cut = from_hex(text);
    assert!(Event::decode(Kind::SessionHeader.number(), 1, &cut[..cut.len() - 8]).is_err());
}

/// Journals on disk hold headers of schema 2: they read as headers of a run or of a fork of a run.
#[test]
fn a_header_from_before_forks_of_forks_has_no_ancestors() {
    let text = include_str!("golden/session-header.v2.hex");
    let decoded = Event::decode(Kind::SessionHeader.number(), 2, &from_hex(text));
    assert_eq!(decoded, Ok(Event::SessionHeader(SessionHeader { ancestors: Vec::new(), ..session_header() })));
}

/// Journals on disk hold trades of schema 1: they read as trades that were not measured.
#[test]
fn a_trade_from_before_it_was_measured_has_no_measures() {
    let text = include_str!("golden/trade-closed.v1.hex");
    let decoded = Event::decode(Kind::TradeClosed.number(), 1, &from_hex(text));
    assert_eq!(decoded, Ok(Event::TradeClosed(TradeClosed { measures: None, ..trade_closed() })));
    let cut = from_hex(text);
    assert!(Event::decode(Kind::TradeClosed.number(), 1, &cut[..cut.len() - 8]).is_err());
}

/// Journals on disk hold intents of schema 1: they read as intents that neither trail nor expire.
#[test]
fn an_intent_from_before_trails_has_none() {
    let text = include_str!("golden/order-intent.v1.hex");
    let decoded = Event::decode(Kind::OrderIntent.number(), 1, &from_hex(text));
    let old = OrderIntent {
        order_type: OrderType::StopLimit,
        time_in_force: TimeInForce::Ioc,
        verdict: Verdict::InsufficientCash,
        trail: None,
        expires: None,
        client: 0,
        ..order_intent()
    };
    assert_eq!(decoded, Ok(Event::OrderIntent(old)));
    let cut = from_hex(text);
    assert!(Event::decode(Kind::OrderIntent.number(), 1, &cut[..cut.len() - 8]).is_err());
}

#[test]
fn a_payload_decodes_wherever_it_lies() {
    for &kind in Kind::ALL {
        let event = example(kind);
        let (schema, payload) = encode(&event);
        for offset in 0..8 {
            let mut shifted = PayloadBuffer::new();
            shifted.extend_from_slice(&vec![0xaa; offset]);
            shifted.extend_from_slice(&payload);
            let decoded = Event::decode(kind.number(), schema, &shifted[offset..]);
            assert_eq!(decoded.as_ref(), Ok(&event), "{kind} at offset {offset}");
        }
    }
}

#[test]
fn damaged_payloads_never_panic() {
    let mut refused = 0u32;
    let mut look = |kind: Kind, schema: u8, payload: &[u8]| match Event::decode(kind.number(), schema, payload) {
        // What passes must also be printable: `journal cat` shows it before anyone verified the file.
        Ok(event) => assert!(!serde_json::to_string(&event).expect("every event prints").is_empty()),
        Err(_) => refused += 1,
    };
    for &kind in Kind::ALL {
        let (schema, payload) = encode(&example(kind));
        for length in 0..payload.len() {
            look(kind, schema, &payload[..length]);
        }
        for index in 0..payload.len() {
            for mask in [1u8, 2, 4, 8, 16, 32, 64, 128, 255] {
                let mut damaged = PayloadBuffer::new();
                damaged.extend_from_slice(&payload);
                damaged[index] ^= mask;
                look(kind, schema, &damaged);
            }
        }
    }
    assert!(refused > 1_000, "damage that is never noticed was not damage: {refused}");
}

#[test]
fn unknown_kinds_and_schemas_say_what_to_do() {
    for kind in (0..=u16::from(u8::MAX)).filter(|&number| Kind::from_number(number).is_none()) {
        let error = Event::decode(kind, 1, &[]).unwrap_err().to_string();
        assert!(error.contains(&kind.to_string()) && error.contains("upgrade"), "{error}");
    }
    for &kind in Kind::ALL {
        // Older schemas stay readable, so they are not unknown.
        let newest = encode(&example(kind)).0;
        for schema in (0..=u8::MAX).filter(|&schema| schema == 0 || schema > newest) {
            let error = Event::decode(kind.number(), schema, &[]).unwrap_err().to_string();
            assert!(error.contains(kind.word()) && error.contains("upgrade"), "{error}");
        }
    }
}

/// A payload begins at a multiple of eight in the journal and is read there: nothing in it may want more.
#[test]
fn no_payload_wants_more_than_eight_byte_alignment() {
    macro_rules! archived {
        ($($payload:ty),* $(,)?) => {$(
            assert!(align_of::<rkyv::Archived<$payload>>() <= 8, "{} in the journal", stringify!($payload));
        )*};
    }
    archived!(
        SessionHeader,
        RunStarted,
        RunEnded,
        Instrument,
        Fetched,
        FeedState,
        Quarantine,
        OrderIntent,
        OrderUpdate,
        Fill
    );
    archived!(SessionOpened, SessionClosed, SliceTaken);
    archived!(TradeClosed, Account, StateDigest, Alarm, OperatorCommand, RiskVerdict, LimitMoved, Decision);
    archived!(OrderModified, StopTightened, RequestRefused, VenueEntry);
    archived!(BrokerAnswer, BrokerOrder, BrokerFill, BrokerBook, TakenUp, ClockJumped, BookDifference, BooksReconciled);
    assert_eq!((align_of::<Candle>(), align_of::<Bar>()), (8, 8));
    assert_eq!((align_of::<Quote>(), align_of::<TradePrint>(), align_of::<Depth>()), (8, 8, 8));
}

fn encode(event: &Event) -> (u8, PayloadBuffer) {
    let mut payload = PayloadBuffer::new();
    let schema = event.encode(&mut payload);
    (schema, payload)
}

/// Thirty-two bytes a line, so that a diff shows where they changed.
fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(32) {
        for byte in line {
            write!(text, "{byte:02x}").unwrap();
        }
        text.push('\n');
    }
    text
}

fn from_hex(text: &str) -> PayloadBuffer {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let mut bytes = PayloadBuffer::new();
    for pair in digits.chunks(2) {
        bytes.push(u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).expect("two hexadecimal digits"));
    }
    bytes
}

const CAUSE: Cause = Cause { rank: 1, seq: 0x0102_0304_0506 };

fn hash(byte: u8) -> Hash {
    Hash([byte; 32])
}

fn candle() -> Candle {
    Candle::new(CandleParts {
        open_time: Nanos(1_738_295_100_000_000_000),
        interval: Interval::minutes(5),
        open: Price(162_705_000_000),
        high: Price(163_000_000_000),
        low: Price(162_500_000_001),
        close: Price(162_999_000_000),
        volume: Quantity(1_234_500_000_000),
        revises: true,
    })
}

fn instrument() -> Instrument {
    Instrument { market: "nse".into(), symbol: "RELIANCE".into(), tick: Price(5_000_000), lot: Quantity(100_000_000) }
}

fn feed_state() -> FeedState {
    FeedState {
        change: FeedChange::Connected,
        gap_since: Some(Nanos(1_749_526_200_000_000_000)),
        dropped: 7,
        reason: "silent for 5000 ms".to_owned(),
    }
}

fn venue_entry() -> VenueEntry {
    VenueEntry { venue: "kite".into(), text: "{\"did\":\"kill\"}".into() }
}

fn fetched() -> Fetched {
    Fetched {
        source: "kite".to_owned(),
        market: "nse".to_owned(),
        symbol: "RELIANCE".to_owned(),
        interval: Interval(300),
        after: Nanos(1_748_715_400_000_000_000),
        until: Nanos(1_749_493_000_000_000_000),
        rows: 450,
    }
}

/// The fixed example of a kind. A new kind gets its line here and its file.
fn example_of_learning(kind: Kind) -> Event {
    let number = |value: f32| ModelNumber::new(value).expect("finite");
    match kind {
        Kind::TrainingStarted => Event::TrainingStarted(TrainingStarted {
            step: 0,
            seed: 42,
            data: Hash([7; 32]),
            parameters: 49_000,
            settings: "{\"batch_size\":512}".to_owned(),
        }),
        Kind::TrainingStep => Event::TrainingStep(TrainingStep {
            step: 12,
            transitions: 5_120,
            actions: [1_000, 2_000, 2_120],
            loss: number(0.25),
            reward: number(-0.01),
            q: number(0.125),
            gradient_norm: number(1.5),
            epsilon: Ratio(10_000_000),
        }),
        Kind::CheckpointWritten => {
            Event::CheckpointWritten(CheckpointWritten { step: 12, checkpoint: Hash([8; 32]), model: Hash([9; 32]) })
        }
        Kind::Evaluation => Event::Evaluation(Evaluation {
            model: Hash([9; 32]),
            steps: 12,
            data: Hash([6; 32]),
            decisions: 3_000,
            actions: [500, 500, 2_000],
            avg_reward: number(0.0625),
            report: "{\"trades\":20}".to_owned(),
        }),
        Kind::Promotion => Event::Promotion(Promotion {
            model: Hash([9; 32]),
            previous: Some(Hash([5; 32])),
            avg_reward: number(0.0625),
            previous_reward: Some(number(0.03125)),
            promoted: true,
            reason: "strictly better".to_owned(),
        }),
        other => panic!("{other} is no event of learning"),
    }
}

fn example(kind: Kind) -> Event {
    match kind {
        Kind::SessionHeader => Event::SessionHeader(session_header()),
        Kind::RunStarted => Event::RunStarted(RunStarted {
            command: "ingest".into(),
            id: hash(1),
            revises: true,
            files: vec![hash(2), hash(3)],
        }),
        Kind::RunEnded => Event::RunEnded(run_ended()),
        Kind::Instrument => Event::Instrument(instrument()),
        Kind::Candle => Event::Candle(candle()),
        Kind::FeedState => Event::FeedState(feed_state()),
        Kind::Fetched => Event::Fetched(fetched()),
        Kind::Quarantine => Event::Quarantine(Quarantine {
            file: hash(4),
            line: 17,
            reason: "outside_session".into(),
            row: "2025-01-31 08:00:00,1,2,3,4,₹".into(),
        }),
        Kind::Quote => {
            Event::Quote(Quote::new(Nanos(5), (Price(99), Quantity(7)), (Price(101), Quantity(9_000_000_000))))
        }
        Kind::TradePrint => Event::TradePrint(TradePrint::new(Nanos(-6), Price(100), Quantity(8))),
        Kind::Depth => Event::Depth(depth()),
        _ => concluded(kind),
    }
}

/// The same for what the core concludes, and what came later.
fn concluded(kind: Kind) -> Event {
    match kind {
        Kind::Bar => Event::Bar(Bar::new(CAUSE, candle())),
        Kind::OrderIntent => Event::OrderIntent(order_intent()),
        Kind::OrderUpdate => Event::OrderUpdate(OrderUpdate {
            cause: CAUSE,
            order: OrderId(7),
            event: OrderEvent::Cancelled,
            state: OrderState::PendingCancel,
            filled: Quantity(300_000_000),
            reason: Label::new("one-cancels-other"),
        }),
        Kind::Fill => Event::Fill(fill()),
        Kind::TradeClosed => Event::TradeClosed(trade_closed()),
        Kind::Account => Event::Account(account()),
        Kind::StateDigest => Event::StateDigest(StateDigest {
            cause: CAUSE,
            inputs: 65_536,
            digest: Hash(std::array::from_fn(|i| i as u8)),
        }),
        Kind::Alarm => Event::Alarm(Alarm {
            cause: CAUSE,
            code: Label::new("order-contradiction"),
            text: "order 7 is filled and was told 'cancelled'".into(),
        }),
        Kind::SessionOpened => Event::SessionOpened(SessionOpened {
            date: Date(20_119),
            open: Nanos(1_738_295_100_000_000_000),
            close: Nanos(1_738_317_600_000_000_000),
        }),
        Kind::SessionClosed => Event::SessionClosed(SessionClosed { date: Date(20_119) }),
        Kind::SliceTaken => {
            Event::SliceTaken(SliceTaken { interval: Interval::MINUTE, at: Nanos(1_738_295_160_000_000_000) })
        }
        Kind::OrderModified => Event::OrderModified(OrderModified {
            cause: CAUSE,
            order: OrderId(7),
            event: OrderEvent::Modified,
            state: OrderState::PendingModify,
            quantity: Quantity(900_000_000),
            limit: None,
            stop: Some(Price(162_500_000_000)),
            reason: Label::new("resized"),
        }),
        Kind::StopTightened => Event::StopTightened(StopTightened {
            cause: CAUSE,
            order: OrderId(7),
            from: Price(160_000_000_000),
            to: Price(160_500_000_000),
            best: Price(162_500_000_000),
            reason: Label::new("trail"),
        }),
        Kind::RequestRefused => Event::RequestRefused(RequestRefused {
            cause: CAUSE,
            order: OrderId(8),
            request: RequestKind::Replace,
            verdict: Verdict::OrderEnded,
            reason: Label::new("closer"),
        }),
        Kind::VenueEntry => Event::VenueEntry(venue_entry()),
        Kind::OperatorCommand | Kind::RiskVerdict | Kind::LimitMoved | Kind::Decision => risk_example(kind),
        Kind::TrainingStarted | Kind::TrainingStep | Kind::CheckpointWritten | Kind::Evaluation | Kind::Promotion => {
            example_of_learning(kind)
        }
        _ => of_a_broker(kind),
    }
}

/// The examples of what a networked broker says, and of what came of it.
fn of_a_broker(kind: Kind) -> Event {
    let number = || "1953341975595868160".to_owned();
    match kind {
        Kind::BrokerAnswer => Event::BrokerAnswer(BrokerAnswer {
            order: OrderId(7),
            request: BrokerRequest::Cancel,
            answer: Answered::Refused,
            broker_order: number(),
            kind: Label::new("order"),
            message: "it is being processed".to_owned(),
        }),
        Kind::BrokerOrder => Event::BrokerOrder(broker_order(number())),
        Kind::BrokerFill => Event::BrokerFill(BrokerFill {
            trade: "75894751".to_owned(),
            broker_order: number(),
            side: Side::Buy,
            quantity: Quantity::from_units(4),
            price: Price::from_units(1_300),
            exchange_time: Nanos(1_738_295_160_000_000_000),
        }),
        Kind::BrokerBook => Event::BrokerBook(broker_book(number())),
        Kind::TakenUp => Event::TakenUp(TakenUp { frames: 812 }),
        Kind::ClockJumped => Event::ClockJumped(ClockJumped { from: Nanos(900), to: Nanos(5) }),
        Kind::BookDifference => Event::BookDifference(BookDifference {
            cause: CAUSE,
            what: DifferenceKind::OrderQuantity,
            order: OrderId(7),
            broker_order: number(),
            ours: Measure(1_000_000_000),
            theirs: Measure(400_000_000),
            remedy: Remedy::Flatten,
        }),
        Kind::BooksReconciled => Event::BooksReconciled(BooksReconciled { cause: CAUSE, positions: 2, orders: 3 }),
        _ => unreachable!("{kind} has its example above"),
    }
}

fn broker_order(broker_order: String) -> BrokerOrder {
    BrokerOrder {
        order: OrderId(7),
        broker_order,
        tag: "ABCDEFGHJKLMNPQRSTUV".to_owned(),
        status: BrokerStatus::Working,
        word: Label::new("TRIGGER PENDING"),
        side: Side::Sell,
        quantity: Quantity::from_units(10),
        filled: Quantity::from_units(4),
        pending: Quantity::from_units(6),
        cancelled: Quantity::ZERO,
        average: Price::from_units(1_300),
        limit: None,
        stop: Some(Price::from_units(1_290)),
        registered: Some(Nanos(1_738_295_160_000_000_000)),
        updated: None,
        message: String::new(),
    }
}

fn broker_book(broker_order: String) -> BrokerBook {
    let (side, quantity, filled) = (Side::Sell, Quantity::from_units(10), Quantity::from_units(4));
    let (limit, stop) = (Some(Price::from_units(1_289)), Some(Price::from_units(1_290)));
    let instrument = InstrumentId(3);
    BrokerBook {
        asked: Nanos(1_738_295_160_000_000_000),
        positions: vec![BrokerPosition {
            instrument,
            product: Label::new("MIS"),
            quantity: Quantity::from_units(-5),
            average: Price::from_units(1_301),
        }],
        open: vec![OpenAtBroker { order: OrderId(7), broker_order, instrument, side, quantity, filled, limit, stop }],
        funds: Some(Money::from_units(100_000)),
    }
}

/// The examples of risk and decisions.
fn risk_example(kind: Kind) -> Event {
    match kind {
        Kind::OperatorCommand => {
            Event::OperatorCommand(OperatorCommand { command: Command::Halt, source: Label::new("sigterm") })
        }
        Kind::RiskVerdict => Event::RiskVerdict(RiskVerdict {
            cause: CAUSE,
            order: OrderId(7),
            verdict: Verdict::GrossExposure,
            limit: Measure(100_000_000_000_000),
            observed: Measure(1 << 100),
        }),
        Kind::LimitMoved => Event::LimitMoved(LimitMoved {
            cause: CAUSE,
            session: Date(20_119),
            limit: LimitKind::DailyLossR,
            change: LimitChange::Tripped,
            flatten: true,
            allowed: Measure(300_000_000),
            observed: Measure(-310_000_000),
        }),
        Kind::Decision => Event::Decision(decision()),
        other => unreachable!("{other} has its example elsewhere"),
    }
}

fn decision() -> Decision {
    Decision {
        cause: CAUSE,
        decision: 9,
        action: Action::Sell,
        ruling: Ruling::EnterShort,
        confidence: Ratio(62_500_000),
        q: [-0.25, 1.5e-7, 3.0].map(|value| ModelNumber::new(value).expect("finite")),
        model: hash(11),
        features: hash(12),
    }
}

fn depth() -> Depth {
    let level = |number: i64| BookLevel::new(Price(number), Quantity(number * 3), number % 5);
    Depth::new(Nanos(7), std::array::from_fn(|i| level(90 - i as i64)), std::array::from_fn(|i| level(91 + i as i64)))
}

fn session_header() -> SessionHeader {
    SessionHeader {
        mode: SessionMode::Backtest,
        binary: hash(5),
        config: hash(6),
        calendar: hash(7),
        strategy: "sma-cross".into(),
        settings: r#"{"parameters":{"fast":"10"}}"#.into(),
        seed: 0x5eed,
        inputs: vec![InputJournal {
            rank: 1,
            id: "00112233445566778899aabbccddeeff".into(),
            last_seq: 99,
            content: hash(8),
        }],
        filter: InputFilter {
            symbols: vec!["INFY".into(), "RELIANCE".into()],
            interval: Interval::minutes(5),
            from: Some(Date(20_119)),
            to: None,
            warmup: 29,
        },
        parent: Some(Parent {
            journal_head: hash(9),
            seq: 41,
            content: hash(10),
            outputs: 38,
            strategy: "sma-cross".into(),
            settings: r#"{"parameters":{"fast":"5"}}"#.into(),
        }),
        ancestors: vec![Parent {
            journal_head: hash(13),
            seq: 20,
            content: hash(14),
            outputs: 17,
            strategy: "hold".into(),
            settings: "{}".into(),
        }],
    }
}

fn run_ended() -> RunEnded {
    RunEnded {
        id: hash(1),
        rows: 1_000,
        kept: 990,
        duplicates: 4,
        merged: 1,
        quarantined: vec![("broken_ohlc".into(), 2), ("outside_session".into(), 3)],
        series: vec![Series {
            instrument: InstrumentId(1),
            definition: instrument(),
            interval: Interval::DAY,
            candles: 990,
            first: Nanos(-86_400_000_000_000),
            last: Nanos(1_738_295_100_000_000_000),
        }],
    }
}

fn order_intent() -> OrderIntent {
    OrderIntent {
        cause: CAUSE,
        order: OrderId(7),
        side: Side::Sell,
        order_type: OrderType::TrailingStop,
        time_in_force: TimeInForce::Gtd,
        verdict: Verdict::BadTrail,
        quantity: Quantity(1_000_000_000),
        limit: Some(Price(162_500_000_000)),
        stop: None,
        reference: Price(162_999_000_000),
        reason: Label::new("cross-down"),
        trail: Some(Trail::Atr(Ratio(250_000_000), Price(75_000_000))),
        expires: Some(Nanos(1_738_295_100_000_000_000)),
        client: 0x0102_0304,
    }
}

fn fill() -> Fill {
    Fill {
        cause: CAUSE,
        order: OrderId(7),
        side: Side::Buy,
        state: OrderState::PartiallyFilled,
        quantity: Quantity(300_000_000),
        price: Price(162_705_000_000),
        reference_price: Price(162_700_000_000),
        slippage_bps: BasisPoints(3_073_140),
        model: Label::new("none"),
        exchange_time: Nanos(1_738_295_100_000_000_000),
        position: Quantity(-700_000_000),
        charges: Charges {
            brokerage: Money(2_000_000_000),
            transaction_tax: Money(1),
            exchange_fee: Money(-2),
            regulator_fee: Money(i128::MAX),
            stamp_duty: Money(i128::MIN),
            service_tax: Money(1 << 64),
            depository_fee: Money(1_534_000_000),
        },
    }
}

fn trade_closed() -> TradeClosed {
    TradeClosed {
        cause: CAUSE,
        trade: 3,
        side: Side::Sell,
        quantity: Quantity(1_000_000_000),
        entry_order: OrderId(5),
        exit_order: OrderId(7),
        entry_time: Nanos(1_738_208_700_000_000_000),
        exit_time: Nanos(1_738_295_100_000_000_000),
        entry_price: Price(163_000_000_000),
        exit_price: Price(162_705_000_000),
        gross: Money(2_950_000_000),
        fees: Money(4_000_000_000),
        bars: 75,
        entry_reason: Label::new("cross-down"),
        exit_reason: Label::new("max-hold"),
        measures: Some(TradeMeasures {
            stop: Some(Price(164_000_000_000)),
            high: Price(163_500_000_000),
            low: Price(161_000_000_000),
            planned: Money(3_000_000_000),
            exit_fees: Money(1_500_000_000),
            entry_slippage: Money(-1),
            exit_slippage: Money(1 << 90),
            decision: 9,
            rules: RulesFollowed(0b1011_1111),
        }),
    }
}

fn account() -> Account {
    Account {
        cause: CAUSE,
        session: Date(-1),
        cash: Money(-5),
        equity: Money::from_units(10_000_000),
        long_value: Money(1 << 100),
        short_value: Money(6),
        realised: Money(-7),
        unrealised: Money(8),
        fees: Money(9),
        positions: 2,
    }
}
