//! What a learned policy sees: windows of features of every symbol in every timeframe, from the engine's own bars.
//!
//! - It is fed sessions and closed bars and nothing else; longer timeframes are built from those bars, as everywhere in
//!   the core. A longer bar whose last part is missing is known when the next bar or session shows that it is over.
//! - Backtest, live and training use this one struct, so that a window has the same bytes in each. Training keeps every
//!   row and looks windows up later; deciding keeps the look-back.
//! - All it remembers is saved in canonical bytes; the calendar is setup, not memory.

use crate::bars::Building;
use crate::feature_session::feature_session;
use crate::input::SessionHours;
use chrono::Datelike;
use daybook_config::Calendar;
use daybook_features::spec::{Moment, Withheld};
use daybook_features::{Bar, FeatureMarket, Session, Timeframe};
use daybook_vocabulary::{Candle, Date, Hash, InstrumentId, Nanos};
use serde::{Deserialize, Serialize};

/// Features for policies.
#[derive(Debug, Clone)]
pub struct PolicyFeatures {
    calendar: Calendar,
    timeframes: Vec<Timeframe>,
    memory: Memory,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Memory {
    market: FeatureMarket,
    /// By instrument, then by longer timeframe.
    building: Vec<Building>,
    session: Option<(SessionHours, Session)>,
}

impl PolicyFeatures {
    /// For deciding about `symbols` instruments: rows as far back as the look-backs reach. The first timeframe is that of
    /// the bars that come in; the others are longer.
    pub fn for_decisions(calendar: Calendar, symbols: usize, timeframes: &[Timeframe]) -> Self {
        Self::new(calendar, FeatureMarket::for_decisions(symbols, timeframes))
    }

    /// For training: every row is kept.
    pub fn for_training(calendar: Calendar, symbols: usize, timeframes: &[Timeframe]) -> Self {
        Self::new(calendar, FeatureMarket::for_training(symbols, timeframes))
    }

    /// The first date whose candles must be read so that windows of sessions on or after `from` are complete: the anchor
    /// of the oldest row that such a window looks back at.
    pub fn reads_from(calendar: &Calendar, timeframes: &[Timeframe], from: Date) -> Date {
        let of = |timeframe: &Timeframe| {
            let daily = timeframe.interval.is_daily();
            let mut oldest = from;
            let mut bars = timeframe.lookback as i64;
            // Ten years of dates hold whatever a model looks back at; a market without sessions ends the search too.
            for back in 1..=3_660 {
                if bars <= 0 {
                    break;
                }
                oldest = Date(from.0 - back);
                let Some(session) = calendar.session_for_data(oldest) else { continue };
                let length = session.close() - session.open();
                bars -= if daily { 1 } else { (length / timeframe.interval.nanos()).max(1) };
            }
            let civil = oldest.civil();
            let begins = Date(oldest.0 - if daily { civil.ordinal0() } else { civil.day0() } as i32);
            // One day before the period begins lies in the period before.
            let before = Date(begins.0 - 1);
            let civil = before.civil();
            Date(before.0 - if daily { civil.ordinal0() } else { civil.day0() } as i32)
        };
        timeframes.iter().map(of).min().unwrap_or(from)
    }

    fn new(calendar: Calendar, market: FeatureMarket) -> Self {
        let timeframes = market.timeframes().to_vec();
        assert!(
            timeframes.windows(2).all(|pair| pair[0].interval < pair[1].interval),
            "timeframes are ordered, the bars that come in first"
        );
        let building = vec![Building::default(); market.symbols() * (timeframes.len() - 1)];
        Self { calendar, timeframes, memory: Memory { market, building, session: None } }
    }

    /// A session begins: what was being built in the last one is over.
    pub fn on_session(&mut self, hours: &SessionHours) {
        if let Some((_, last)) = self.memory.session {
            for (place, building) in self.memory.building.iter_mut().enumerate() {
                let Some(candle) = building.finish() else { continue };
                let symbol = place / (self.timeframes.len() - 1);
                self.memory.market.observe(symbol, &Bar { candle: &candle, session: &last }, hours.open);
            }
        }
        self.memory.session = Some((*hours, feature_session(&self.calendar, hours)));
    }

    /// Learns a closed bar of the first timeframe; others, and bars before any session, are left out.
    pub fn on_bar(&mut self, instrument: InstrumentId, candle: &Candle) {
        let Some((hours, session)) = self.memory.session else { return };
        if candle.interval() != self.timeframes[0].interval {
            return;
        }
        let bar = Bar { candle, session: &session };
        let known = bar.known();
        let market = &mut self.memory.market;
        market.observe(instrument.index(), &bar, known);
        let longer = &self.timeframes[1..];
        let first = instrument.index() * longer.len();
        for (timeframe, building) in longer.iter().zip(&mut self.memory.building[first..first + longer.len()]) {
            for built in building.add(candle, known, &hours, timeframe.interval).into_iter().flatten() {
                market.observe(instrument.index(), &Bar { candle: &built, session: &session }, known);
            }
        }
    }

    /// A decision time in this session; nothing before the first bar.
    pub fn moment(&self, at: Nanos) -> Option<Moment> {
        self.memory.market.moment(at)
    }

    /// Windows of every symbol in every timeframe (timeframe first), or the first symbol without one and why.
    pub fn windows(&self, moment: &Moment) -> Result<Vec<Vec<&[f32]>>, (usize, Withheld)> {
        let market = &self.memory.market;
        let of = |timeframe: usize| {
            let window = |symbol| market.window(symbol, timeframe, moment).map_err(|why| (symbol, why));
            (0..market.symbols()).map(window).collect::<Result<Vec<_>, _>>()
        };
        (0..self.timeframes.len()).map(of).collect()
    }

    /// Hash of windows, as a decision names them: their values in order, little-endian.
    pub fn hash(windows: &[Vec<&[f32]>]) -> Hash {
        let mut hasher = blake3::Hasher::new();
        let mut bytes = Vec::new();
        for window in windows.iter().flatten() {
            bytes.clear();
            bytes.extend(window.iter().flat_map(|value| value.to_le_bytes()));
            hasher.update(&bytes);
        }
        Hash(*hasher.finalize().as_bytes())
    }

    /// Rows and streams.
    pub fn market(&self) -> &FeatureMarket {
        &self.memory.market
    }

    /// The market of a whole history, to keep.
    pub fn into_market(self) -> FeatureMarket {
        self.memory.market
    }

    /// Appends all it remembers.
    pub fn save(&self, out: &mut Vec<u8>) {
        *out = postcard::to_extend(&self.memory, std::mem::take(out)).expect("features are plain data");
    }

    /// Restores what [`PolicyFeatures::save`] wrote; false when the bytes are something else.
    pub fn load(&mut self, saved: &[u8]) -> bool {
        match postcard::take_from_bytes::<Memory>(saved) {
            Ok((memory, [])) if self.fits(&memory) => {
                self.memory = memory;
                true
            }
            _ => false,
        }
    }

    fn fits(&self, memory: &Memory) -> bool {
        memory.market.timeframes() == self.timeframes
            && memory.market.is_sound(self.memory.market.symbols())
            && memory.building.len() == self.memory.building.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_features::FEATURES;
    use daybook_vocabulary::candle::CandleParts;
    use daybook_vocabulary::{Interval, Price, Quantity};

    const TIMEFRAMES: [Timeframe; 2] = [
        Timeframe { interval: Interval::minutes(15), lookback: 20 },
        Timeframe { interval: Interval::minutes(60), lookback: 6 },
    ];

    fn both() -> [PolicyFeatures; 2] {
        let calendar = Calendar::nse();
        [
            PolicyFeatures::for_decisions(calendar.clone(), 2, &TIMEFRAMES),
            PolicyFeatures::for_training(calendar, 2, &TIMEFRAMES),
        ]
    }

    /// Feeds two instruments over the sessions of January to March 2024, the evening of each decided at `decide`. Some
    /// candles are missing.
    fn feed(features: &mut [PolicyFeatures], mut decide: impl FnMut(&[PolicyFeatures], Nanos)) {
        let calendar = Calendar::nse();
        let mut close = [100_000i64, 30_000];
        let mut state = 9u64;
        let mut below = |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % bound) as i64
        };
        let dates = ["2024-01-01", "2024-03-28"].map(|date| date.parse::<Date>().expect("a date"));
        for (date, _) in calendar.days(dates[0], dates[1]) {
            let daybook_config::calendar::Day::Session(session) = calendar.day(date) else { continue };
            let hours = SessionHours { date, open: session.open(), close: session.close() };
            features.iter_mut().for_each(|one| one.on_session(&hours));
            for bar in 0..25 {
                let open_time = hours.open + bar * TIMEFRAMES[0].interval.nanos();
                if open_time >= hours.close {
                    break;
                }
                for (symbol, close) in close.iter_mut().enumerate() {
                    let open = *close;
                    *close = (open + below(201) - 100).max(1_000);
                    let (high, low) = (open.max(*close) + below(50), open.min(*close) - below(50));
                    let [open, high, low, close] = [open, high, low, *close].map(|ticks| Price(ticks * 5_000_000));
                    let interval = TIMEFRAMES[0].interval;
                    let volume = Quantity::from_units(below(1_000));
                    let parts = CandleParts { open_time, interval, open, high, low, close, volume, revises: false };
                    if below(400) != 0 {
                        let candle = Candle::new(parts);
                        features.iter_mut().for_each(|one| one.on_bar(InstrumentId(symbol as u32), &candle));
                    }
                }
                decide(features, open_time + TIMEFRAMES[0].interval.nanos());
            }
        }
    }

    /// The windows of a decision have the same bytes as it is made and as training finds them in the whole matrix
    /// afterwards; what is withheld is withheld in both.
    #[test]
    fn windows_are_the_same_while_deciding_and_in_training() {
        let [deciding, training] = both();
        let mut features = [deciding, training];
        let mut seen = Vec::new();
        feed(&mut features, |features, at| {
            let moment = features[0].moment(at).expect("a bar has come");
            seen.push((moment, features[0].windows(&moment).map(|windows| PolicyFeatures::hash(&windows))));
        });
        let made = seen.iter().filter(|(_, hash)| hash.is_ok()).count();
        assert!(made > 300 && seen.len() - made > 500, "{made} decisions of {}", seen.len());
        for (moment, hash) in &seen {
            let found = features[1].windows(moment).map(|windows| {
                assert_eq!((windows.len(), windows[0].len(), windows[1][0].len()), (2, 2, 6 * FEATURES));
                PolicyFeatures::hash(&windows)
            });
            assert_eq!(found.is_ok(), hash.is_ok(), "{moment:?}: {found:?}, {hash:?}");
            assert!(hash.is_err() || found == *hash, "{moment:?}");
        }
    }

    /// 20 bars of 15 minutes are a session, 6 of an hour too, so the oldest row is of the session before.
    #[test]
    fn candles_are_read_from_the_anchor_of_the_oldest_row() {
        let reads = |timeframes: &[Timeframe], from: &str| {
            PolicyFeatures::reads_from(&Calendar::nse(), timeframes, from.parse().expect("a date")).to_string()
        };
        assert_eq!(reads(&TIMEFRAMES, "2024-03-15"), "2024-02-01");
        assert_eq!(reads(&TIMEFRAMES, "2024-03-01"), "2024-01-01", "the oldest row is of February");
        assert_eq!(reads(&TIMEFRAMES, "2024-01-15"), "2023-12-01");
        let daily = [TIMEFRAMES[0], Timeframe { interval: Interval::DAY, lookback: 60 }];
        assert_eq!(reads(&daily, "2024-06-03"), "2023-01-01");
        assert_eq!(reads(&daily, "2024-02-01"), "2022-01-01", "60 sessions before lie in 2023");
    }

    /// Taken up from what was saved it goes on as if nothing had happened; bytes of something else are refused.
    #[test]
    fn what_is_saved_is_restored() {
        let [mut first, _] = both();
        let mut features = [first.clone()];
        let mut saved = Vec::new();
        let mut count = 0;
        feed(&mut features, |features, _| {
            count += 1;
            if count == 1_000 {
                features[0].save(&mut saved);
                first.load(&saved);
                assert_eq!(first.memory, features[0].memory);
            }
        });
        assert!(count > 1_000 && first.load(&saved));
        assert!(!first.load(&saved[1..]) && !first.load(&[]));
        let mut other = PolicyFeatures::for_decisions(Calendar::nse(), 3, &TIMEFRAMES);
        assert!(!other.load(&saved), "three symbols are not two");
        for at in (0..saved.len()).step_by(97) {
            let mut damaged = saved.clone();
            damaged[at] ^= 0x55;
            // It may load, if the damage fell on a number; it must not panic then either.
            if first.load(&damaged) {
                feed(std::slice::from_mut(&mut first.clone()), |_, _| {});
                break;
            }
        }
    }
}
