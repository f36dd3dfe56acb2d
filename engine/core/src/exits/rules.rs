//! Rules of leaving, and their algebra.
//!
//! - A rule looks at a trade as it stands at a closed bar and says how much of it to leave, and why. Looking twice says
//!   the same: nothing is remembered here.
//! - Any-of leaves whenever one of its members does; all-of only when every one does; of members that leave as much the
//!   first one gives the reason: exits are told in the order in which they were written.
//! - A rule whose input is missing says nothing. A regime without a label uses the declared default, or says nothing.

use super::levels::{Percent, Stop, percent_from, tightest, times, trail_in_r};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Label, Price, Ratio, Side};
use serde::{Deserialize, Serialize};

/// All of it: 100 percent.
const WHOLE: Percent = Ratio(100 * SCALE);

/// An open trade at a closed bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Side of the entry.
    pub side: Side,
    /// Average entry price.
    pub entry: Price,
    /// Its first stop, for rules in R.
    pub stop: Option<Price>,
    /// Bars of the strategy's length that have closed since the entry.
    pub bars: u64,
    /// The highest price since the entry.
    pub high: Price,
    /// The lowest price since the entry.
    pub low: Price,
    /// Open of the bar that has just closed; none where the entry came inside that bar.
    pub open: Option<Price>,
    /// Its close.
    pub close: Price,
    /// The average true range now.
    pub range: Option<Price>,
    /// A number that names the regime, such as a volatility index.
    pub regime: Option<Ratio>,
    /// The strategy's own signal says to leave.
    pub signal: bool,
    /// How much of what was entered has been left already.
    pub left: Percent,
}

impl Held {
    /// The best price since the entry.
    pub fn best(&self) -> Price {
        if self.side == Side::Buy { self.high.max(self.entry) } else { self.low.min(self.entry) }
    }
}

/// Where a level lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// At a price.
    At(Price),
    /// So many percent from the entry.
    Percent(Percent),
    /// BT-20: so many average true ranges from the entry.
    Ranges(Ratio),
    /// RL-26: so many R behind the best price; a stop only.
    Trail(Ratio),
    /// BT-21: so many percent behind the best price, fewer with every bar, never fewer than the last; a stop only.
    Decaying(Percent, Percent, Percent),
}

impl Level {
    /// Its price as a stop; nothing where its input is missing or it is no price.
    pub fn stop(self, held: &Held) -> Option<Price> {
        match self {
            Self::At(price) => Some(price),
            Self::Percent(percent) => percent_from(held.side, held.entry, percent, false),
            Self::Ranges(multiple) => self.by_range(held, multiple, held.side == Side::Sell),
            Self::Trail(r) => trail_in_r(held.side, held.entry, held.stop?, held.best(), r),
            Self::Decaying(initial, rate, floor) => {
                let decayed = i128::from(initial.0) - i128::from(held.bars) * i128::from(rate.0);
                let trail = decayed.max(floor.0.into()).min(initial.0.max(floor.0).into());
                percent_from(held.side, held.best(), Ratio(trail as i64), false)
            }
        }
    }

    /// Its price as a target; trailing levels are none.
    pub fn target(self, held: &Held) -> Option<Price> {
        match self {
            Self::At(price) => Some(price),
            Self::Percent(percent) => percent_from(held.side, held.entry, percent, true),
            Self::Ranges(multiple) => self.by_range(held, multiple, held.side == Side::Buy),
            Self::Trail(_) | Self::Decaying(..) => None,
        }
    }

    fn by_range(self, held: &Held, multiple: Ratio, up: bool) -> Option<Price> {
        let distance = times(held.range.filter(|range| range.0 > 0)?, multiple);
        let level = if up { held.entry.0.checked_add(distance) } else { held.entry.0.checked_sub(distance) };
        level.filter(|level| *level > 0).map(Price)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::At(_) | Self::Percent(_) => "stop",
            Self::Ranges(_) => "range-stop",
            Self::Trail(_) => "r-trail",
            Self::Decaying(..) => "decaying-trail",
        }
    }
}

/// What a rule wants left, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave {
    /// Percent of what was entered.
    pub share: Percent,
    /// The rule that says so.
    pub reason: Label,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// When the close has reached a level on the losing side.
    Stop(Level),
    /// When the close has reached a level on the winning side.
    Target(Level),
    /// SQ-23: stop and target in percent; an open beyond one of them is a gap and is told first, then the close.
    Swing(Percent, Percent),
    /// BT-22: after so many bars of the instrument.
    Time(u64),
    /// When the strategy's signal says so.
    Signal,
    /// BT-23: one rule at or below a number, another above it, a third where the number is missing.
    Regime(Ratio, Box<Exit>, Box<Exit>, Option<Box<Exit>>),
    /// Any of them.
    FirstOf(Vec<Exit>),
    /// All of them at once.
    AllOf(Vec<Exit>),
    /// A share for each of them.
    Scaled(Vec<(Percent, Exit)>),
}

impl Exit {
    /// How much of the trade to leave now.
    pub fn look(&self, held: &Held) -> Option<Leave> {
        match self {
            Self::Stop(level) => {
                let stop = Stop { side: held.side, price: level.stop(held)? };
                whole(stop.is_reached(held.close), level.word())
            }
            Self::Target(level) => whole(reached(held.side, held.close, level.target(held)?), "target"),
            Self::Swing(stop, target) => swing(held, *stop, *target),
            Self::Time(bars) => whole(held.bars >= *bars, "time"),
            Self::Signal => whole(held.signal, "signal"),
            Self::Regime(..) => {
                let (name, rule) = self.of_regime(held)?;
                rule.look(held).map(|leave| Leave { reason: Label::new(&format!("{name}:{}", leave.reason)), ..leave })
            }
            // Of equals the first: `max_by_key` would take the last.
            Self::FirstOf(rules) => rules
                .iter()
                .filter_map(|rule| rule.look(held))
                .reduce(|first, next| if next.share > first.share { next } else { first }),
            Self::AllOf(rules) => {
                let mut least: Option<Leave> = None;
                for rule in rules {
                    let leave = rule.look(held)?;
                    least = Some(least.filter(|least| least.share <= leave.share).unwrap_or(leave));
                }
                least
            }
            Self::Scaled(rules) => {
                let due = rules.iter().filter_map(|(share, rule)| Some((*share, rule.look(held)?.reason)));
                let (total, reason) =
                    due.fold((Ratio::ZERO, None), |(total, _), (share, reason)| (total + share, Some(reason)));
                let share = total.min(WHOLE) - held.left;
                Some(Leave { share, reason: reason? }).filter(|leave| leave.share > Ratio::ZERO)
            }
        }
    }

    /// Where a stop can rest at the exchange for this rule: never farther than where the rule itself would leave.
    pub fn level(&self, held: &Held) -> Option<Price> {
        match self {
            Self::Stop(level) => level.stop(held),
            Self::Swing(stop, _) => percent_from(held.side, held.entry, *stop, false),
            Self::Regime(..) => self.of_regime(held)?.1.level(held),
            Self::FirstOf(rules) => {
                rules.iter().filter_map(|rule| rule.level(held)).reduce(|one, other| tightest(held.side, one, other))
            }
            // All have to be reached, so the farthest is where it leaves, if all are levels.
            Self::AllOf(rules) => {
                let mut farthest: Option<Price> = None;
                for rule in rules {
                    let level = rule.level(held)?;
                    farthest = Some(farthest.map_or(level, |far| tightest(held.side.opposite(), far, level)));
                }
                farthest
            }
            Self::Target(_) | Self::Time(_) | Self::Signal | Self::Scaled(_) => None,
        }
    }

    fn of_regime(&self, held: &Held) -> Option<(&'static str, &Self)> {
        let Self::Regime(threshold, below, above, missing) = self else { return None };
        match held.regime {
            Some(number) if number > *threshold => Some(("above", above)),
            Some(_) => Some(("below", below)),
            None => missing.as_deref().map(|rule| ("default", rule)),
        }
    }
}

fn whole(leaves: bool, reason: &str) -> Option<Leave> {
    leaves.then(|| Leave { share: WHOLE, reason: Label::new(reason) })
}

/// True when a price has reached a level on the winning side.
fn reached(side: Side, price: Price, target: Price) -> bool {
    if side == Side::Buy { price >= target } else { price <= target }
}

fn swing(held: &Held, stop: Percent, target: Percent) -> Option<Leave> {
    let stop = percent_from(held.side, held.entry, stop, false).map(|price| Stop { side: held.side, price });
    let target = percent_from(held.side, held.entry, target, true);
    let stopped = |price: Price| stop.is_some_and(|stop| stop.is_reached(price));
    let gained = |price: Price| target.is_some_and(|target| reached(held.side, price, target));
    let reason = if held.open.is_some_and(stopped) {
        "gap-stop"
    } else if held.open.is_some_and(gained) {
        "gap-target"
    } else if stopped(held.close) {
        "stop"
    } else if gained(held.close) {
        "target"
    } else {
        return None;
    };
    whole(true, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    fn ratio(text: &str) -> Ratio {
        text.parse().unwrap()
    }

    /// In at 100 with a stop at 96; a range of 2.
    fn long(high: &str, low: &str, close: &str, bars: u64) -> Held {
        Held {
            side: Side::Buy,
            entry: price("100"),
            stop: Some(price("96")),
            bars,
            high: price(high),
            low: price(low),
            open: None,
            close: price(close),
            range: Some(price("2")),
            regime: None,
            signal: false,
            left: Ratio::ZERO,
        }
    }

    /// The same trade upside down, around 100.
    fn mirrored(held: &Held) -> Held {
        let flip = |price: Price| Price(200 * SCALE - price.0);
        Held {
            side: Side::Sell,
            stop: held.stop.map(flip),
            high: flip(held.low),
            low: flip(held.high),
            open: held.open.map(flip),
            close: flip(held.close),
            ..*held
        }
    }

    fn said(rule: &Exit, held: &Held) -> String {
        rule.look(held).map_or("stay".to_owned(), |leave| format!("{} {}", leave.share, leave.reason))
    }

    /// Every rule at its border, for a long and its mirror.
    #[test]
    fn each_rule_leaves_at_its_border() {
        let cases = [
            (Exit::Stop(Level::Percent(ratio("3"))), long("100", "97", "97", 1), "100 stop"),
            (Exit::Stop(Level::Percent(ratio("3"))), long("100", "97", "97.01", 1), "stay"),
            (Exit::Stop(Level::Ranges(ratio("2"))), long("100", "96", "96", 1), "100 range-stop"),
            (Exit::Stop(Level::Ranges(ratio("2"))), long("100", "96", "96.01", 1), "stay"),
            (Exit::Target(Level::Ranges(ratio("3"))), long("106", "99", "106", 1), "100 target"),
            (Exit::Target(Level::Percent(ratio("6"))), long("106", "99", "105.99", 1), "stay"),
            (Exit::Stop(Level::Trail(ratio("1"))), long("110", "99", "106", 4), "100 r-trail"),
            (Exit::Stop(Level::Trail(ratio("1"))), long("110", "99", "106.01", 4), "stay"),
            (Exit::Time(60), long("110", "99", "106", 60), "100 time"),
            (Exit::Time(60), long("110", "99", "106", 59), "stay"),
            (Exit::Signal, long("110", "99", "106", 9), "stay"),
        ];
        for (rule, held, expected) in cases {
            assert_eq!(said(&rule, &held), expected, "{rule:?}");
            assert_eq!(said(&rule, &mirrored(&held)), expected, "the mirror of {rule:?}");
        }
        assert_eq!(said(&Exit::Signal, &Held { signal: true, ..long("110", "99", "106", 9) }), "100 signal");
        let blind = Held { range: None, stop: None, ..long("100", "50", "50", 1) };
        assert_eq!(said(&Exit::Stop(Level::Ranges(ratio("2"))), &blind), "stay", "no range, no level");
        assert_eq!(said(&Exit::Stop(Level::Trail(ratio("2"))), &blind), "stay", "no stop, no R");
    }

    /// BT-21: 5 % at first, 0.1 % less with each bar, 0.5 % from bar 45 on; of the best price, never of the close.
    #[test]
    fn the_decaying_trail() {
        let rule = Level::Decaying(ratio("5"), ratio("0.1"), ratio("0.5"));
        for (bars, high, stop) in
            [(0, "100", "95"), (10, "110", "105.6"), (44, "200", "198.8"), (45, "200", "199"), (4_000, "200", "199")]
        {
            assert_eq!(rule.stop(&long(high, "90", "100", bars)), Some(price(stop)), "bar {bars}");
        }
        let short = mirrored(&long("110", "90", "100", 10));
        assert_eq!(rule.stop(&short), Some(price("93.6")), "a short trails its lowest low from above");
        assert_eq!(rule.target(&short), None);
    }

    /// SQ-23: a gap through a level is told before the close, one reason per exit.
    #[test]
    fn swing_exits_with_gaps() {
        let rule = Exit::Swing(ratio("3"), ratio("6"));
        for (open, close, expected) in [
            (Some("97"), "105", "100 gap-stop"),
            (Some("106"), "95", "100 gap-target"),
            (Some("97.01"), "97", "100 stop"),
            (Some("100"), "106", "100 target"),
            (None, "97", "100 stop"),
            (Some("105.99"), "97.01", "stay"),
        ] {
            let held = Held { open: open.map(price), ..long("110", "90", close, 2) };
            assert_eq!((said(&rule, &held), said(&rule, &mirrored(&held))), (expected.into(), expected.into()));
        }
    }

    /// BT-23: 1.5 ranges up to a VIX of 20, 2.5 above; a missing label uses the default, or nothing.
    #[test]
    fn the_regime_chooses_the_rule() {
        let stop = |multiple| Box::new(Exit::Stop(Level::Ranges(ratio(multiple))));
        let rule = |missing| Exit::Regime(ratio("20"), stop("1.5"), stop("2.5"), missing);
        let at = |vix: Option<&str>, close| Held { regime: vix.map(ratio), ..long("100", "90", close, 1) };
        assert_eq!(said(&rule(None), &at(Some("20"), "97")), "100 below:range-stop");
        assert_eq!(said(&rule(None), &at(Some("20.1"), "97")), "stay");
        assert_eq!(said(&rule(None), &at(Some("20.1"), "95")), "100 above:range-stop");
        assert_eq!(said(&rule(None), &at(None, "50")), "stay");
        assert_eq!(said(&rule(Some(stop("1"))), &at(None, "98")), "100 default:range-stop");
        assert_eq!(rule(None).level(&at(Some("30"), "100")), Some(price("95")));
    }

    #[test]
    fn shares_add_up_and_are_left_once() {
        let half = |rule| (ratio("50"), rule);
        let rule = Exit::Scaled(vec![half(Exit::Target(Level::Percent(ratio("2")))), half(Exit::Time(10))]);
        assert_eq!(said(&rule, &long("103", "99", "102", 3)), "50 target");
        let after = Held { left: ratio("50"), ..long("103", "99", "102", 4) };
        assert_eq!(said(&rule, &after), "stay", "that half is gone");
        assert_eq!(said(&rule, &Held { bars: 10, ..after }), "50 time");
        assert_eq!(said(&rule, &long("103", "99", "102", 10)), "100 time", "both at once");
    }

    fn any_rule() -> impl Strategy<Value = Exit> {
        let percent = || (1i64..20 * SCALE).prop_map(Ratio);
        let leaf = prop_oneof![
            percent().prop_map(|percent| Exit::Stop(Level::Percent(percent))),
            percent().prop_map(|percent| Exit::Target(Level::Percent(percent))),
            percent().prop_map(|percent| Exit::Stop(Level::Decaying(percent, Ratio(SCALE / 10), Ratio(SCALE / 2)))),
            (1i64..5 * SCALE).prop_map(|multiple| Exit::Stop(Level::Trail(Ratio(multiple)))),
            (1i64..5 * SCALE).prop_map(|multiple| Exit::Stop(Level::Ranges(Ratio(multiple)))),
            (0u64..50).prop_map(Exit::Time),
            Just(Exit::Signal),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(Exit::FirstOf),
                prop::collection::vec(inner, 1..4).prop_map(Exit::AllOf),
            ]
        })
    }

    proptest! {
        /// BT-26: any-of leaves at least as much as each member, all-of at most; a long and its mirror agree; where a
        /// rule has a level and the close is beyond it, an exit of stops alone has been told.
        #[test]
        fn the_algebra_holds(
            rules in prop::collection::vec(any_rule(), 1..4), high in 100i64..130, low in 70i64..=100, close in 70i64..130,
            bars in 0u64..60, signal: bool,
        ) {
            let text = |price: i64| price.to_string();
            let held = Held { signal, ..long(&text(high.max(close)), &text(low.min(close)), &text(close), bars) };
            let share = |rule: &Exit| rule.look(&held).map_or(Ratio::ZERO, |leave| leave.share);
            let (any, all) = (Exit::FirstOf(rules.clone()), Exit::AllOf(rules.clone()));
            for rule in &rules {
                prop_assert!(share(&any) >= share(rule) && share(&all) <= share(rule));
                prop_assert_eq!(rule.look(&held), rule.look(&held));
            }
            if let (Some(level), Some(tightest)) = (all.level(&held), any.level(&held)) {
                prop_assert!(level <= tightest, "a long's tightest stop is the highest");
            }
        }
    }
}
