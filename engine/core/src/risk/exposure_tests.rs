//! The limits on the portfolio one by one, each at its border and one step beyond, with the numbers they give (BT-25).

use super::super::gate::{Case, Risk, judge, judge_fill};
use super::*;
use crate::ledger::{Book, Ledger};
use crate::orders::{Order, OrderRequest};
use crate::position::Position;
use crate::risk::{RiskLimits, RiskState, TradingHours};
use daybook_config::{Settings, Sources};
use daybook_vocabulary::{Instrument, InstrumentId, Nanos, OrderId, Price};

const NAMES: [&str; 4] = ["A", "B", "C", "N"];

/// Ten thousand in cash and four names at 100, with what past sessions did to them in percent.
struct Account {
    instruments: Vec<Instrument>,
    books: Vec<Book>,
    ledger: Ledger,
    state: RiskState,
    limits: RiskLimits,
    portfolio: Option<Portfolio>,
}

fn account(settings: &[(&str, &str)], returns: [&[i64]; 4]) -> Account {
    let overrides = settings.iter().map(|(key, value)| (format!("risk.{key}"), (*value).to_owned())).collect();
    let settings = Settings::resolve(Sources { overrides, ..Sources::default() }).unwrap().settings;
    let instrument = |symbol: &&str| Instrument {
        market: "nse".into(),
        symbol: (*symbol).to_owned(),
        tick: Price(1),
        lot: Quantity::from_units(1),
    };
    let instruments: Vec<_> = NAMES.iter().map(instrument).collect();
    let limits = PortfolioLimits::of(&settings, &instruments).unwrap();
    let percent = |numbers: &&[i64]| numbers.iter().map(|number| number * SCALE / 100).collect::<Vec<_>>();
    let returns = returns.iter().map(percent).collect();
    let book = Book { last: Price::from_units(100), bars: 1, ..Book::default() };
    Account {
        instruments,
        books: vec![book; 4],
        ledger: Ledger::new(Money::from_units(10_000)),
        state: RiskState { seen: vec![Nanos(0); 4], ..RiskState::default() },
        limits: RiskLimits::of(&settings, 0),
        portfolio: limits.map(|limits| Portfolio::of_returns(limits, returns)),
    }
}

impl Account {
    fn hold(&mut self, index: usize, quantity: i64) {
        let quantity = Quantity::from_units(quantity);
        let basis = Price::from_units(100).times(quantity);
        self.books[index].position = Position { quantity, basis };
        self.ledger.cash -= basis;
        self.ledger.marked += basis;
    }

    /// An entry that works at 100.
    fn enter(&mut self, index: usize, side: Side, quantity: i64) {
        let request = OrderRequest::limit(side, Quantity::from_units(quantity), Price::from_units(100), "");
        let mut order = Order::new(OrderId(1), &request, Nanos(0));
        for event in [daybook_vocabulary::OrderEvent::Sent, daybook_vocabulary::OrderEvent::Accepted] {
            assert!(!order.happens(event));
        }
        order.reserved = Money::from_units(quantity * 100);
        self.books[index].working.push(order);
    }

    fn asks(&self, index: usize, side: Side, quantity: i64) -> String {
        let request = OrderRequest::market(side, Quantity::from_units(quantity), "");
        let (judged, filled) = self.judged(index, &request);
        let exits = self.books[index].position.closing(side, request.quantity) == request.quantity;
        if !exits && self.books.iter().all(|book| book.working.is_empty()) {
            assert_eq!(judged, filled, "a fill is judged like the order");
        }
        judged
    }

    fn judged(&self, index: usize, request: &OrderRequest) -> (String, String) {
        let anytime = TradingHours { start: Nanos::MIN, end: Nanos::MAX, hard_end: Nanos::MAX };
        let risk = Risk {
            limits: &self.limits,
            state: &self.state,
            books: &self.books,
            instrument: InstrumentId(index as u32),
            hours: anytime,
            now: Nanos(0),
            portfolio: self.portfolio.as_ref(),
        };
        let (meta, book) = (&self.instruments[index], &self.books[index]);
        let case = Case {
            request,
            meta,
            book,
            ledger: &self.ledger,
            closed: false,
            kept: Default::default(),
            risk: Some(risk),
        };
        let said = |judged: Result<(), Refusal>| match judged {
            Ok(()) => "approved".to_owned(),
            Err(Refusal { verdict, limit, observed }) => format!("{verdict} {limit} {observed}"),
        };
        let filled = judge_fill(&case, &risk, request.quantity, book.last);
        (said(judge(&case).map(|_| ())), said(filled))
    }
}

use Side::{Buy, Sell};

const NONE: [&[i64]; 4] = [&[]; 4];

#[test]
fn a_sector_has_its_share() {
    let settings = &[("max_sector_pct", "30"), ("sectors", "A:Energy,B:Energy,C:Banks")];
    let mut account = account(settings, NONE);
    assert_eq!(account.asks(0, Buy, 30), "approved");
    assert_eq!(account.asks(0, Buy, 31), "sector 3000 3100");
    assert_eq!(account.asks(3, Buy, 1), "no-sector 1 0");
    account.hold(1, -20);
    assert_eq!(account.asks(0, Buy, 10), "approved");
    assert_eq!(account.asks(0, Buy, 11), "sector 3000 3100", "longs and shorts add up");
    assert_eq!(account.asks(2, Buy, 30), "approved", "another sector");
    account.enter(0, Buy, 5);
    assert_eq!(account.asks(0, Buy, 5), "approved");
    assert_eq!(account.asks(0, Buy, 6), "sector 3000 3100", "what works counts as filled");
    account.hold(1, -90);
    assert_eq!(account.asks(1, Buy, 90), "approved", "an exit is never refused");
    assert_eq!(account.asks(0, Buy, 1), "sector 3000 9600");
}

#[test]
fn a_factor_has_its_bounds() {
    let settings = &[("max_factor", "value:-0.1..0.2"), ("factors", "A:value=2,B:value=-1,C:value=0")];
    let mut account = account(settings, NONE);
    assert_eq!(account.asks(0, Buy, 10), "approved", "a tenth of the equity with loading 2");
    assert_eq!(account.asks(0, Buy, 11), "factor-exposure 0.2 0.22");
    assert_eq!(account.asks(1, Buy, 10), "approved");
    assert_eq!(account.asks(1, Buy, 11), "factor-exposure -0.1 -0.11");
    assert_eq!(account.asks(0, Sell, 6), "factor-exposure -0.1 -0.12");
    assert_eq!(account.asks(2, Buy, 99), "approved", "it loads nothing");
    assert_eq!(account.asks(3, Buy, 1), "no-loading 1 0");
    account.hold(0, 30);
    assert_eq!(account.asks(0, Buy, 1), "factor-exposure 0.2 0.62");
    assert_eq!(account.asks(1, Buy, 5), "approved", "the way back is open");
    account.hold(3, 1);
    assert_eq!(account.asks(1, Buy, 5), "no-loading 3 2", "what is held and not known");
    assert_eq!(account.asks(3, Sell, 1), "approved", "an exit");
}

/// Betas 2, -0.5 and 0 against a benchmark of 1 %, 2 %, 3 %.
#[test]
fn beta_has_its_bounds() {
    let settings = &[("benchmark", "N"), ("min_beta", "-0.5"), ("max_beta", "1.5"), ("history_sessions", "3")];
    let returns: [&[i64]; 4] = [&[2, 4, 6], &[30, 20, 10], &[1, 1, 1], &[1, 2, 3]];
    let mut account = account(settings, returns);
    assert_eq!(account.asks(0, Buy, 75), "approved", "0.75 × 2");
    assert_eq!(account.asks(0, Buy, 76), "beta 1.5 1.52");
    assert_eq!(account.asks(0, Sell, 25), "approved");
    assert_eq!(account.asks(0, Sell, 26), "beta -0.5 -0.52");
    assert_eq!(account.asks(1, Buy, 6), "beta -0.5 -0.6", "its beta is -10");
    assert_eq!(account.asks(2, Buy, 99), "approved");
    assert_eq!(account.asks(3, Buy, 1), "not-traded 0 100");
    account.hold(0, 90);
    assert_eq!(account.asks(0, Buy, 1), "beta 1.5 1.82");
    assert_eq!(account.asks(1, Buy, 1), "approved", "it brings beta down to 1.7");
    assert_eq!(account.asks(0, Sell, 90), "approved", "an exit");
    // A hedge that works may fill or not: the entry is judged as if it did not.
    account.hold(0, 75);
    account.enter(1, Buy, 5);
    assert_eq!(account.asks(0, Buy, 1), "beta 1.5 1.52");
    account.enter(0, Buy, 1);
    assert_eq!(account.asks(0, Buy, 1), "beta 1.5 1.54", "and one that adds as if it did");
}

#[test]
fn what_past_sessions_do_not_say_is_refused() {
    let settings = &[("benchmark", "N"), ("max_beta", "1.5"), ("history_sessions", "3")];
    let mut young = account(settings, [&[1, 2, 3], &[1, 2], &[1, 2, 3], &[1, 2, 3]]);
    assert_eq!(young.asks(0, Buy, 1), "approved");
    assert_eq!(young.asks(1, Buy, 1), "no-history 3 2");
    young.hold(1, 1);
    assert_eq!(young.asks(0, Buy, 1), "no-history 3 2", "of what is held");
    assert_eq!(young.asks(1, Sell, 1), "approved", "an exit");
    let still = account(settings, [&[1, 2, 3], &[], &[], &[1, 1, 1]]);
    assert_eq!(still.asks(0, Buy, 1), "no-benchmark 3 0");
    let short = account(settings, [&[1, 2, 3], &[], &[], &[1, 3]]);
    assert_eq!(short.asks(0, Buy, 1), "no-benchmark 3 2");
}

/// Losses of A in percent, the worst first: 10, 4, 3, 2, 1, 0 …: at 95 % of 20 sessions the place is 0.95, so the value at
/// risk is 0.05 × 10 + 0.95 × 4 = 4.3 %, and the mean beyond it 10 %.
#[test]
fn value_at_risk_and_the_mean_beyond_it() {
    let mut a = vec![0i64; 20];
    a[3..8].copy_from_slice(&[-3, -10, -1, -4, -2]);
    let b: Vec<i64> = a.iter().map(|step| -step).collect();
    let quiet = vec![0i64; 20];
    let returns: [&[i64]; 4] = [&a, &b, &quiet, &quiet];
    let var = account(&[("max_var_pct", "2.15")], returns);
    assert_eq!(var.asks(0, Buy, 50), "approved");
    assert_eq!(var.asks(0, Buy, 51), "value-at-risk 215 219.3");
    assert_eq!(var.asks(2, Buy, 99), "approved", "what has not moved loses nothing");
    let cvar = account(&[("max_cvar_pct", "8")], returns);
    assert_eq!(cvar.asks(0, Buy, 80), "approved");
    assert_eq!(cvar.asks(0, Buy, 81), "expected-shortfall 800 810");
    let mut both = account(&[("max_var_pct", "2.15"), ("max_cvar_pct", "8")], returns);
    both.hold(0, 60);
    assert_eq!(both.asks(0, Buy, 1), "value-at-risk 215 262.3");
    assert_eq!(both.asks(1, Buy, 1), "approved", "what moves the other way makes it smaller");
    assert_eq!(both.asks(0, Sell, 60), "approved", "an exit");
    // At 75 % of 5 sessions the place is 1: the second loss, and the mean of the worst two.
    let five: [&[i64]; 4] = [&[-9, -2, -4, 7, -3], &[], &[], &[]];
    let settings = &[("max_var_pct", "2"), ("var_confidence_pct", "75"), ("history_sessions", "5")];
    let strict = account(settings, five);
    assert_eq!((strict.asks(0, Buy, 50), strict.asks(0, Buy, 51)), ("approved".into(), "value-at-risk 200 204".into()));
    let settings = &[("max_cvar_pct", "6.5"), ("var_confidence_pct", "75"), ("history_sessions", "5")];
    let strict = account(settings, five);
    assert_eq!(strict.asks(0, Buy, 100), "approved", "half of 9 % and 4 %");
    let settings = &[("max_cvar_pct", "6.49"), ("var_confidence_pct", "75"), ("history_sessions", "5")];
    assert_eq!(account(settings, five).asks(0, Buy, 100), "expected-shortfall 649 650");
    assert_eq!(account(settings, five).asks(1, Buy, 1), "no-history 5 0");
}

#[test]
fn an_account_without_equity_may_open_nothing() {
    let settings = &[("max_factor", "value:1"), ("factors", "A:value=1"), ("margin_pct", "1")];
    let mut account = account(settings, NONE);
    account.ledger.cash = Money::from_units(-1);
    assert_eq!(account.asks(0, Buy, 1), "factor-exposure 1 10000000000");
}

#[test]
fn the_standings_say_how_near_every_limit_is() {
    let settings = &[
        ("max_sector_pct", "30"),
        ("sectors", "A:Energy,B:Energy,C:Banks"),
        ("max_factor", "value:-0.1..0.2,size:1"),
        ("factors", "A:value=2;size=1,B:value=-1"),
        ("benchmark", "N"),
        ("max_beta", "1.5"),
        ("max_var_pct", "5"),
        ("max_cvar_pct", "8"),
        ("history_sessions", "3"),
    ];
    let returns: [&[i64]; 4] = [&[2, 4, -6], &[1, 2, -3], &[1, 1], &[1, 2, -3]];
    let mut account = account(settings, returns);
    let told = |account: &Account| {
        let found = standings(account.portfolio.as_ref().unwrap(), &account.books, account.ledger.equity());
        let text = |number: Option<Measure>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let line = |standing: &Standing| {
            let Standing { limit, of, least, most, now } = standing;
            format!("{limit} {of} {} {} {}", text(*least), text(*most), text(*now))
        };
        found.iter().map(line).collect::<Vec<_>>()
    };
    account.hold(0, 10);
    account.hold(1, -5);
    assert_eq!(
        told(&account),
        [
            "sector Energy - 3000 1500",
            // B's size is not known.
            "factor-exposure size -1 1 -",
            "factor-exposure value -0.1 0.2 0.25",
            "beta  - 1.5 0.15",
            // 1,000 × 6 % less 500 × 3 %: 45, the next one is a gain of 15.
            "value-at-risk  - 500 39",
            "expected-shortfall  - 800 45",
        ]
    );
    account.hold(2, 1);
    let lines = told(&account);
    assert_eq!(lines[1], "sector Energy - 3000 1500");
    assert_eq!(lines[4..], ["beta  - 1.5 -", "value-at-risk  - 500 -", "expected-shortfall  - 800 -"]);
}
