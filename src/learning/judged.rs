//! Whether a model was right: each of its words by what the price did next, each of its entries by what the trade made.
//!
//! - Words are judged at closes, for a position of `risk.capital_per_ticker`, by the charges in force and without
//!   slippage: of BUY, SELL and HOLD exactly one is right. Entries are judged by their trades, slippage and all.
//! - A word at the session's last decision has nothing after it to be judged by, and is left out.
//! - Must never: reach a decision; this is hindsight.

use daybook_config::{Calendar, FeeInput, FeeSchedule, Settings};
use daybook_replay::{Spoken, Trial};
use daybook_train::calibration::Judged;
use daybook_vocabulary::{Action, Date, Money, Price, Quantity, Side};
use std::collections::BTreeMap;
use std::error::Error;

/// Decisions of a symbol after which a word is judged, unless the session ends before.
const HORIZON: usize = 12;

/// What was judged, what right means, and the judgements.
pub type Table = (&'static str, String, Vec<Judged>);

/// The words and the entries of a model's trial, judged.
pub fn judged(trial: &Trial, settings: &Settings, calendar: &Calendar) -> Result<Vec<Table>, Box<dyn Error>> {
    let fees = FeeSchedule::parse(settings.costs.as_str())?;
    let of_words = format!(
        "BUY: a position worth {}, bought at its bar's close and sold {HORIZON} decisions later (or at the session's last), \
         would have made money after charges ({}); SELL: sold short and bought back, it would have; HOLD: neither would",
        settings.risk_capital_per_ticker,
        settings.costs.as_str()
    );
    let words = words(trial, &Costs { fees, capital: settings.risk_capital_per_ticker }, calendar)?;
    let of_entries =
        "the trade that the decision entered was closed with a profit, net of charges and slippage".to_owned();
    Ok(vec![("words", of_words, words), ("entries", of_entries, entries(trial, calendar))])
}

struct Costs {
    fees: FeeSchedule,
    capital: Money,
}

impl Costs {
    /// What a round trip would have made: bought and sold, or the other way round, at these prices on this date.
    fn made(&self, date: Date, side: Side, entry: Price, exit: Price) -> Result<Money, Box<dyn Error>> {
        let quantity = Quantity::from_units((self.capital.0 / i128::from(entry.0.max(1))).clamp(1, 1 << 40) as i64);
        let rates = self.fees.rates(date)?;
        let charged = |side: Side, price: Price| {
            let fill = FeeInput {
                side,
                price,
                quantity,
                order_value_before: Money::ZERO,
                order_quantity_before: Quantity::ZERO,
                order_brokerage_before: Money::ZERO,
                maker: false,
                month: (Money::ZERO, Quantity::ZERO),
                first_delivery_sale_of_day: false,
            };
            rates.charge(fill).total()
        };
        let moved = exit.times(quantity) - entry.times(quantity);
        let gross = if side == Side::Buy { moved } else { Money(-moved.0) };
        Ok(gross - charged(side, entry) - charged(side.opposite(), exit))
    }

    fn is_right(&self, date: Date, word: &Spoken, later: Price) -> Result<bool, Box<dyn Error>> {
        let long = self.made(date, Side::Buy, word.price, later)? > Money::ZERO;
        let short = self.made(date, Side::Sell, word.price, later)? > Money::ZERO;
        Ok(match word.action {
            Action::Buy => long,
            Action::Sell => short,
            Action::Hold => !long && !short,
        })
    }
}

fn words(trial: &Trial, costs: &Costs, calendar: &Calendar) -> Result<Vec<Judged>, Box<dyn Error>> {
    let mut by_symbol: BTreeMap<u32, Vec<(Date, &Spoken)>> = BTreeMap::new();
    for word in &trial.words {
        by_symbol.entry(word.instrument.0).or_default().push((calendar.date_of(word.time), word));
    }
    let mut judged = Vec::with_capacity(trial.words.len());
    for words in by_symbol.values() {
        for session in words.chunk_by(|one, other| one.0 == other.0) {
            for (place, (date, word)) in session.iter().enumerate() {
                let last = (place + HORIZON).min(session.len() - 1);
                if last == place {
                    continue;
                }
                let right = costs.is_right(*date, word, session[last].1.price)?;
                judged.push(Judged { session: *date, confidence: share(word), right });
            }
        }
    }
    Ok(judged)
}

fn entries(trial: &Trial, calendar: &Calendar) -> Vec<Judged> {
    let said: BTreeMap<u64, &Spoken> = trial.words.iter().map(|word| (word.decision, word)).collect();
    let judge = |trade: &daybook_vocabulary::TradeClosed| {
        let decision = trade.measures.as_ref()?.decision;
        let word = said.get(&decision)?;
        let session = calendar.date_of(trade.entry_time);
        Some(Judged { session, confidence: share(word), right: trade.net() > Money::ZERO })
    };
    trial.trades.iter().filter_map(judge).collect()
}

fn share(word: &Spoken) -> f64 {
    word.confidence.0 as f64 / 1e8
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_vocabulary::{InstrumentId, Nanos, Ratio};

    /// A session of decisions of one symbol at these closes, all saying the same.
    fn said(action: Action, closes: &[i64]) -> Trial {
        let calendar = Calendar::nse();
        let open = calendar.session_for_data("2025-06-10".parse().unwrap()).unwrap().open();
        let word = |(index, close): (usize, &i64)| Spoken {
            instrument: InstrumentId(0),
            time: Nanos(open.0 + (index as i64 + 1) * 300_000_000_000),
            decision: index as u64 + 1,
            action,
            confidence: Ratio(40_000_000),
            price: Price::from_units(*close),
        };
        Trial { words: closes.iter().enumerate().map(word).collect(), ..Trial::default() }
    }

    fn rights(trial: &Trial, costs: &str) -> Vec<bool> {
        let costs = Costs { fees: FeeSchedule::parse(costs).unwrap(), capital: Money::from_units(100_000) };
        let judged = words(trial, &costs, &Calendar::nse()).unwrap();
        assert!(judged.iter().all(|one| one.confidence == 0.4 && one.session.to_string() == "2025-06-10"));
        judged.iter().map(|one| one.right).collect()
    }

    /// RL-24: twelve decisions later or at the session's last; of the three words exactly one is right, and charges are
    /// what makes HOLD one of them.
    #[test]
    fn a_word_is_judged_by_what_came_of_it() {
        let closes = [100, 100, 99, 103, 100];
        // The last close is 100: equal, equal, higher, lower; the last decision has nothing after it.
        assert_eq!(rights(&said(Action::Buy, &closes), "none"), [false, false, true, false]);
        assert_eq!(rights(&said(Action::Sell, &closes), "none"), [false, false, false, true]);
        assert_eq!(rights(&said(Action::Hold, &closes), "none"), [true, true, false, false]);
        // A round trip of 2 % costs more than a move of 1 %.
        assert_eq!(rights(&said(Action::Buy, &closes), "bps:100"), [false; 4]);
        assert_eq!(rights(&said(Action::Hold, &closes), "bps:100"), [true, true, true, false]);
        let rising: Vec<i64> = (0..14).map(|bar| if bar == 13 { 1 } else { 100 + bar }).collect();
        let bought = rights(&said(Action::Buy, &rising), "none");
        assert!(bought[0] && bought[1..].iter().all(|right| !right), "the first is judged before the fall: {bought:?}");
    }
}
