//! `swing`: trade the crossing of two simple moving averages, leave by stop, target or age (SQ-21, SQ-23).
//!
//! - Long when the fast mean crosses above the slow one (at or below before, above now), short on the inverse.
//! - `exits=touch`: a stop and a target rest at the exchange, one cancels the other; a gap through either fills at the
//!   open, never at the level. They are placed at the first decision after the entry filled.
//! - `exits=bracket`: the same stop and target, attached to the entry: they work from its fill on, in that candle too,
//!   one pair for every part that fills, each measured from the price of its own fill.
//! - `exits=close`: the levels are compared with closes only, and with the open of a bar that gapped through one; the
//!   exit is a market order and fills at the next open.
//! - Exits always cover what is held: an entry or a target that filled in parts gets new ones for the rest.
//! - One reason per exit: `stop`, `target`, `gap-stop`, `gap-target`, `max-hold`.

use super::sma_cross::CrossingAverages;
use super::{Parameter, ParameterError, Parameters, Rule, View};
use crate::exits::{Exit, Held};
use crate::orders::{Bracket, Level, OrderRequest, Requests};
use crate::sizing::{Gauge, Sizing};
use daybook_vocabulary::decimal::{SCALE, divide_rounded};
use daybook_vocabulary::time::DAY;
use daybook_vocabulary::{Candle, OrderType, Price, Quantity, Ratio, Side};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// A swing trader in one instrument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Swing {
    sizing: Sizing,
    gauge: Option<Box<Gauge>>,
    stop_pct: Price,
    target_pct: Price,
    max_hold_days: u32,
    exits: Exits,
    short: bool,
    averages: CrossingAverages,
    before: Option<i8>,
    now: Option<i8>,
    open: Price,
}

/// How a position is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Exits {
    /// By a market order, when a close decides so.
    Close,
    /// By orders that rest at the levels, placed at the decision after the entry.
    Touch,
    /// By orders attached to the entry.
    Bracket,
}

impl Rule for Swing {
    const NAME: &'static str = "swing";
    const ABOUT: &'static str = "trade moving-average crossings; leave by stop, target or age";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter { name: "fast", default: "20", about: "closes in the fast mean, 5 to 100" },
        Parameter { name: "slow", default: "50", about: "closes in the slow mean, 20 to 200, more than fast" },
        Parameter {
            name: "quantity",
            default: "1",
            about: "how much to trade of each symbol: N, equity_pct:N, capital:N, risk_pct:N to the stop, atr_risk:P/M, vol_target:P or kelly:F/P",
        },
        Parameter { name: "stop_pct", default: "3", about: "stop, percent from the entry price, 1 to 10" },
        Parameter {
            name: "target_pct",
            default: "6",
            about: "target, percent from entry, 2 to 20, more than stop_pct",
        },
        Parameter { name: "max_hold_days", default: "15", about: "calendar days after which a position is left" },
        Parameter {
            name: "exits",
            default: "touch",
            about: "touch: orders rest at the levels; bracket: from the entry's fill on; close: closes decide",
        },
        Parameter { name: "short", default: "yes", about: "yes or no: trade short as well" },
    ];

    fn new(parameters: &Parameters) -> Result<Self, ParameterError> {
        let fast = parameters.integer("fast", 5..=100)?;
        let slow = parameters.integer("slow", 20..=200)?;
        if slow <= fast {
            return Err(parameters.refuse("slow", format!("more than fast={fast}")));
        }
        let stop_pct = parameters.decimal("stop_pct", 1..=10)?;
        let target_pct = parameters.decimal("target_pct", 2..=20)?;
        if target_pct <= stop_pct {
            return Err(parameters.refuse("target_pct", format!("more than stop_pct={stop_pct}")));
        }
        let sizing = parameters.sizing("quantity", true)?;
        Ok(Self {
            sizing,
            gauge: sizing.gauge(),
            stop_pct,
            target_pct,
            max_hold_days: parameters.integer("max_hold_days", 1..=3_650)?,
            exits: match parameters.choice("exits", &["touch", "close", "bracket"])? {
                "close" => Exits::Close,
                "bracket" => Exits::Bracket,
                _ => Exits::Touch,
            },
            short: parameters.choice("short", &["yes", "no"])? == "yes",
            averages: CrossingAverages::new(fast, slow),
            before: None,
            now: None,
            open: Price::ZERO,
        })
    }

    fn warmup(&self) -> u32 {
        // A crossing needs the comparison before as well.
        self.averages.length().max(self.sizing.warmup())
    }

    fn on_bar(&mut self, bar: &Candle) {
        self.averages.push(bar.close().0);
        if let Some(gauge) = &mut self.gauge {
            gauge.update(bar);
        }
        self.before = self.now;
        self.now = self.averages.compare().map(|order| order as i8);
        self.open = bar.open();
    }

    fn decide(&mut self, view: &View<'_>, requests: &mut Requests) {
        let held = view.position();
        if held.is_zero() {
            self.enter(view, requests);
        } else if view.entered().is_some_and(|entered| view.now - entered >= i64::from(self.max_hold_days) * DAY) {
            leave(view, "max-hold", requests);
        } else {
            match self.exits {
                Exits::Close => self.watch(view, requests),
                Exits::Touch => self.protect(view, requests),
                Exits::Bracket => {}
            }
        }
    }
}

impl Swing {
    fn enter(&self, view: &View<'_>, requests: &mut Requests) {
        if view.is_pending() {
            return;
        }
        let (Some(before), Some(now)) = (self.before, self.now) else { return };
        let above = Ordering::Greater as i8;
        let below = Ordering::Less as i8;
        let (side, reason) = if before <= 0 && now == above {
            (Side::Buy, "cross-up")
        } else if self.short && before >= 0 && now == below {
            (Side::Sell, "cross-down")
        } else {
            return;
        };
        let (stop, _) = self.levels(view.last(), side == Side::Buy);
        if let Some(quantity) = view.size(self.sizing, Some(stop), self.gauge.as_deref()) {
            let entry = OrderRequest::market(side, quantity, reason);
            let level = |percent| Some(Level::Percent(percent));
            let bracket = Bracket { stop: level(self.stop_pct), target: level(self.target_pct) };
            requests.place(if self.exits == Exits::Bracket { entry.with_exits(bracket) } else { entry });
        }
    }

    /// The levels at which a position entered at a price is left: stop and target.
    fn levels(&self, entry: Price, long: bool) -> (Price, Price) {
        let away = |percent: Price| {
            let scale = i128::from(100 * SCALE);
            divide_rounded(i128::from(entry.0) * i128::from(percent.0), scale) as i64
        };
        // Percentages are below a hundred, so nothing goes below zero; at the end of the range a level stays there.
        let (stop, target) = (away(self.stop_pct), away(self.target_pct));
        if long {
            (Price(entry.0 - stop), Price(entry.0.saturating_add(target)))
        } else {
            (Price(entry.0.saturating_add(stop)), Price(entry.0 - target))
        }
    }

    /// Keeps a stop and a target at the exchange, each for all that is held.
    fn protect(&self, view: &View<'_>, requests: &mut Requests) {
        let (side, quantity) = exit(view);
        let exits = || view.working().iter().filter(|order| order.side == side);
        let covers = |order_type| exits().any(|order| order.order_type == order_type && order.remaining() == quantity);
        if is_leaving(view) || (covers(OrderType::Stop) && covers(OrderType::Limit)) {
            return;
        }
        for order in exits() {
            requests.cancel(order.id, "position-changed");
        }
        let (stop, target) = self.levels(view.average_price(), side == Side::Sell);
        requests.place(OrderRequest::stop(side, quantity, stop, "stop").in_group(1));
        requests.place(OrderRequest::limit(side, quantity, target, "target").in_group(1));
    }

    /// Compares the levels with the bar's open (a gap) and its close.
    fn watch(&self, view: &View<'_>, requests: &mut Requests) {
        let entered_this_bar = view.entered().is_some_and(|entered| view.now - entered <= view.interval.nanos());
        let open = Some(self.open).filter(|_| !entered_this_bar);
        let rule = Exit::Swing(Ratio(self.stop_pct.0), Ratio(self.target_pct.0));
        let held = view.held(None).map(|held| Held { open, ..held });
        if let Some(left) = held.and_then(|held| rule.look(&held)) {
            leave(view, left.reason.as_str(), requests);
        }
    }
}

/// Gives up every order and leaves at the next open, unless that is already under way.
fn leave(view: &View<'_>, reason: &str, requests: &mut Requests) {
    if is_leaving(view) {
        return;
    }
    if view.is_pending() {
        requests.cancel_all(reason);
    }
    let (side, quantity) = exit(view);
    requests.place(OrderRequest::market(side, quantity, reason));
}

/// Side and quantity of the order that would end the position.
fn exit(view: &View<'_>) -> (Side, Quantity) {
    (if view.position().0 > 0 { Side::Sell } else { Side::Buy }, view.position().abs())
}

fn is_leaving(view: &View<'_>) -> bool {
    let (side, _) = exit(view);
    view.working().iter().any(|order| order.side == side && order.order_type == OrderType::Market)
}
