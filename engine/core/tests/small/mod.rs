//! Small markets written by hand: candles of a minute as text, a script or a strategy that trades them, any settings.
//!
//! - Lots of one, a tick of five paise; symbols are A, B and so on; sessions of an hour, one a day from 2 June 2025 on.
//! - A script plays one entry for each symbol and minute, in that order.
//! - Nothing here knows what the core should answer.

#![allow(dead_code, reason = "each test binary uses its part")]

use crate::worlds::{Step, World};
use daybook_config::{Calendar, Settings, Sources};
use daybook_core::risk::RiskLimits;
use daybook_core::strategy::{Parameters, find};
use daybook_core::{Bracket, Core, ExchangeRules, Level, OrderRequest, Request, SessionHours};
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{Candle, Cause, Date, Instrument, Interval, Nanos, Price, Quantity, Side};

/// A candle of each symbol: `open/high/low/close`, one price for all of them, or `-` for none.
pub type Minute = &'static str;
pub type Pairs = &'static [(&'static str, &'static str)];

pub fn price(text: &str) -> Price {
    text.parse().unwrap()
}

pub fn units(count: i64) -> Quantity {
    Quantity::from_units(count)
}

pub fn market(side: Side, quantity: i64) -> OrderRequest {
    OrderRequest::market(side, units(quantity), "")
}

pub fn buy(quantity: i64) -> OrderRequest {
    market(Side::Buy, quantity)
}

pub fn sell(quantity: i64) -> OrderRequest {
    market(Side::Sell, quantity)
}

pub fn protected(stop: Level, target: Option<Level>) -> OrderRequest {
    buy(10).with_exits(Bracket { stop: Some(stop), target })
}

/// What decides: requests of each decision, or a strategy with its parameters.
pub enum Player {
    Script(Vec<Vec<Request>>),
    Named(&'static str, Pairs),
}

pub fn script(orders: &[Option<OrderRequest>]) -> Player {
    Player::Script(orders.iter().map(|order| order.map(Request::Place).into_iter().collect()).collect())
}

pub fn settings(given: &[(&str, &str)]) -> Settings {
    let overrides = given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Settings::resolve(Sources { overrides, ..Sources::default() }).unwrap().settings
}

pub fn core(settings: &Settings, symbols: usize, player: Player) -> Core {
    let meta = |index: usize| Instrument {
        market: "nse".into(),
        symbol: char::from(b'A' + index as u8).to_string(),
        tick: price("0.05"),
        lot: units(1),
    };
    let instruments: Vec<_> = (0..symbols).map(meta).collect();
    let world = World {
        timeframe: None,
        cash: settings.cash,
        costs: settings.costs.as_str().into(),
        participation_bps: settings.exchange_participation_bps,
        slippage: settings.exchange_slippage,
        rules: ExchangeRules::of(settings, &instruments, 0),
        decide_from: Nanos::MIN,
        warmup_bars: 0,
        steps: Vec::new(),
        script: match &player {
            Player::Script(script) => script.clone(),
            Player::Named(..) => Vec::new(),
        },
        instruments,
    };
    let strategy = match player {
        Player::Script(_) => world.scripted(),
        Player::Named(name, given) => {
            let given = given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let entry = find(name).unwrap();
            entry.build(&Parameters::resolve(name, entry.parameters, &given).unwrap(), symbols).unwrap()
        }
    };
    let core = world.core(strategy).with_risk(RiskLimits::of(settings, 0));
    if settings.exchange_settlement > 0 { core.with_calendar(Calendar::nse()) } else { core }
}

/// Sessions from Monday 2 June 2025 on, one a day.
pub fn steps(sessions: &[&[Minute]]) -> Vec<Step> {
    let (mut steps, mut seq) = (Vec::new(), 0);
    for (number, minutes) in sessions.iter().enumerate() {
        let date = Date(20_241 + number as i32);
        let open = Nanos(date.midnight().0 + 225 * MINUTE);
        steps.push(Step::Opened { hours: SessionHours { date, open, close: open + 60 * MINUTE } });
        for (minute, bars) in minutes.iter().enumerate() {
            let open_time = open + minute as i64 * MINUTE;
            let time = open_time + MINUTE;
            for (instrument, bar) in bars.split(' ').enumerate().filter(|(_, bar)| *bar != "-") {
                let prices: Vec<Price> = bar.split('/').map(price).collect();
                let [open, high, low, close] = *prices.as_array().unwrap_or(&[prices[0]; 4]);
                let (interval, volume) = (Interval::MINUTE, units(1_000));
                let candle =
                    Candle::new(CandleParts { open_time, interval, open, high, low, close, volume, revises: false });
                steps.push(Step::Candle { cause: Cause { rank: 1, seq }, time, instrument, candle, late: false });
                seq += 1;
            }
            steps.push(Step::Slice { time });
        }
        steps.push(Step::Closed { time: open + 60 * MINUTE });
    }
    steps
}
