//! `intraday`: trend and momentum within the day, flat before the close (SQ-19).
//!
//! - Long when the close is above its 20-bar mean (compared exactly, in integers) and the 14-bar RSI above 55; short when below the mean and under 45;
//!   otherwise flat.
//! - No entries and every position left from `square_off_minutes` before the session's close, on short days too: the
//!   entry that still works is cancelled, the exit works until it has filled.
//! - Orders that enter last a day: what could not fill today is not wanted tomorrow. On daily bars it never trades.

use super::sma_cross::CrossingAverages;
use super::{Parameter, ParameterError, Parameters, Rule, View};
use crate::orders::{OrderRequest, Requests};
use crate::sizing::{Gauge, Sizing};
use daybook_features::Rsi;
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{Candle, Price, Quantity, Side, TimeInForce};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// An intraday trend follower in one instrument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Intraday {
    sizing: Sizing,
    gauge: Option<Box<Gauge>>,
    long_above: f64,
    short_below: f64,
    square_off_minutes: u32,
    short: bool,
    /// The close against its mean, exactly: a fast mean of one close.
    mean: CrossingAverages,
    momentum: Rsi,
}

impl Rule for Intraday {
    const NAME: &'static str = "intraday";
    const ABOUT: &'static str = "follow trend and momentum within the day, flat before the close";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter { name: "mean", default: "20", about: "closes in the mean" },
        Parameter { name: "rsi", default: "14", about: "length of the relative strength index" },
        Parameter { name: "long_above", default: "55", about: "RSI above which a close above the mean is bought" },
        Parameter { name: "short_below", default: "45", about: "RSI below which a close below the mean is sold" },
        Parameter { name: "square_off_minutes", default: "10", about: "minutes before the close to be flat" },
        Parameter {
            name: "quantity",
            default: "1",
            about: "how much to trade of each symbol: N, equity_pct:N, capital:N, atr_risk:P/M, vol_target:P or kelly:F/P",
        },
        Parameter { name: "short", default: "yes", about: "yes or no: trade short as well" },
    ];

    fn new(parameters: &Parameters) -> Result<Self, ParameterError> {
        let percent = |name| parameters.decimal(name, 0..=100).map(Price::to_f64);
        let sizing = parameters.sizing("quantity", false)?;
        Ok(Self {
            sizing,
            gauge: sizing.gauge(),
            long_above: percent("long_above")?,
            short_below: percent("short_below")?,
            square_off_minutes: parameters.integer("square_off_minutes", 1..=720)?,
            short: parameters.choice("short", &["yes", "no"])? == "yes",
            mean: CrossingAverages::new(1, parameters.integer("mean", 2..=10_000)?),
            momentum: Rsi::new(parameters.integer("rsi", 2..=10_000)? as usize),
        })
    }

    fn warmup(&self) -> u32 {
        // Wilder's smoothing remembers everything; after ten lengths what came before is below 0.1 %.
        (self.mean.length() - 1).max(10 * self.momentum.length() as u32).max(self.sizing.warmup())
    }

    fn on_bar(&mut self, bar: &Candle) {
        self.mean.push(bar.close().0);
        if let Some(gauge) = &mut self.gauge {
            gauge.update(bar);
        }
        self.momentum.update(bar.close().to_f64());
    }

    fn decide(&mut self, view: &View<'_>, requests: &mut Requests) {
        // An order fills at the next bar's open, so the last bar that may decide is one bar earlier.
        let closing = view.until_close() - view.interval.nanos() < i64::from(self.square_off_minutes) * MINUTE;
        if closing {
            square_off(view, requests);
        } else if !view.is_pending() {
            let (want, reason) = self.signal();
            trade(self.target(want, view) - view.position(), TimeInForce::Day, reason, requests);
        }
    }
}

impl Intraday {
    /// The position that a signal asks for. A size that follows prices is worked out when a position is entered and
    /// then left alone: it would trade at every bar otherwise.
    fn target(&self, want: i64, view: &View<'_>) -> Quantity {
        let held = view.position();
        if !matches!(self.sizing, Sizing::Fixed(_)) && held.0.signum() == want {
            return held;
        }
        Quantity(view.size(self.sizing, None, self.gauge.as_deref()).map_or(0, |quantity| quantity.0 * want))
    }

    /// Every branch of SQ-19: 1 long, -1 short, 0 flat.
    fn signal(&self) -> (i64, &'static str) {
        let (Some(side), Some(rsi)) = (self.mean.compare(), self.momentum.value()) else { return (0, "warming-up") };
        if side == Ordering::Greater && rsi > self.long_above {
            (1, "trend-up")
        } else if self.short && side == Ordering::Less && rsi < self.short_below {
            (-1, "trend-down")
        } else {
            (0, "no-trend")
        }
    }
}

/// Cancels what works and leaves what is held, unless that is already under way.
fn square_off(view: &View<'_>, requests: &mut Requests) {
    const REASON: &str = "square-off";
    if view.working().iter().any(|order| order.reason.as_str() == REASON) {
        return;
    }
    if view.is_pending() {
        requests.cancel_all(REASON);
    }
    trade(-view.position(), TimeInForce::Gtc, REASON, requests);
}

fn trade(change: Quantity, lasting: TimeInForce, reason: &str, requests: &mut Requests) {
    if !change.is_zero() {
        let side = if change.0 > 0 { Side::Buy } else { Side::Sell };
        requests.place(OrderRequest::market(side, change.abs(), reason).lasting(lasting));
    }
}
