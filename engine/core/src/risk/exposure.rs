//! The checks of the limits on the portfolio: sectors, factors, beta, value at risk and the mean loss beyond it.
//!
//! - Each looks at the positions as they would be with the order filled, valued as every cap of the gate values them:
//!   what is closed at the last price, what is opened at the price the order is judged by.
//! - Working entries may fill or not, so each check takes the worse of the two for every one of them. A sector adds up
//!   longs and shorts.
//! - An order that moves beta, exposure or loss the other way is not refused, however far beyond the limit they are: it
//!   is the way back.
//! - Comparisons are exact, in 128 bits, and nothing is divided; what a refusal says is rounded away from the limit.
//! - Must never: take what is missing for zero. An unknown sector, loading, return or benchmark refuses.
//!
//! Value at risk is historical: the loss that the positions would have made in each of the last n sessions, sorted, the
//! worst first; at confidence c the loss at place `(n - 1) (100 - c) / 100`, between two places as the fraction says (the
//! linear quantile, as most libraries have it). The mean beyond is that of the losses up to the whole part of that place.

use super::gate::{Answer, Entry, Refusal};
use super::portfolio::{Portfolio, PortfolioLimits};
use crate::ledger::Book;
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Measure, Money, Quantity, Ratio, Side, Verdict};

/// What is asked again when an order fills, in the order of the one list.
pub(super) const AT_FILL: [fn(&Entry<'_>) -> Answer; 10] = [
    not_traded,
    no_sector,
    sector,
    no_loading,
    factor_exposure,
    no_history,
    no_benchmark,
    beta,
    value_at_risk,
    expected_shortfall,
];

/// Units of a product of money and a ratio in one of money.
const SCALE_WIDE: i128 = SCALE as i128;
const HUNDRED: i128 = 100;

fn limits<'a>(entry: &Entry<'a>) -> Option<(&'a Portfolio, &'a PortfolioLimits)> {
    let portfolio = entry.risk.portfolio?;
    Some((portfolio, portfolio.limits.as_ref()?))
}

impl Entry<'_> {
    fn place(&self) -> usize {
        self.risk.instrument.index()
    }

    fn sign(&self) -> i128 {
        self.case.request.side.signed(Quantity(1)).0.into()
    }

    /// What the order does to the value of its position.
    fn change(&self) -> i128 {
        self.sign() * (self.opened + self.closed).0
    }

    /// Instruments that are held or being entered, this one included, each with its value.
    fn involved(&self) -> impl Iterator<Item = (usize, i128)> {
        let is_entered = |index: usize| !self.filling && self.entering(index).any(|value| value != 0);
        self.risk.books.iter().enumerate().filter_map(move |(index, book)| {
            let held = book.position.value(book.last).0;
            (held != 0 || index == self.place() || is_entered(index)).then_some((index, held))
        })
    }

    /// Values of the entries that work in an instrument, with their signs.
    fn entering(&self, index: usize) -> impl Iterator<Item = i128> {
        let working = if self.filling { &[][..] } else { &self.risk.books[index].working[..] };
        working.iter().filter(|order| order.is_working()).map(|order| match order.side {
            Side::Buy => order.reserved.0,
            Side::Sell => -order.reserved.0,
        })
    }

    fn equity(&self) -> i128 {
        self.case.ledger.equity().0.max(0)
    }

    /// Σ value × factor, of what is held and this order; and the most that working entries can add to it either way.
    /// In units of 1e-16. Nothing where a factor is missing.
    fn weighed(&self, of: impl Fn(usize) -> Option<Ratio>) -> Option<Weighed> {
        let mut sums = Weighed::default();
        for (index, held) in self.involved() {
            let factor = i128::from(of(index)?.0);
            sums.after = sums.after.saturating_add(held.saturating_mul(factor));
            for value in self.entering(index) {
                let product = value.saturating_mul(factor);
                let side = if product > 0 { &mut sums.above } else { &mut sums.below };
                *side = side.saturating_add(product);
            }
        }
        let own = i128::from(of(self.place())?.0);
        sums.change = self.change().saturating_mul(own);
        sums.after = sums.after.saturating_add(sums.change);
        Some(sums)
    }

    /// Refuses where a weighed sum leaves its bounds in the direction in which the order moves it.
    fn within(&self, verdict: Verdict, sums: &Weighed, low: Option<Ratio>, high: Option<Ratio>) -> Answer {
        let equity = self.equity();
        let (lowest, highest) = (sums.after.saturating_add(sums.below), sums.after.saturating_add(sums.above));
        if let Some(high) = high
            && sums.change > 0
            && highest > i128::from(high.0).saturating_mul(equity)
        {
            return Err(Refusal::new(verdict, high, Measure(up(highest, equity.max(1)))));
        }
        if let Some(low) = low
            && sums.change < 0
            && lowest < i128::from(low.0).saturating_mul(equity)
        {
            return Err(Refusal::new(verdict, low, Measure(-up(lowest.saturating_neg(), equity.max(1)))));
        }
        Ok(())
    }

    /// What the positions would have lost in each of the last sessions, the worst first, in units of 1e-16: with this
    /// order, and as it is without it.
    fn losses(&self, portfolio: &Portfolio, sessions: usize) -> [Vec<i128>; 2] {
        let involved: Vec<_> = self.involved().collect();
        let entering: Vec<(usize, i128)> =
            involved.iter().flat_map(|(index, _)| self.entering(*index).map(|value| (*index, value))).collect();
        let (own, change) = (self.place(), self.change());
        let mut with = Vec::with_capacity(sessions);
        let mut without = Vec::with_capacity(sessions);
        for ago in 0..sessions {
            let loss = |index: usize, value: i128| {
                value.saturating_mul(i128::from(portfolio.session_return(index, ago))).saturating_neg()
            };
            let held = involved.iter().fold(0i128, |sum, (index, held)| sum.saturating_add(loss(*index, *held)));
            let worst = |sum: i128, (index, value): &(usize, i128)| sum.saturating_add(loss(*index, *value).max(0));
            let before = entering.iter().fold(held, worst);
            without.push(before);
            with.push(before.saturating_add(loss(own, change)));
        }
        [with, without].map(|mut losses| {
            losses.sort_unstable_by(|one, other| other.cmp(one));
            losses
        })
    }
}

/// A sum over the portfolio.
#[derive(Default)]
struct Weighed {
    /// With the order filled.
    after: i128,
    /// What the order does to it.
    change: i128,
    /// What working entries may add.
    above: i128,
    /// What working entries may take, below zero.
    below: i128,
}

/// A quotient, rounded up.
fn up(dividend: i128, divisor: i128) -> i128 {
    dividend.div_euclid(divisor) + i128::from(dividend.rem_euclid(divisor) != 0)
}

fn missing(verdict: Verdict, needed: usize, known: usize) -> Answer {
    if known >= needed {
        return Ok(());
    }
    Err(Refusal::new(verdict, Measure::count(needed as u64), Measure::count(known as u64)))
}

pub(super) fn not_traded(entry: &Entry<'_>) -> Answer {
    let Some((_, limits)) = limits(entry) else { return Ok(()) };
    match limits.benchmark {
        Some(benchmark) if benchmark == entry.risk.instrument => {
            Err(Refusal::new(Verdict::NotTraded, Measure(0), entry.opened))
        }
        _ => Ok(()),
    }
}

pub(super) fn no_sector(entry: &Entry<'_>) -> Answer {
    let Some((_, limits)) = limits(entry) else { return Ok(()) };
    if limits.max_sector_pct.is_none() || limits.sectors[entry.place()].is_some() {
        return Ok(());
    }
    missing(Verdict::NoSector, 1, 0)
}

pub(super) fn sector(entry: &Entry<'_>) -> Answer {
    let Some((_, limits)) = limits(entry) else { return Ok(()) };
    let (Some(percent), Some(own)) = (limits.max_sector_pct, limits.sectors.get(entry.place()).copied().flatten())
    else {
        return Ok(());
    };
    let in_sector = entry.involved().filter(|(index, _)| limits.sectors[*index] == Some(own));
    let exposed = in_sector.fold(0i128, |sum, (index, held)| {
        let working = entry.entering(index).fold(0i128, |sum, value| sum.saturating_add(value.abs()));
        sum.saturating_add(held.abs()).saturating_add(working)
    });
    let exposed = exposed - entry.closed.0 + entry.opened.0;
    share(Verdict::Sector, percent, exposed, entry.equity())
}

/// Refuses an amount of money above so many percent of the equity.
fn share(verdict: Verdict, percent: Ratio, amount: i128, equity: i128) -> Answer {
    let allowed = equity.saturating_mul(percent.0.into());
    if amount.saturating_mul(HUNDRED * SCALE_WIDE) <= allowed {
        return Ok(());
    }
    Err(Refusal::new(verdict, Money(allowed / (HUNDRED * SCALE_WIDE)), Money(amount)))
}

pub(super) fn no_loading(entry: &Entry<'_>) -> Answer {
    let Some((_, limits)) = limits(entry) else { return Ok(()) };
    for factor in &limits.factors {
        let unknown = entry.involved().filter(|(index, _)| factor.loadings[*index].is_none()).count();
        let all = entry.involved().count();
        missing(Verdict::NoLoading, all, all - unknown)?;
    }
    Ok(())
}

pub(super) fn factor_exposure(entry: &Entry<'_>) -> Answer {
    let Some((_, limits)) = limits(entry) else { return Ok(()) };
    for factor in &limits.factors {
        if let Some(sums) = entry.weighed(|index| factor.loadings[index]) {
            entry.within(Verdict::FactorExposure, &sums, Some(factor.low), Some(factor.high))?;
        }
    }
    Ok(())
}

pub(super) fn no_history(entry: &Entry<'_>) -> Answer {
    let Some((portfolio, limits)) = limits(entry) else { return Ok(()) };
    if !limits.looks_back() {
        return Ok(());
    }
    let known = entry.involved().map(|(index, _)| portfolio.known(index, limits.sessions)).min().unwrap_or(0);
    missing(Verdict::NoHistory, limits.sessions, known)
}

pub(super) fn no_benchmark(entry: &Entry<'_>) -> Answer {
    let Some((portfolio, limits)) = limits(entry) else { return Ok(()) };
    match limits.benchmark {
        Some(benchmark) if limits.has_beta() => {
            let known = portfolio.benchmark_sessions(benchmark, limits.sessions);
            missing(Verdict::NoBenchmark, limits.sessions, known)
        }
        _ => Ok(()),
    }
}

pub(super) fn beta(entry: &Entry<'_>) -> Answer {
    let Some((portfolio, limits)) = limits(entry) else { return Ok(()) };
    if !limits.has_beta() {
        return Ok(());
    }
    let sums = entry.weighed(|index| portfolio.beta(index)).expect("what is missing has been refused before");
    entry.within(Verdict::Beta, &sums, limits.min_beta, limits.max_beta)
}

/// The place of the value at risk among so many losses: whole, and hundredths beyond.
fn quantile(sessions: usize, confidence_pct: u32) -> (usize, i128) {
    let hundredths = (sessions - 1) * (100 - confidence_pct as usize);
    (hundredths / 100, (hundredths % 100) as i128)
}

pub(super) fn value_at_risk(entry: &Entry<'_>) -> Answer {
    let Some((portfolio, limits)) = limits(entry) else { return Ok(()) };
    let Some(percent) = limits.max_var_pct else { return Ok(()) };
    let (place, hundredths) = quantile(limits.sessions, limits.confidence_pct);
    // A hundred times the loss.
    let losses = entry.losses(portfolio, limits.sessions);
    let [with, without] = losses.map(|losses| at_quantile(&losses, (place, hundredths)));
    at_most_lost(Verdict::ValueAtRisk, (percent, entry.equity()), (with, without), HUNDRED)
}

pub(super) fn expected_shortfall(entry: &Entry<'_>) -> Answer {
    let Some((portfolio, limits)) = limits(entry) else { return Ok(()) };
    let Some(percent) = limits.max_cvar_pct else { return Ok(()) };
    let (place, _) = quantile(limits.sessions, limits.confidence_pct);
    let [with, without] = entry
        .losses(portfolio, limits.sessions)
        .map(|losses| losses[..=place].iter().fold(0i128, |sum, loss| sum.saturating_add(*loss)));
    at_most_lost(Verdict::ExpectedShortfall, (percent, entry.equity()), (with, without), place as i128 + 1)
}

/// Refuses a loss above a share of the equity that the order makes larger than it is without; losses are so many times
/// themselves, in units of 1e-16.
fn at_most_lost(
    verdict: Verdict,
    (percent, equity): (Ratio, i128),
    (with, without): (i128, i128),
    times: i128,
) -> Answer {
    let allowed = i128::from(percent.0).saturating_mul(equity);
    if with <= without || with.saturating_mul(HUNDRED) <= allowed.saturating_mul(times) {
        return Ok(());
    }
    let allowed = Money(allowed / (HUNDRED * SCALE_WIDE));
    Err(Refusal::new(verdict, allowed, Money(up(with, times * SCALE_WIDE))))
}

/// Where the positions stand beside a limit on the portfolio, working orders aside.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Standing {
    /// The check that holds the limit.
    pub limit: Verdict,
    /// The sector or the factor; empty where it is about all of the portfolio.
    pub of: String,
    /// The least that is allowed, where there is such a bound.
    pub least: Option<Measure>,
    /// The most that is allowed, where there is such a bound.
    pub most: Option<Measure>,
    /// What is met, in the same unit: money, or for beta and factors multiples of the equity. Nothing where it cannot be
    /// worked out.
    pub now: Option<Measure>,
}

/// Where the positions stand beside every limit that is set.
pub(crate) fn standings(portfolio: &Portfolio, books: &[Book], equity: Money) -> Vec<Standing> {
    let Some(limits) = &portfolio.limits else { return Vec::new() };
    let equity = equity.0.max(0);
    let held: Vec<(usize, i128)> =
        books.iter().enumerate().map(|(index, book)| (index, book.position.value(book.last).0)).collect();
    let held: Vec<_> = held.into_iter().filter(|(_, value)| *value != 0).collect();
    let share = |percent: Ratio| Measure(equity.saturating_mul(percent.0.into()) / (HUNDRED * SCALE_WIDE));
    let of_equity = |of: &dyn Fn(usize) -> Option<Ratio>| {
        let product = |(index, value): &(usize, i128)| Some(value.saturating_mul(of(*index)?.0.into()));
        let sum = held.iter().map(product).try_fold(0i128, |sum, product| Some(sum.saturating_add(product?)))?;
        Some(Measure(sum / equity.max(1)))
    };
    let mut found = Vec::new();
    let mut add =
        |limit, of: &str, least, most, now| found.push(Standing { limit, of: of.to_owned(), least, most, now });
    if let Some(percent) = limits.max_sector_pct {
        for (number, name) in limits.sector_names.iter().enumerate() {
            let own = held.iter().filter(|(index, _)| limits.sectors[*index] == Some(number as u32));
            let gross = own.fold(0i128, |sum, (_, value)| sum.saturating_add(value.abs()));
            if gross != 0 {
                add(Verdict::Sector, name, None, Some(share(percent)), Some(Measure(gross)));
            }
        }
    }
    for factor in &limits.factors {
        let now = of_equity(&|index| factor.loadings[index]);
        add(Verdict::FactorExposure, &factor.name, Some(factor.low.into()), Some(factor.high.into()), now);
    }
    if limits.has_beta() {
        let bound = |bound: Option<Ratio>| bound.map(Measure::from);
        let now = of_equity(&|index| portfolio.beta(index));
        add(Verdict::Beta, "", bound(limits.min_beta), bound(limits.max_beta), now);
    }
    let known = held.iter().all(|(index, _)| portfolio.known(*index, limits.sessions) == limits.sessions);
    let losses = known.then(|| losses_of(portfolio, &held, limits.sessions));
    let (place, hundredths) = quantile(limits.sessions, limits.confidence_pct);
    if let Some(percent) = limits.max_var_pct {
        let loss = |losses: &Vec<i128>| at_quantile(losses, (place, hundredths)) / (HUNDRED * SCALE_WIDE);
        add(Verdict::ValueAtRisk, "", None, Some(share(percent)), losses.as_ref().map(loss).map(Measure));
    }
    if let Some(percent) = limits.max_cvar_pct {
        let loss = |losses: &Vec<i128>| {
            losses[..=place].iter().fold(0i128, |sum, loss| sum.saturating_add(*loss))
                / ((place as i128 + 1) * SCALE_WIDE)
        };
        add(Verdict::ExpectedShortfall, "", None, Some(share(percent)), losses.as_ref().map(loss).map(Measure));
    }
    found
}

/// What positions would have lost in each of the last sessions, the worst first.
fn losses_of(portfolio: &Portfolio, held: &[(usize, i128)], sessions: usize) -> Vec<i128> {
    let loss = |ago: usize| {
        let of = |(index, value): &(usize, i128)| {
            value.saturating_mul(i128::from(portfolio.session_return(*index, ago))).saturating_neg()
        };
        held.iter().map(of).fold(0i128, i128::saturating_add)
    };
    let mut losses: Vec<i128> = (0..sessions).map(loss).collect();
    losses.sort_unstable_by(|one, other| other.cmp(one));
    losses
}

/// A hundred times the loss at a place between two losses.
fn at_quantile(losses: &[i128], (place, hundredths): (usize, i128)) -> i128 {
    let next = losses.get(place + 1).copied().unwrap_or(losses[place]);
    losses[place].saturating_mul(HUNDRED - hundredths).saturating_add(next.saturating_mul(hundredths))
}

#[cfg(test)]
#[path = "exposure_tests.rs"]
mod tests;
