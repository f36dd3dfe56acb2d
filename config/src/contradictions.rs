//! Values that are each possible and together are not.
//!
//! - Each pair names the key to change and what would do; the first one found is told.
//! - They are looked for wherever settings come together: from a user's sources, from a run's header, in a fork.

use crate::exchange::{FillBar, MarketPrice, TrailFrom, TrailTiming};
use crate::settings::Settings;

/// A key whose value does not go with another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contradiction {
    /// The key.
    pub(crate) key: &'static str,
    /// What would do.
    pub(crate) expected: String,
}

/// The first contradiction; nothing where all goes together.
pub(crate) fn contradiction(settings: &Settings) -> Option<Contradiction> {
    let of = |key, expected: &str| Some(Contradiction { key, expected: expected.to_owned() });
    if settings.exchange_market_price == Some(MarketPrice::Open) && settings.exchange_fill_bar != FillBar::Next {
        let expected = "close, vwap or mid where exchange.fill_bar looks back: the open came before the decision";
        return of("exchange.market_price", expected);
    }
    if settings.exchange_lag_bars > 0 && settings.exchange_fill_bar != FillBar::Next {
        return of("exchange.lag_bars", "0 where exchange.fill_bar looks back: an order cannot trade at once and wait");
    }
    let close = settings.exchange_trail_from == TrailFrom::Close;
    if settings.exchange_trail_timing == TrailTiming::Before && close {
        let expected = "after where exchange.trail_from is close: a close is not there before its candle is over";
        return of("exchange.trail_timing", expected);
    }
    margins(settings).or_else(|| hours(settings))
}

/// What must be kept is part of what is asked at first.
fn margins(settings: &Settings) -> Option<Contradiction> {
    let kept = [
        ("risk.maintenance_pct", settings.risk_maintenance_pct),
        ("risk.short_maintenance_pct", settings.risk_short_maintenance_pct),
    ];
    let (key, _) = kept.into_iter().find(|(_, kept)| kept.is_some_and(|kept| settings.risk_margin_pct < Some(kept)))?;
    let expected = match settings.risk_margin_pct {
        None => "none where risk.margin_pct is none: without margin there is none to keep".to_owned(),
        Some(margin) => format!("at most risk.margin_pct, which is {margin}"),
    };
    Some(Contradiction { key, expected })
}

/// Hours of trading come in the order start, end, hard end.
fn hours(settings: &Settings) -> Option<Contradiction> {
    let hours = [
        ("risk.safe_trading_start", settings.risk_safe_trading_start),
        ("risk.safe_trading_end", settings.risk_safe_trading_end),
        ("risk.hard_trading_end", settings.risk_hard_trading_end),
    ];
    let set: Vec<_> = hours.into_iter().filter_map(|(key, time)| Some((key, time?))).collect();
    let pair = set.windows(2).find(|pair| pair[0].1 >= pair[1].1)?;
    let [(before, earlier), (key, _)] = [pair[0], pair[1]];
    Some(Contradiction { key, expected: format!("a time after {before}, which is {earlier}") })
}
