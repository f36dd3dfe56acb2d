//! Tick sizes by date and price: the grid on which an order's price must lie.
//!
//! - A table says what the exchange's rule was; an instrument's own tick, where known, wins over it.
//! - Every price has a tick: the last band of every table is open.

use crate::calendar_file::toml_error;
use crate::error::ConfigError;
use daybook_vocabulary::{Date, Price};
use serde::Deserialize;

const NSE: &str = include_str!("../data/ticks-nse.toml");

/// Tick sizes of a market by date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickTable {
    name: String,
    /// The bands from each date on: (exclusive upper price, tick).
    tables: Vec<(Date, Vec<(Price, Price)>)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    tables: Vec<RawTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    from: Option<Date>,
    bands: Vec<RawBand>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBand {
    below: Option<Price>,
    tick: Price,
}

impl TickTable {
    /// Cash equities of the National Stock Exchange of India.
    ///
    /// ```
    /// let ticks = daybook_config::TickTable::nse();
    /// let tick = ticks.tick_for("1300".parse().unwrap(), "2025-06-02".parse().unwrap());
    /// assert_eq!(tick.to_string(), "0.1");
    /// ```
    pub fn nse() -> Self {
        Self::read(NSE, "data/ticks-nse.toml").expect("the built-in tick table is well-formed: a test reads it")
    }

    /// The market's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tick on a date of a stock whose last close in the month before was `price`.
    pub fn tick_for(&self, price: Price, date: Date) -> Price {
        let after = self.tables.partition_point(|(from, _)| *from <= date);
        assert!(after > 0, "the first table holds from the beginning of time");
        let bands = &self.tables[after - 1].1;
        let band = bands.partition_point(|(below, _)| *below <= price);
        bands[band.min(bands.len() - 1)].1
    }

    fn read(text: &str, place: &str) -> Result<Self, ConfigError> {
        let raw: Raw = toml::from_str(text).map_err(|error| toml_error(text, place, &error))?;
        let fault = |reason: &str| ConfigError::Format { place: place.to_owned(), reason: reason.to_owned() };
        if raw.tables.first().is_none_or(|first| first.from.is_some()) {
            return Err(fault("the first table must have no `from`: it holds from the beginning of time"));
        }
        let mut tables: Vec<(Date, Vec<(Price, Price)>)> = Vec::with_capacity(raw.tables.len());
        for table in raw.tables {
            let from = table.from.unwrap_or(Date(i32::MIN));
            if tables.last().is_some_and(|(before, _)| from <= *before) {
                return Err(fault("tables are not in order of `from`"));
            }
            let bands: Vec<(Price, Price)> =
                table.bands.iter().map(|band| (band.below.unwrap_or(Price(i64::MAX)), band.tick)).collect();
            if table.bands.last().is_none_or(|last| last.below.is_some()) || !bands.is_sorted_by(|a, b| a.0 < b.0) {
                return Err(fault("bands must rise, and the last one must have no `below`"));
            }
            if bands.iter().any(|(_, tick)| *tick <= Price::ZERO) {
                return Err(fault("a tick must be above 0"));
            }
            tables.push((from, bands));
        }
        Ok(Self { name: raw.name, tables })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_follow_the_date_and_the_band() {
        let ticks = TickTable::nse();
        for (on, price, tick) in [
            ("2016-08-16", "12.35", "0.05"),
            ("2024-06-07", "249", "0.05"),
            ("2024-06-10", "249.95", "0.01"),
            ("2024-06-10", "250", "0.05"),
            ("2025-04-14", "30000", "0.05"),
            ("2025-04-15", "249.99", "0.01"),
            ("2025-04-15", "999.95", "0.05"),
            ("2025-04-15", "1000", "0.1"),
            ("2025-04-15", "5000", "0.5"),
            ("2025-04-15", "10000", "1"),
            ("2025-04-15", "20000", "5"),
            ("2026-11-20", "92233720368.54775807", "5"),
            ("2026-11-20", "-1", "0.01"),
        ] {
            assert_eq!(ticks.tick_for(price.parse().unwrap(), on.parse().unwrap()).to_string(), tick, "{price} {on}");
        }
        assert_eq!(ticks.name(), "nse");
    }

    #[test]
    fn tables_with_holes_are_refused() {
        for bad in [
            "tables = []",
            "[[tables]]\nfrom = \"2024-01-01\"\nbands = [{ tick = \"1\" }]",
            "[[tables]]\nbands = []",
            "[[tables]]\nbands = [{ below = \"5\", tick = \"1\" }]",
            "[[tables]]\nbands = [{ below = \"5\", tick = \"1\" }, { below = \"5\", tick = \"1\" }, { tick = \"1\" }]",
            "[[tables]]\nbands = [{ tick = \"0\" }]",
            "[[tables]]\nbands = [{ tick = \"1\" }]\n[[tables]]\nbands = [{ tick = \"1\" }]",
        ] {
            assert!(TickTable::read(&format!("name = \"x\"\n{bad}\n"), "x.toml").is_err(), "{bad}");
        }
    }
}
