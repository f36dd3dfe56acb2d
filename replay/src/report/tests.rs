//! Tests of whole reports, over sessions made by a seeded generator.

mod session;

use super::*;
use daybook_features::columns::{Cell, ColumnReader, hash_of_file};
use daybook_vocabulary::{Charges, Event, Fill, Kind, OrderIntent, OrderState, Price, Quantity, Side, TradeClosed};
use session::{Recipe, Session};
use std::collections::BTreeMap;
use std::path::PathBuf;

fn report_of(session: &mut Session, folder: &Path) -> Report {
    let (header, facts) = (session.header.clone(), session.facts.clone());
    let mut candles = session.candles();
    super::write(folder, &header, &facts, session, Some(&mut candles), ReportOptions::default()).unwrap()
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// Every shape of run a person may open. With `DAYBOOK_GALLERY` set the reports stay in that folder, to be looked at.
#[test]
fn every_kind_of_run_gives_a_whole_page() {
    let scratch = tempfile::tempdir().unwrap();
    let gallery = std::env::var_os("DAYBOOK_GALLERY").map(PathBuf::from);
    for (name, recipe) in Recipe::all() {
        let folder = gallery.as_deref().unwrap_or(scratch.path()).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let report = report_of(&mut Session::make(&recipe), &folder);
        let page = read(&folder, "report.html");
        assert_well_formed(name, &page);
        assert!(!page.contains("NaN") && !page.contains("inf%") && !page.contains(">inf"), "{name}");
        for outside in ["http://", "https://", "<script", "url(", "@import", "src=", "<link", "onload"] {
            assert!(!page.contains(outside), "{name}: a page needs nothing from outside, but has {outside}");
        }
        assert!(page.len() < 400_000, "{name}: {} bytes", page.len());
        assert_eq!(report.files.len(), 12, "{name}");
        for file in &report.files {
            assert_eq!(hash_of_file(&file.path).unwrap(), (file.hash, file.bytes), "{name}");
        }
        let inside = std::fs::read_dir(&folder).unwrap().count();
        assert_eq!(inside, 12, "{name}: nothing but the report's files is left");
    }
}

/// Tags open and close in order; nothing of the session became a tag.
fn assert_well_formed(name: &str, page: &str) {
    let mut open: Vec<&str> = Vec::new();
    for piece in page.split('<').skip(1) {
        let tag = piece.split('>').next().unwrap();
        let word = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        if matches!(word, "!doctype" | "meta" | "br") || tag.ends_with('/') {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(word), "{name}: </{word}> closes another tag");
        } else {
            open.push(word);
        }
    }
    assert!(open.is_empty(), "{name}: {open:?} never close");
}

#[test]
fn two_runs_give_the_same_bytes_but_for_the_time_they_took() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let recipe = Recipe { sessions: 40, ..Recipe::default() };
    let mut session = Session::make(&recipe);
    let one = report_of(&mut session, first.path());
    let mut again = Session::make(&recipe);
    (again.facts.wall_seconds, again.facts.events_per_second) = (99.0, 1.0);
    let two = report_of(&mut again, second.path());
    for (a, b) in one.files.iter().zip(&two.files) {
        let name = a.path.file_name().unwrap().to_str().unwrap();
        assert_eq!(Some(name), b.path.file_name().unwrap().to_str());
        if name != "summary.json" {
            assert_eq!(a.hash, b.hash, "{name}");
        }
    }
    let timeless = |folder: &Path| {
        let mut summary: serde_json::Value = serde_json::from_str(&read(folder, "summary.json")).unwrap();
        let fields = summary.as_object_mut().unwrap();
        assert!(fields.remove("wall_seconds").is_some() && fields.remove("events_per_second").is_some());
        summary
    };
    assert_eq!(timeless(first.path()), timeless(second.path()));
}

#[test]
fn the_summary_has_its_keys_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let report = report_of(&mut Session::make(&Recipe { sessions: 5, ..Recipe::default() }), folder.path());
    let text = read(folder.path(), "summary.json");
    assert_eq!(text, report.summary.to_json());
    let keys: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("  \"").and_then(|rest| rest.split('"').next())).collect();
    assert_eq!(
        keys.join(","),
        "events,bars,orders,fills,trades,fees_total,fees,final_equity,total_return,cagr,sharpe,sortino,calmar,\
         max_drawdown,max_drawdown_start,max_drawdown_end,win_rate,profit_factor,exposure,turnover,\
         gross_pnl,net_pnl,expectancy,average_win,average_loss,cost_drag,mae_r,mfe,mfe_captured,wall_seconds,\
         events_per_second,state_digest,journal_head,inputs,warnings"
    );
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(value["fees_total"].is_string() && value["final_equity"].is_string(), "money is a decimal string");
    assert!(value["total_return"].is_number() && value["exposure"].is_number(), "ratios are numbers");
    let fees: Vec<_> = text.lines().skip_while(|line| !line.contains("\"fees\"")).skip(1).take(7).collect();
    let names: Vec<_> = fees.iter().map(|line| line.trim().split('"').nth(1).unwrap()).collect();
    assert_eq!(
        names.join(","),
        "brokerage,transaction_tax,exchange_fee,regulator_fee,stamp_duty,service_tax,depository_fee"
    );
    let input = value["inputs"][0].as_object().unwrap();
    assert_eq!(input.len(), 4);
    assert!(["rank", "id", "last_seq", "content"].iter().all(|key| input.contains_key(*key)));
    let back: Summary = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (back.fees, back.inputs, back.final_equity),
        (report.summary.fees, report.summary.inputs, report.summary.final_equity)
    );
}

/// BT-30, the obvious way: all events in memory, each figure summed on its own. The ratios of the curve have their own
/// twin, beside their formulas.
#[test]
fn the_summary_equals_a_naive_count() {
    for seed in [1, 2, 3] {
        let folder = tempfile::tempdir().unwrap();
        let mut session = Session::make(&Recipe { seed, sessions: 60, refuse_every: 9, ..Recipe::default() });
        let fills: Vec<Fill> = session.events.iter().filter_map(|at| as_fill(&at.event).cloned()).collect();
        let summary = report_of(&mut session, folder.path()).summary;
        let count = |kind: Kind| session.events.iter().filter(|at| at.event.kind() == kind).count() as u64;
        assert_eq!(summary.orders, count(Kind::OrderIntent), "seed {seed}");
        assert_eq!(summary.fills, fills.len() as u64, "seed {seed}");
        assert_eq!(summary.trades, count(Kind::TradeClosed), "seed {seed}");
        let fees: Money = fills.iter().map(|fill| fill.charges.total()).sum();
        assert_eq!(summary.fees_total, fees, "seed {seed}");
        assert_eq!(summary.fees.total(), fees, "seed {seed}");
        let mut charges = Charges::default();
        fills.iter().for_each(|fill| charges.add(&fill.charges));
        assert_eq!(summary.fees, charges, "seed {seed}");
        let equity: Vec<Money> = session.events.iter().filter_map(|at| as_equity(&at.event)).collect();
        assert_eq!(Some(&summary.final_equity), equity.last(), "seed {seed}");
        let mean = equity.iter().map(|value| value.to_f64()).sum::<f64>() / equity.len() as f64;
        let traded: Money = fills.iter().map(|fill| fill.price.times(fill.quantity)).sum();
        let turnover = summary.turnover.unwrap();
        assert!((turnover - traded.to_f64() / mean).abs() < 1e-9 * turnover, "seed {seed}");
        let wins = session.events.iter().filter(|at| is_win(&at.event)).count() as f64;
        assert_eq!(summary.win_rate, Some(wins / summary.trades as f64), "seed {seed}");
        let trades: Vec<&TradeClosed> = session.events.iter().filter_map(|at| as_trade(&at.event)).collect();
        assert_trades_are_counted(&summary, &trades, session.facts.initial_cash, seed);
    }
}

/// Figures of closed trades, from prices and quantities alone.
fn assert_trades_are_counted(summary: &Summary, trades: &[&TradeClosed], initial: Money, seed: u64) {
    let near = |found: Option<f64>, exact: f64| {
        let found = found.unwrap_or(f64::NAN);
        assert!((found - exact).abs() <= 1e-7 * exact.abs().max(1.0), "seed {seed}: {found}, {exact}");
    };
    let money = |found: Option<Money>, exact: f64| near(found.map(Money::to_f64), exact);
    let nets: Vec<f64> = trades.iter().map(|trade| trade.gross.to_f64() - trade.fees.to_f64()).collect();
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    let mean = |values: &[f64]| sum(values) / values.len() as f64;
    let (wins, losses): (Vec<f64>, Vec<f64>) = nets.iter().partition(|net| **net > 0.0);
    let losses: Vec<f64> = losses.into_iter().filter(|net| *net < 0.0).map(f64::abs).collect();
    near(Some(summary.gross_pnl.to_f64()), trades.iter().map(|trade| trade.gross.to_f64()).sum());
    near(Some(summary.net_pnl.to_f64()), sum(&nets));
    money(summary.expectancy, mean(&nets));
    money(summary.average_win, mean(&wins));
    money(summary.average_loss, mean(&losses));
    near(summary.profit_factor, sum(&wins) / sum(&losses));
    near(summary.cost_drag, summary.fees_total.to_f64() / initial.to_f64());
    let measured = trades.iter().filter_map(|trade| Some((*trade, trade.measures?)));
    let (mut adverse, mut best, mut captured) = (Vec::new(), Vec::new(), Vec::new());
    for (trade, measures) in measured {
        let (entry, quantity) = (trade.entry_price.to_f64(), trade.quantity.to_f64());
        let (up, down) = (measures.high.to_f64() - entry, entry - measures.low.to_f64());
        let (with, against) = if trade.side == Side::Buy { (up, down) } else { (down, up) };
        let favourable = (with * quantity).max(0.0);
        best.push(favourable);
        if favourable > 0.0 {
            captured.push((trade.gross.to_f64() - trade.fees.to_f64()) / favourable * 100.0);
        }
        if let Some(stop) = measures.stop.filter(|stop| *stop != trade.entry_price) {
            adverse.push(against.max(0.0) / (entry - stop.to_f64()).abs());
        }
    }
    for (found, values) in [(summary.mae_r, adverse), (summary.mfe, best), (summary.mfe_captured, captured)] {
        match values.is_empty() {
            true => assert_eq!(found, None, "seed {seed}"),
            // Ratios have eight decimals before they are averaged.
            false => near(found, mean(&values)),
        }
    }
}

fn as_trade(event: &Event) -> Option<&TradeClosed> {
    match event {
        Event::TradeClosed(trade) => Some(trade),
        _ => None,
    }
}

fn as_fill(event: &Event) -> Option<&Fill> {
    match event {
        Event::Fill(fill) => Some(fill),
        _ => None,
    }
}

fn as_equity(event: &Event) -> Option<Money> {
    match event {
        Event::Account(account) => Some(account.equity),
        _ => None,
    }
}

fn is_win(event: &Event) -> bool {
    matches!(event, Event::TradeClosed(trade) if trade.net() > Money::ZERO)
}

#[test]
fn the_tables_say_what_the_journal_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::make(&Recipe { sessions: 30, refuse_every: 7, ..Recipe::default() });
    let report = report_of(&mut session, folder.path());
    let fills: Vec<_> = session.events.iter().filter(|at| as_fill(&at.event).is_some()).collect();
    let text = read(folder.path(), "fills.csv");
    let mut lines = text.lines();
    assert_eq!(
        lines.next().unwrap(),
        "seq,time,exchange_time,symbol,side,quantity,price,reference_price,slippage_bps,fees,order_id"
    );
    for (line, at) in lines.by_ref().zip(&fills) {
        let fill = as_fill(&at.event).unwrap();
        let symbol = &session.symbols[at.stream as usize];
        let expected = format!(
            "{},{},{},{symbol},{},{},{},{},{},{},{}",
            at.seq,
            at.time,
            fill.exchange_time,
            fill.side,
            fill.quantity,
            fill.price,
            fill.reference_price,
            fill.slippage_bps,
            fill.charges.total(),
            fill.order
        );
        assert_eq!(line, expected);
        assert!(line.split(',').nth(1).unwrap().ends_with('Z'), "times are UTC");
    }
    assert_eq!(text.lines().count(), fills.len() + 1);

    let intents = session.events.iter().filter(|at| at.event.kind() == Kind::OrderIntent).count();
    let orders = read(folder.path(), "orders.csv");
    assert_eq!(orders.lines().count(), intents + 1, "every order has a row");
    assert!(orders.lines().any(|line| line.contains(",insufficient-cash,refused,0,,")), "the refused ones too");
    let ids: std::collections::BTreeSet<&str> =
        orders.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(ids.len(), intents, "and only one");
    for name in ["orders", "fills", "legs", "trades", "equity"] {
        assert_same_table(&report, folder.path(), name);
    }
}

/// CSV and Parquet hold the same rows.
fn assert_same_table(report: &Report, folder: &Path, name: &str) {
    let path = folder.join(format!("{name}.parquet"));
    let written = report.files.iter().find(|file| file.path == path).unwrap();
    let mut reader = ColumnReader::open(&path, &written.hash).unwrap();
    let names: Vec<_> = reader.columns().iter().map(|column| column.name.clone()).collect();
    let text = read(folder, &format!("{name}.csv"));
    let mut lines = text.lines();
    assert_eq!(lines.next().unwrap(), names.join(","), "{name}");
    let mut rows = 0;
    while let Some(group) = reader.next_group().unwrap() {
        for row in 0..group.rows() {
            let cells: Vec<_> = (0..names.len()).map(|column| plain(&group.cell(column, row))).collect();
            assert_eq!(lines.next().unwrap(), cells.join(","), "{name}");
        }
        rows += group.rows() as u64;
    }
    assert_eq!((rows, lines.next()), (written.rows, None), "{name}");
}

fn plain(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::I64(value) => value.to_string(),
        Cell::U64(value) => value.to_string(),
        Cell::F64(value) => value.to_string(),
        Cell::Text(text) => (*text).to_owned(),
        Cell::Time(time) => time.to_string(),
        Cell::Decimal(units) => Money(*units).to_string(),
    }
}

#[test]
fn an_order_keeps_its_row_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::make(&Recipe { sessions: 1, entries: 0.0, ..Recipe::default() });
    let intent = session::intent(1, Quantity::from_units(10));
    session.put(0, Event::OrderIntent(OrderIntent { reason: "a, \"b\"".into(), ..intent.clone() }));
    session.put(0, session::fill_event(1, "4", "100.00", OrderState::PartiallyFilled));
    session.put(0, session::fill_event(1, "6", "100.01", OrderState::Filled));
    session.put(0, session::fill_event(1, "1", "100.01", OrderState::Filled));
    session.put(0, Event::OrderIntent(OrderIntent { order: daybook_vocabulary::OrderId(2), ..intent }));
    session.put(0, session::fill_event(2, "3", "99", OrderState::PartiallyFilled));
    report_of(&mut session, folder.path());
    let orders = read(folder.path(), "orders.csv");
    let rows: Vec<_> = orders.lines().skip(1).collect();
    assert_eq!(rows.len(), 2);
    assert!(rows[0].contains("\"a, \"\"b\"\"\",approved,filled,10,100.006,"), "{}", rows[0]);
    assert!(rows[1].contains(",partially-filled,3,99,"), "{}", rows[1]);
    let page = read(folder.path(), "report.html");
    assert!(page.contains("1 order still working at the end of the data"));
    assert!(page.contains("1 event named an order that is unknown or had ended"));
}

#[test]
fn warnings_stand_at_the_top() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::make(&Recipe { sessions: 3, ..Recipe::default() });
    session.facts.calendar_unknown = true;
    session.facts.warnings.push("two bars <missing>".to_owned());
    report_of(&mut session, folder.path());
    let page = read(folder.path(), "report.html");
    let place = page.find("calendar unknown").expect("the warning");
    assert!(place < page.find("class=\"tiles\"").unwrap(), "before the figures");
    assert!(page.contains("two bars &lt;missing&gt;"));
}

#[test]
fn nothing_in_a_session_can_put_a_tag_into_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = Recipe { sessions: 20, symbols: vec!["<script>alert(1)</script>"], ..Recipe::default() };
    let mut session = Session::make(&recipe);
    session.header.strategy = "\"><img src=x>".to_owned();
    session.header.settings = "{\"a<b>\":\"</dd><script>\"}".to_owned();
    report_of(&mut session, folder.path());
    let page = read(folder.path(), "report.html");
    assert_well_formed("hostile", &page);
    assert!(!page.contains("<script") && !page.contains("<img"));
    assert!(page.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn a_session_that_contradicts_itself_is_an_error_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::make(&Recipe { sessions: 1, entries: 0.0, ..Recipe::default() });
    session.put(77, session::fill_event(1, "1", "1", OrderState::Filled));
    let (header, facts) = (session.header.clone(), session.facts.clone());
    let error = super::write(folder.path(), &header, &facts, &mut session, None, ReportOptions::default()).unwrap_err();
    assert!(matches!(error, ReportError::UnknownInstrument { stream: 77, kind: Kind::Fill, .. }), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a failure leaves no half report");

    let mut session = Session::make(&Recipe { sessions: 1, entries: 0.0, ..Recipe::default() });
    let Event::Fill(mut fill) = session::fill_event(1, "1", "1", OrderState::Filled) else { unreachable!() };
    (fill.charges.brokerage, fill.charges.stamp_duty) = (Money(i128::MAX), Money(1));
    session.put(0, Event::Fill(fill));
    let error = super::write(folder.path(), &header, &facts, &mut session, None, ReportOptions::default()).unwrap_err();
    assert!(matches!(error, ReportError::Overflow { .. }), "{error}");
}

#[test]
fn an_export_has_a_file_for_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::make(&Recipe { sessions: 4, refuse_every: 5, ..Recipe::default() });
    let mut export = Export::create(folder.path(), daybook_features::columns::Format::Parquet);
    let mut counts: BTreeMap<Kind, u64> = BTreeMap::new();
    let bars = session.bars.iter().map(|(stream, candle)| session::bar_event(*stream, *candle));
    for at in session.events.iter().cloned().chain(bars) {
        *counts.entry(at.event.kind()).or_default() += 1;
        export.take(EventAt { seq: at.seq, time: at.time, stream: at.stream, event: &at.event }).unwrap();
    }
    let files = export.finish().unwrap();
    let expected: Vec<_> = counts.iter().map(|(kind, count)| (format!("{kind}.parquet"), *count)).collect();
    let mut found: Vec<_> =
        files.iter().map(|file| (file.path.file_name().unwrap().to_str().unwrap().to_owned(), file.rows)).collect();
    found.sort();
    let mut sorted = expected.clone();
    sorted.sort();
    assert_eq!(found, sorted);
    let fills = files.iter().find(|file| file.path.ends_with("fill.parquet")).unwrap();
    let group = ColumnReader::open(&fills.path, &fills.hash).unwrap().next_group().unwrap().unwrap();
    let first = session.events.iter().find(|at| as_fill(&at.event).is_some()).unwrap();
    let fill = as_fill(&first.event).unwrap();
    assert_eq!(group.cell(0, 0), Cell::U64(first.seq));
    assert_eq!(group.cell(3, 0), Cell::Text(&session.symbols[first.stream as usize]));
    assert_eq!(group.cell(10, 0), Cell::from(fill.price));
    assert_eq!(group.cell(16, 0), Cell::from(fill.charges.brokerage));
}

#[test]
fn the_chart_survives_prices_and_times_at_their_limits() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::make(&Recipe { sessions: 2, entries: 0.0, ..Recipe::default() });
    for (number, (entry, exit)) in [(Nanos::MIN, Nanos::MAX), (Nanos(0), Nanos(1))].into_iter().enumerate() {
        let mut trade = session::trade(number as u64 + 1);
        (trade.entry_time, trade.exit_time) = (entry, exit);
        (trade.entry_price, trade.exit_price, trade.quantity) = (Price(i64::MAX), Price(1), Quantity(i64::MAX));
        session.put(0, Event::TradeClosed(trade));
    }
    report_of(&mut session, folder.path());
    let page = read(folder.path(), "report.html");
    assert_well_formed("limits", &page);
    assert!(!page.contains("NaN"));
}
