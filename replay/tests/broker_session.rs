//! A session with a broker through recorder and journal: a broker in a few lines that speaks Kite's JSON, cut anywhere.
//!
//! - The desk here is honest and at once; what a broker does to a core when it is neither is `engine/core/tests/broker`.

#[allow(dead_code, reason = "it is shared with tests that use the rest of it")]
mod recorded;

use daybook_adapters::kite::OrderCommand;
use daybook_adapters::kite::orders::{OrderRow, Outcome, PositionRow, TradeRow};
use daybook_adapters::kite::values::Pricing;
use daybook_core::Core;
use daybook_journal::{Journal, Writer};
use daybook_replay::live::{About, Heard, Names, Recorder};
use daybook_replay::winner::Trust;
use daybook_replay::{BacktestOptions, ForkOptions, Prepared, Recorded, ReplayError, audit, fork, recorded_inputs};
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{
    BrokerBook, Command, Event, Hash, Instrument, InstrumentId, Label, Nanos, OperatorCommand, OrderIntent, OrderType,
    Price, Quantity, SessionHeader, SessionMode, TakenUp, Verdict,
};
use recorded::{BINARY, cut, events, feed, market, options, small};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

const ONE: i64 = 100_000_000;

/// A broker: its book of orders and trades as JSON, and what it holds.
struct Desk {
    names: Names,
    instruments: Vec<Instrument>,
    orders: Vec<Value>,
    trades: Vec<Value>,
    /// Rows and trades as they were told last.
    told: (Vec<Value>, usize),
    /// Answers and rows that were not told yet.
    words: VecDeque<Heard>,
}

impl Desk {
    fn new(run: [u8; 16], instruments: &[Instrument]) -> Self {
        let names = Names::new(run, instruments.to_vec(), 0, Some("2.5".parse().unwrap()));
        let (instruments, told) = (instruments.to_vec(), (Vec::new(), 0));
        Self { names, instruments, orders: Vec::new(), trades: Vec::new(), told, words: VecDeque::new() }
    }

    fn do_all(&mut self, core: &Core, outputs: &[daybook_core::Output]) {
        let commands: Vec<_> = outputs.iter().filter_map(|output| self.names.command(core, output)).collect();
        for (about, command) in commands {
            let outcome = self.take(about, command);
            self.words.push_back(Heard::Answer(about.instrument, daybook_replay::live::answer_of(about, outcome)));
            self.tell_rows();
        }
    }

    fn take(&mut self, about: About, command: OrderCommand) -> Outcome {
        match command {
            OrderCommand::Place(order) => {
                let fields: BTreeMap<_, _> = order.fields().unwrap().into_iter().collect();
                assert!(!self.orders.iter().any(|row| row["tag"] == fields["tag"].as_str()), "placed twice");
                let number = format!("25061000000{:04}", self.orders.len());
                let number_of =
                    |name: &str| fields.get(name).map_or(json!(0), |text| text.parse::<f64>().unwrap().into());
                let waits = fields.contains_key("trigger_price");
                self.orders.push(json!({
                    "order_id": number, "status": if waits { "TRIGGER PENDING" } else { "OPEN" }, "exchange": "NSE",
                    "tradingsymbol": fields["tradingsymbol"], "transaction_type": fields["transaction_type"],
                    "order_type": fields["order_type"], "product": fields["product"], "validity": "DAY",
                    "variety": "regular", "quantity": number_of("quantity"), "filled_quantity": 0,
                    "pending_quantity": number_of("quantity"), "price": number_of("price"),
                    "trigger_price": number_of("trigger_price"), "average_price": 0, "tag": fields["tag"],
                }));
                Outcome::Registered(number)
            }
            OrderCommand::Modify(change) => {
                let row = self.row(&change.order_id);
                row["quantity"] = json!(change.quantity.unwrap().0 / ONE);
                row["trigger_price"] = json!(change.trigger.map_or(0.0, |it| it.to_string().parse::<f64>().unwrap()));
                if change.pricing == Pricing::Market {
                    (row["order_type"], row["status"]) = (json!("MARKET"), json!("OPEN"));
                }
                Outcome::Registered(change.order_id)
            }
            OrderCommand::Cancel { order_id, .. } => {
                let _ = about;
                self.row(&order_id)["status"] = json!("CANCELLED");
                Outcome::Registered(order_id)
            }
        }
    }

    fn row(&mut self, number: &str) -> &mut Value {
        self.orders.iter_mut().find(|row| row["order_id"] == number).expect("an order of this desk")
    }

    /// The market trades at a price: what can fill does, two pieces at a time.
    fn trade(&mut self, id: InstrumentId, price: Price, now: Nanos) {
        let symbol = self.instruments[id.index()].symbol.clone();
        let at = price.to_string().parse::<f64>().unwrap();
        let mut filled = false;
        for row in &mut self.orders {
            let buys = row["transaction_type"] == "BUY";
            let trigger = row["trigger_price"].as_f64().unwrap();
            let reached = if buys { at >= trigger } else { at <= trigger };
            if row["tradingsymbol"] != symbol.as_str() || row["status"] == "COMPLETE" || row["status"] == "CANCELLED" {
                continue;
            }
            if row["status"] == "TRIGGER PENDING" && reached {
                row["status"] = json!("OPEN");
            }
            let limit = row["price"].as_f64().unwrap();
            let allowed = row["order_type"] == "MARKET" || row["order_type"] == "SL-M" || at <= limit;
            if row["status"] != "OPEN" || !allowed {
                continue;
            }
            let (wanted, before) = (whole(&row["quantity"]), whole(&row["filled_quantity"]));
            let more = 2.min(wanted - before);
            row["filled_quantity"] = json!(before + more);
            row["pending_quantity"] = json!(wanted - before - more);
            if before + more == wanted {
                row["status"] = json!("COMPLETE");
            }
            let stamp = daybook_adapters::kite::values::local_text(now);
            self.trades.push(json!({
                "trade_id": format!("{}", 7_000 + self.trades.len()), "order_id": row["order_id"], "exchange": "NSE",
                "tradingsymbol": symbol, "transaction_type": row["transaction_type"], "quantity": more,
                "average_price": at, "fill_timestamp": stamp,
            }));
            filled = true;
        }
        if filled {
            self.tell_rows();
            self.tell_trades(now);
        }
    }

    fn tell_rows(&mut self) {
        let told = std::mem::replace(&mut self.told.0, self.orders.clone());
        let fresh = self.orders.iter().enumerate().filter(|(place, row)| told.get(*place) != Some(*row));
        let rows: Vec<OrderRow> = fresh.map(|(_, row)| read(row)).collect();
        let told = rows.iter().filter_map(|row| self.names.row(row));
        self.words.extend(told.map(|(id, row)| Heard::BrokerOrder(id, row)));
    }

    fn tell_trades(&mut self, now: Nanos) {
        let from = std::mem::replace(&mut self.told.1, self.trades.len());
        let rows: Vec<TradeRow> = self.trades[from..].iter().map(read).collect();
        let told = rows.iter().filter_map(|row| self.names.trade(row, now));
        self.words.extend(told.map(|(id, fill)| Heard::BrokerFill(id, fill)));
    }

    fn tell_books(&mut self, asked: Nanos) {
        let works = |row: &&Value| row["status"] != "COMPLETE" && row["status"] != "CANCELLED";
        let rows: Vec<OrderRow> = self.orders.iter().filter(works).map(read).collect();
        let open = rows.iter().filter_map(|row| self.names.open(row)).collect();
        let positions = (0..self.instruments.len()).filter_map(|id| {
            let row: PositionRow = read(&json!({
                "exchange": "NSE", "tradingsymbol": self.instruments[id].symbol, "product": "MIS",
                "quantity": self.held(id), "average_price": self.average(id),
            }));
            self.names.position(&row)
        });
        let positions = positions.collect();
        self.words.push_back(Heard::BrokerBook(BrokerBook { asked, positions, open, funds: None }));
    }

    /// The average of all that was traded on the side that is open.
    fn average(&self, id: usize) -> f64 {
        let side = if self.held(id) > 0 { "BUY" } else { "SELL" };
        let of = |row: &&Value| {
            row["tradingsymbol"] == self.instruments[id].symbol.as_str() && row["transaction_type"] == side
        };
        let sum = |(value, units): (f64, f64), row: &Value| {
            let more = row["quantity"].as_f64().unwrap();
            (value + more * row["average_price"].as_f64().unwrap(), units + more)
        };
        let (value, units) = self.trades.iter().filter(of).fold((0.0, 0.0), sum);
        (1e4 * value / units.max(1.0)).round() / 1e4
    }

    fn held(&self, id: usize) -> i64 {
        let of = |row: &&Value| row["tradingsymbol"] == self.instruments[id].symbol.as_str();
        let signed = |row: &Value| if row["transaction_type"] == "BUY" { 1 } else { -1 } * whole(&row["quantity"]);
        self.trades.iter().filter(of).map(signed).sum()
    }
}

fn whole(value: &Value) -> i64 {
    value.as_f64().unwrap() as i64
}

fn read<T: for<'a> serde::Deserialize<'a>>(row: &Value) -> T {
    serde_json::from_str(&row.to_string()).unwrap()
}

fn live(journal: &Path) -> BacktestOptions {
    let settings = [("live.venue", "broker"), ("risk.protective_stop", "percent:0.4"), ("costs", "zerodha-intraday")];
    options(journal, "sma-cross", &[("fast", "2"), ("slow", "5"), ("quantity", "5")], &settings)
}

fn header(options: &BacktestOptions, prepared: &Prepared) -> SessionHeader {
    SessionHeader { mode: SessionMode::Live, ..recorded::header(options, prepared) }
}

/// Flies the whole market at `path`; hands back what was heard, and what the desk did.
fn fly(path: &Path, options: &BacktestOptions, prepared: &Prepared) -> (Vec<(Nanos, Heard)>, Desk, Hash) {
    let feed = feed(options, prepared);
    let instruments = &prepared.selection.instruments;
    let writer = Writer::create(path, small()).unwrap();
    let core = recorded::core(options, prepared);
    let header = header(options, prepared);
    let mut recorder = Recorder::begin(path.to_owned(), writer, &header, instruments, feed[0].0, core).unwrap();
    let run = Journal::open(path).unwrap().id().unwrap();
    let mut desk = Desk::new(run, instruments);
    let mut heard = Vec::new();
    let mut say = |recorder: &mut Recorder, desk: &mut Desk, time: Nanos, word: Heard| {
        let outputs = recorder.hear(time, &word).unwrap().to_vec();
        heard.push((time, word));
        desk.do_all(recorder.core(), &outputs);
    };
    let arm = OperatorCommand { command: Command::Arm, source: Label::new("test") };
    say(&mut recorder, &mut desk, feed[0].0, Heard::Command(arm));
    for (number, (time, word)) in feed.iter().enumerate() {
        // Books now and then: the first before anything is decided.
        if number % 40 == 1 {
            desk.tell_books(*time + -SECOND);
        }
        if let Heard::Print(id, print) = word {
            desk.trade(*id, print.price(), *time);
        }
        say(&mut recorder, &mut desk, *time, word.clone());
        while let Some(word) = desk.words.pop_front() {
            say(&mut recorder, &mut desk, *time, word);
        }
        for id in 0..instruments.len() {
            let ours = recorder.core().book(InstrumentId(id as u32)).position.quantity;
            assert_eq!(ours, Quantity::from_units(desk.held(id)), "at input {number}: the broker's position is ours");
        }
    }
    let content = Hash(recorder.end(None).unwrap().content.0);
    (heard, desk, content)
}

/// RL-27, RL-28, RL-30, RL-31: a session with a broker trades, covers what it holds, and derives again to the byte.
#[test]
fn a_session_with_a_broker_derives_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = live(&market(dir.path()));
    let prepared = Prepared::open(&options).unwrap();
    let path = dir.path().join("whole");
    let (_, desk, _) = fly(&path, &options, &prepared);
    let report = audit(&Recorded::open(&path).unwrap(), &[], BINARY, None, None, &mut |_| ()).unwrap();
    assert_eq!((report.verdict, report.first_difference), ("equal", None));
    let events = events(&path);
    let mut entries = 0;
    let mut stops = 0;
    for (.., event) in &events {
        match event {
            Event::OrderIntent(intent) if intent.verdict == Verdict::Approved => {
                entries += u32::from(*intent.reason == *"cross-up");
                stops += u32::from(intent.order_type == OrderType::Stop);
            }
            // Nothing ends this market's last day but its close.
            Event::Alarm(alarm) if *alarm.code == *"left-at-close" => {}
            Event::Alarm(alarm) => panic!("{}: {}", alarm.code, alarm.text),
            Event::BookDifference(difference) => panic!("{difference:?}"),
            _ => {}
        }
    }
    assert!(entries > 5 && stops >= entries, "{entries} entries, {stops} stops");
    let fills = events.iter().filter(|(.., event)| matches!(event, Event::Fill(_))).count();
    assert_eq!(fills, desk.trades.len(), "each trade is one fill");
    let charged = events.iter().filter(|(.., event)| matches!(event, Event::Fill(fill) if fill.charges.total().0 > 0));
    assert_eq!(charged.count(), fills, "each fill has its charges");
}

/// Cut off after any frame, taken up and told the rest, a session with a broker ends as if nothing had happened.
#[test]
fn a_session_with_a_broker_cut_off_anywhere_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = live(&market(dir.path()));
    let prepared = Prepared::open(&options).unwrap();
    let whole = dir.path().join("whole");
    let (heard, _, content) = fly(&whole, &options, &prepared);
    let recorded = Recorded::open(&whole).unwrap();
    let frames = recorded.journal.head().frames;
    let places = (recorded.outputs..frames - 1).filter(|at| *at < 70 || at % 307 == 0);
    for at in places {
        let path = dir.path().join(format!("cut-{at}"));
        cut(&whole, &path, at);
        let partial = Recorded::open(&path).unwrap();
        let mut told = 0;
        let mut inputs = partial.inputs();
        while daybook_replay::Source::advance(&mut inputs).unwrap() {
            told += 1;
        }
        let writer = Writer::open(&path, small()).unwrap();
        let mut recorder = Recorder::resume(&partial, writer, recorded::core(&options, &prepared)).unwrap();
        for (time, word) in &heard[told..] {
            recorder.hear(*time, word).unwrap();
        }
        assert_eq!(Hash(recorder.end(None).unwrap().content.0), content, "cut before frame {at}");
        std::fs::remove_dir_all(&path).unwrap();
    }
}

/// RL-28: killed between an intent that is on disk and its order at the broker, nothing is sent again: the order is of
/// unknown fate, and when no book shows it for long enough it never was, with an alarm.
#[test]
fn an_intent_that_was_never_handed_on_is_not_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = live(&market(dir.path()));
    let prepared = Prepared::open(&options).unwrap();
    let whole = dir.path().join("whole");
    let (_, desk, _) = fly(&whole, &options, &prepared);
    let first = events(&whole).iter().position(|(.., event)| matches!(event, Event::OrderIntent(_))).unwrap() as u64;
    let path = dir.path().join("cut");
    cut(&whole, &path, first + 1);
    let partial = Recorded::open(&path).unwrap();
    let writer = Writer::open(&path, small()).unwrap();
    let mut recorder = Recorder::resume(&partial, writer, recorded::core(&options, &prepared)).unwrap();
    let mut now = recorder.now();
    let mut commands = Vec::new();
    let mut hear = |recorder: &mut Recorder, now: Nanos, word: Heard| {
        let outputs = recorder.hear(now, &word).unwrap().to_vec();
        commands.extend(outputs.iter().filter_map(|output| desk.names.command(recorder.core(), output)));
    };
    hear(&mut recorder, now, Heard::TakenUp(TakenUp { frames: first + 1 }));
    let empty = |asked| Heard::BrokerBook(BrokerBook { asked, positions: Vec::new(), open: Vec::new(), funds: None });
    for _ in 0..9 {
        now = now + 5 * SECOND;
        hear(&mut recorder, now, empty(now + -SECOND));
    }
    assert!(commands.is_empty(), "nothing was sent: {commands:?}");
    assert_eq!(recorder.core().working_orders().count(), 0, "nothing is waited for any more");
    assert!(recorder.core().is_reconciled());
    recorder.end(None).unwrap();
    let told: Vec<_> = events(&path).into_iter().map(|(.., event)| event).collect();
    let alarms = told.iter().filter(|event| matches!(event, Event::Alarm(alarm) if *alarm.code == *"never-arrived"));
    let differences = told.iter().filter(|event| matches!(event, Event::BookDifference(_)));
    assert_eq!((alarms.count(), differences.count()), (1, 1));
    let report = audit(&Recorded::open(&path).unwrap(), &[], BINARY, None, None, &mut |_| ()).unwrap();
    assert_eq!(report.verdict, "equal");
}

/// Intents behind a frame that enter. What leaves is not among them: at a broker that is a change of the stop, at our own
/// exchange an order, which has a number.
fn intents(path: &Path, from: u64) -> Vec<(i64, OrderIntent)> {
    let journal = Journal::open(path).unwrap();
    let (mut cursor, mut found) = (journal.cursor(from), Vec::new());
    while let Some(frame) = cursor.next().unwrap() {
        if let Event::OrderIntent(intent) = Event::decode(frame.kind, frame.schema, frame.payload).unwrap()
            && intent.reason.as_str() == "cross-up"
        {
            let (cause, order) = (Default::default(), Default::default());
            found.push((frame.time, OrderIntent { cause, order, ..intent }));
        }
    }
    found
}

/// A fork of a session with a broker, whole or cut off in the middle: our own exchange takes over what works, the broker is
/// not heard any more, and the fork audits. Without a change it decides alike up to the first fill that differs; forked
/// behind the last fill it is the rest of the session.
#[test]
fn a_session_with_a_broker_is_forked() {
    let dir = tempfile::tempdir().unwrap();
    let options = live(&market(dir.path()));
    let prepared = Prepared::open(&options).unwrap();
    let run = dir.path().join("whole");
    std::fs::create_dir(&run).unwrap();
    let session = run.join("journal");
    fly(&session, &options, &prepared);
    let frames = Recorded::open(&session).unwrap().journal.head().frames;
    let half = dir.path().join("half");
    std::fs::create_dir(&half).unwrap();
    cut(&session, &half.join("journal"), frames / 2);
    let fork_of = |run: &Path, at: u64, changes: &[(&str, &str)]| {
        let parent = Recorded::open(&run.join("journal")).unwrap();
        let name = run.file_name().unwrap().to_string_lossy().into_owned();
        let out = dir.path().join(format!("{name}-{at}-{}", changes.len()));
        let changes = changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let options = ForkOptions {
            candidates: Vec::new(),
            calendar_file: None,
            at,
            changes,
            out: out.clone(),
            force: false,
            binary: BINARY,
            limit: 5,
            chart_trades: 5,
            trust: Trust::default(),
        };
        let forked = fork(&parent, &options, &|| 0.0, &mut |_| ())?;
        let journal = Recorded::open(&out.join("journal")).unwrap();
        let report = audit(&journal, &recorded_inputs(&out), BINARY, None, None, &mut |_| ()).unwrap();
        assert_eq!((report.verdict, report.first_difference), ("equal", None), "{name} forked after {at}");
        Ok::<_, ReplayError>((forked, out.join("journal")))
    };
    let told = events(&session);
    let of_kind = |wanted: fn(&Event) -> bool| told.iter().rposition(|(.., event)| wanted(event)).unwrap() as u64;
    let last_fill = of_kind(|event| matches!(event, Event::Fill(_)));
    let (mut alike, mut differ) = (0, 0);
    for at in (4..frames - 2).step_by(frames as usize / 20) {
        let (forked, journal) = fork_of(&run, at, &[]).unwrap();
        // Decided before anything was filled otherwise, nothing is decided otherwise.
        let first = forked.comparison.first_fill.as_ref().map_or(i64::MAX, |first| {
            let sides = [&first.left, &first.right];
            sides.into_iter().flatten().map(|said| said.time.0).min().unwrap()
        });
        let until = |path: &Path, from: u64| -> Vec<(i64, OrderIntent)> {
            intents(path, from).into_iter().filter(|(time, _)| *time <= first).collect()
        };
        let (ours, theirs) = (until(&journal, 0), until(&session, forked.parent.seq + 1));
        assert_eq!(ours, theirs, "forked after {at}");
        (alike, differ) = (alike + ours.len(), differ + usize::from(first < i64::MAX));
        assert!(
            !events(&journal)
                .iter()
                .any(|(.., event)| matches!(event, Event::BrokerFill(_) | Event::BookDifference(_)))
        );
    }
    assert!(alike > 3 && differ > 5, "{alike} intents alike, {differ} forks that fill otherwise");
    let (forked, _) = fork_of(&run, (last_fill + 12).min(frames - 2), &[]).unwrap();
    assert_eq!((forked.comparison.verdict, forked.comparison.first_fill), ("equal", None), "nothing fills any more");
    let (forked, _) = fork_of(&run, frames / 3, &[("slow", "9")]).unwrap();
    assert_eq!(forked.comparison.verdict, "different");
    for at in (4..frames / 2 - 2).step_by(frames as usize / 5) {
        fork_of(&half, at, &[]).unwrap();
    }
    let refused = fork_of(&run, 50, &[("live.venue", "broker")]).err().unwrap().to_string();
    assert!(refused.contains("live.venue"), "{refused}");
    let beyond = fork_of(&half, frames / 2, &[]).err().unwrap().to_string();
    assert!(beyond.contains("--at takes 0 to"), "{beyond}");
}
