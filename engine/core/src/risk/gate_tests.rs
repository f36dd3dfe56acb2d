//! The gate's verdicts one by one, each at its border, with the numbers they give.

use super::*;
use crate::input::SessionHours;
use crate::position::Position;
use crate::risk::state::Lock;
use daybook_config::{Settings, Sources};
use daybook_vocabulary::time::{DAY, HOUR, MINUTE};
use daybook_vocabulary::{Date, Interval, LimitKind, OrderId, Side};

struct Account {
    meta: Instrument,
    books: Vec<Book>,
    ledger: Ledger,
    state: RiskState,
    limits: RiskLimits,
    now: Nanos,
}

const ZONE: i64 = 5 * HOUR + HOUR / 2;

/// Ten thousand in cash, two names at 100, ten in the morning at the exchange.
fn account(settings: &[(&str, &str)]) -> Account {
    let overrides = settings.iter().map(|(key, value)| (format!("risk.{key}"), (*value).to_owned())).collect();
    let settings = Settings::resolve(Sources { overrides, ..Sources::default() }).unwrap().settings;
    let tick = "0.05".parse().unwrap();
    let meta = Instrument { market: "nse".into(), symbol: "X".into(), tick, lot: Quantity::from_units(5) };
    let book = Book { last: Price::from_units(100), bars: 1, ..Book::default() };
    let now = Nanos(DAY * 20_000 + 10 * HOUR - ZONE);
    let state = RiskState { seen: vec![now; 2], ..RiskState::default() };
    let limits = RiskLimits::of(&settings, ZONE);
    Account { meta, books: vec![book.clone(), book], ledger: Ledger::new(units(10_000)), state, limits, now }
}

impl Account {
    fn hold(&mut self, index: usize, quantity: i64) {
        let quantity = Quantity::from_units(quantity);
        let basis = Price::from_units(100).times(quantity);
        self.books[index].position = Position { quantity, basis };
        self.ledger.cash -= basis;
        self.ledger.marked += basis;
        self.ledger.locked += crate::ledger::collateral(&self.books[index].position);
        self.state.gross.0 += basis.0.abs();
    }

    fn judge(&self, request: OrderRequest, closed: bool) -> Result<Money, Refusal> {
        let open = Nanos(DAY * 20_000 + 9 * HOUR + 15 * MINUTE - ZONE);
        let session = SessionHours { date: Date(20_000), open, close: open + 375 * MINUTE };
        let risk = Risk {
            limits: &self.limits,
            state: &self.state,
            books: &self.books,
            instrument: InstrumentId(0),
            hours: self.limits.hours(&session, Interval::MINUTE, Nanos::MAX),
            now: self.now,
            portfolio: None,
        };
        let judged = self.limits.is_any() || self.state.lock().is_some();
        let risk = judged.then_some(risk);
        let (meta, book, ledger) = (&self.meta, &self.books[0], &self.ledger);
        let kept = Default::default();
        judge(&Case { request: &request, meta, book, ledger, closed, kept, risk })
    }

    /// The verdict on a purchase of so many, with its numbers as text.
    fn buys(&self, quantity: i64) -> String {
        said(self.judge(buy(quantity), false))
    }
}

fn said(judged: Result<Money, Refusal>) -> String {
    match judged {
        Ok(reserve) => format!("approved {reserve}"),
        Err(Refusal { verdict, limit, observed }) => format!("{verdict} {limit} {observed}"),
    }
}

fn units(amount: i64) -> Money {
    Money::from_units(amount)
}

fn buy(quantity: i64) -> OrderRequest {
    OrderRequest::market(Side::Buy, Quantity::from_units(quantity), "test")
}

#[test]
fn each_fault_of_the_order_itself_has_its_verdict() {
    let plain = account(&[]);
    assert!(!plain.limits.is_any());
    let verdict =
        |request: OrderRequest| plain.judge(request, false).map_or_else(|fault| fault.verdict, |_| Verdict::Approved);
    assert_eq!(plain.buys(100), "approved 10000");
    assert_eq!(plain.buys(105), "insufficient-cash 10000 10500");
    assert_eq!(plain.buys(7), "off-lot 5 7");
    assert_eq!(verdict(buy(0)), Verdict::BadQuantity);
    assert_eq!(verdict(buy(-5)), Verdict::BadQuantity);
    assert_eq!(verdict(OrderRequest { quantity: Quantity(i64::MAX), ..buy(5) }), Verdict::BadQuantity);
    assert_eq!(verdict(OrderRequest::limit(Side::Buy, Quantity::from_units(5), Price::ZERO, "")), Verdict::BadPrice);
    assert_eq!(verdict(OrderRequest { stop: Some(Price(1)), ..buy(5) }), Verdict::BadPrice);
    let day = buy(5).lasting(TimeInForce::Day);
    assert_eq!(plain.judge(day, true).unwrap_err().verdict, Verdict::ClosedSession);
    assert!(plain.judge(day, false).is_ok());
    assert!(plain.judge(buy(5), true).is_ok(), "it waits for tomorrow");
    let mut unseen = account(&[]);
    unseen.books[0] = Book::default();
    assert_eq!(unseen.judge(buy(5), false).unwrap_err().verdict, Verdict::NoMarket);
}

#[test]
fn leaving_a_position_needs_no_cash_and_passes_every_limit() {
    let mut broke = account(&[
        ("max_order_value", "1"),
        ("max_gross", "1"),
        ("max_net", "1"),
        ("max_leverage", "0.1"),
        ("max_order_quantity", "1"),
        ("safe_trading_end", "09:30"),
        ("max_age_seconds", "0"),
        ("max_concurrent_trades", "0"),
    ]);
    broke.hold(0, -50);
    broke.ledger.cash = Money::from_units(-1);
    broke.state.seen[0] = Nanos(0);
    broke.state.locks.push(lock());
    for _ in 0..100 {
        broke.state.spend(&broke.limits.clone(), broke.now, false);
    }
    assert_eq!(broke.buys(50), "approved 0");
    assert_eq!(broke.judge(buy(55), false).unwrap_err().verdict, Verdict::Locked, "it would open something");
}

fn lock() -> Lock {
    Lock { limit: LimitKind::DailyLoss, session: Some(Date(20_000)), allowed: Measure(1), observed: Measure(2) }
}

/// Every limit alone, at its border and one lot beyond.
#[test]
fn each_limit_refuses_beyond_its_border_only() {
    /// Settings, the most that passes, and what is said to that and to one lot more.
    type Border<'a> = (&'a [(&'a str, &'a str)], i64, &'a str, &'a str);
    let cases: &[Border<'_>] = &[
        (&[("max_order_quantity", "20")], 20, "approved 2000", "order-quantity 20 25"),
        (&[("max_order_value", "2000")], 20, "approved 2000", "order-value 2000 2500"),
        (&[("max_position_quantity", "20")], 20, "approved 2000", "position-quantity 20 25"),
        (&[("max_position_value", "2000")], 20, "approved 2000", "position-value 2000 2500"),
        (&[("max_concentration_pct", "20")], 20, "approved 2000", "concentration 2000 2500"),
        (&[("max_gross", "2000")], 20, "approved 2000", "gross-exposure 2000 2500"),
        (&[("max_net", "2000")], 20, "approved 2000", "net-exposure 2000 2500"),
        (&[("max_leverage", "0.2")], 20, "approved 2000", "leverage 2000 2500"),
        (&[("margin_pct", "20")], 500, "approved 50000", "margin 10000 10100"),
    ];
    for (settings, most, approved, refused) in cases {
        let account = account(settings);
        assert_eq!(account.buys(*most), *approved, "{settings:?}");
        assert_eq!(account.buys(most + 5), *refused, "{settings:?}");
    }
}

#[test]
fn what_is_held_and_what_works_counts() {
    let mut account = account(&[("max_position_quantity", "20"), ("max_gross", "3000")]);
    account.hold(0, 10);
    assert_eq!(account.buys(15), "position-quantity 20 25");
    let working = crate::orders::Order::new(OrderId(1), &buy(5), Nanos(0));
    let working = crate::orders::Order { state: daybook_vocabulary::OrderState::Open, ..working };
    account.books[0].working.push(working);
    account.ledger.reserved = units(500);
    assert_eq!(account.buys(10), "position-quantity 20 25");
    assert_eq!(account.buys(5), "approved 500");
    account.hold(1, -15);
    assert_eq!(account.buys(5), "gross-exposure 3000 3500");
    // Selling out and going short counts what is left at the end.
    account.books[0].working.clear();
    account.ledger.reserved = Money::ZERO;
    let sell = |quantity| OrderRequest::market(Side::Sell, Quantity::from_units(quantity), "");
    assert_eq!(said(account.judge(sell(25), false)), "approved 1500");
    assert_eq!(said(account.judge(sell(30), false)), "gross-exposure 3000 3500");
}

/// RL-36: the time guards, in the exchange's time; each is the earlier of setting and calendar.
#[test]
fn the_hours_of_a_session() {
    let mut account = account(&[("safe_trading_start", "09:20"), ("safe_trading_end", "15:20")]);
    let midnight = DAY * 20_000 - ZONE;
    for (hour, minute, expected) in [
        (9, 16, "before-safe-start 33600 33360"),
        (9, 20, "approved 500"),
        (15, 19, "approved 500"),
        (15, 20, "after-safe-end 55200 55200"),
    ] {
        account.now = Nanos(midnight + hour * HOUR + minute * MINUTE);
        account.state.seen[0] = account.now;
        assert_eq!(account.buys(5), expected);
    }
    let evening =
        SessionHours { date: Date(20_000), open: Nanos(midnight + 18 * HOUR), close: Nanos(midnight + 19 * HOUR) };
    let hours = account.limits.hours(&evening, Interval::MINUTE, Nanos::MAX);
    assert_eq!(hours.start, evening.open, "no earlier than the session");
    assert_eq!(hours.end, Nanos(midnight + 15 * HOUR + 20 * MINUTE), "an evening session is after the end");
    let early =
        SessionHours { date: Date(20_000), open: Nanos(midnight + 9 * HOUR), close: Nanos(midnight + 12 * HOUR) };
    assert_eq!(
        account.limits.hours(&early, Interval::MINUTE, Nanos::MAX).end,
        early.close,
        "an early close is the end"
    );
    assert_eq!(account.limits.hours(&early, Interval::DAY, Nanos::MAX).end, Nanos::MAX, "a bar of a day knows no hour");
}

#[test]
fn old_prices_far_prices_and_too_many_names() {
    let mut account =
        account(&[("max_age_seconds", "60"), ("max_deviation_bps", "500"), ("max_concurrent_trades", "1")]);
    let limit = |price: &str| OrderRequest::limit(Side::Buy, Quantity::from_units(5), price.parse().unwrap(), "");
    assert!(account.judge(limit("105"), false).is_ok() && account.judge(limit("95"), false).is_ok());
    assert_eq!(said(account.judge(limit("105.05"), false)), "price-band 500 505");
    assert_eq!(said(account.judge(limit("94.95"), false)), "price-band 500 505");
    account.state.seen[0] = account.now + -60 * SECOND;
    assert_eq!(account.buys(5), "approved 500");
    account.state.seen[0] = account.now + -(60 * SECOND + SECOND / 2);
    assert_eq!(account.buys(5), "stale-data 60 60.5");
    account.state.seen[0] = account.now;
    account.hold(1, 5);
    assert_eq!(account.buys(5), "open-trades 1 2");
    account.hold(0, 5);
    assert_eq!(account.buys(5), "approved 500", "more of a name that is held is no other trade");
}

/// BT-33: the same entry again within the time, and what differs from it.
#[test]
fn an_entry_is_not_let_in_twice_in_a_moment() {
    let mut account = account(&[("duplicate_ms", "1000")]);
    let limit = |quantity, price: i64| {
        OrderRequest::limit(Side::Buy, Quantity::from_units(quantity), Price::from_units(price), "")
    };
    let mut order = crate::orders::Order::new(OrderId(1), &limit(5, 99), account.now);
    for event in [daybook_vocabulary::OrderEvent::Sent, daybook_vocabulary::OrderEvent::Accepted] {
        assert!(!order.happens(event));
    }
    account.books[0].working.push(order);
    account.now = account.now + 999 * (SECOND / 1_000);
    assert_eq!(said(account.judge(limit(5, 99), false)), "duplicate 1000 999");
    assert_eq!(said(account.judge(limit(10, 99), false)), "approved 990");
    assert_eq!(said(account.judge(limit(5, 98), false)), "approved 490");
    assert_eq!(account.buys(5), "approved 500", "another kind");
    account.hold(0, -5);
    assert_eq!(said(account.judge(limit(5, 99), false)), "approved 0", "an exit may be asked for twice");
    account.books[0].position = Position::default();
    account.now = account.now + SECOND / 1_000;
    assert_eq!(said(account.judge(limit(5, 99), false)), "approved 495", "a second later");
}

#[test]
fn the_first_check_that_fails_speaks() {
    let mut account = account(&[("max_order_value", "1"), ("max_gross", "1"), ("max_orders_per_minute", "1")]);
    assert_eq!(account.buys(5), "order-value 1 500");
    account.state.locks.push(lock());
    assert_eq!(account.buys(5), "locked 0.00000001 0.00000002");
    assert_eq!(account.buys(7), "off-lot 5 7", "an order that is none is told so first");
    let verdicts: Vec<Verdict> = CHECKS.iter().map(|(verdict, _)| *verdict).collect();
    assert!(verdicts.is_sorted(), "the words are declared in the order of the list");
}

#[test]
fn margin_counts_longs_and_shorts_alike() {
    let mut account = account(&[("margin_pct", "20")]);
    account.hold(0, 200);
    account.hold(1, -200);
    // 10,000 of equity, 40,000 gross: 2,000 of margin are free, for 10,000 of value.
    assert_eq!(account.buys(100), "approved 10000");
    assert_eq!(account.buys(105), "margin 2000 2100");
    let sell = |quantity| OrderRequest::market(Side::Sell, Quantity::from_units(quantity), "");
    assert_eq!(said(account.judge(sell(200), false)), "approved 0");
    // Turning round frees 4,000 and asks for as much again.
    assert_eq!(said(account.judge(sell(500), false)), "approved 30000");
    assert_eq!(said(account.judge(sell(505), false)), "margin 6000 6100");
}
