//! Contract notes: what the charges of a session's fills come to when they are rounded as a broker's note rounds them.
//!
//! - The tax on transactions and the stamp duty of a day are rounded to the whole unit of the currency, everything else
//!   to its hundredth; halves away from zero. The books keep the exact charges: a note is a view of them.
//! - A row per session with fills; `rounding` is what the note takes beyond the exact charges, or leaves.
//! - Must never: enter the books. A backtest's equity does not depend on whether notes were asked for.

use super::tables::Table;
use super::{EventAt, ReportError};
use daybook_features::columns::{Cell, ColumnType, Written};
use daybook_vocabulary::decimal::{SCALE, divide_rounded};
use daybook_vocabulary::{Charges, Date, Fill, Money, Side};
use std::path::Path;

use ColumnType::{Decimal, Timestamp, U64, Utf8};

const COLUMNS: [(&str, ColumnType); 16] = [
    ("seq", U64),
    ("time", Timestamp),
    ("session", Utf8),
    ("fills", U64),
    ("bought", Decimal),
    ("sold", Decimal),
    ("brokerage", Decimal),
    ("transaction_tax", Decimal),
    ("exchange_fee", Decimal),
    ("regulator_fee", Decimal),
    ("stamp_duty", Decimal),
    ("service_tax", Decimal),
    ("depository_fee", Decimal),
    ("total", Decimal),
    ("exact_total", Decimal),
    ("rounding", Decimal),
];

/// The notes of a session's days, as they are written.
pub(super) struct ContractNotes {
    table: Table,
    day: Day,
}

/// What a day has come to.
#[derive(Default)]
struct Day {
    fills: u64,
    bought: Money,
    sold: Money,
    charges: Charges,
}

impl ContractNotes {
    pub(super) fn create(folder: &Path) -> Result<Self, ReportError> {
        Ok(Self { table: Table::create(folder, "contract_notes", &COLUMNS)?, day: Day::default() })
    }

    pub(super) fn fill(&mut self, fill: &Fill, value: Money) {
        let day = &mut self.day;
        day.fills += 1;
        match fill.side {
            Side::Buy => day.bought += value,
            Side::Sell => day.sold += value,
        }
        day.charges.add(&fill.charges);
    }

    /// The session is over: its note, where it had fills.
    pub(super) fn close(&mut self, at: EventAt<'_>, session: Date) -> Result<(), ReportError> {
        let day = std::mem::take(&mut self.day);
        if day.fills == 0 {
            return Ok(());
        }
        let (note, exact) = (rounded(&day.charges), day.charges.total());
        let mut row = vec![Cell::U64(at.seq), Cell::Time(at.time)];
        let session = session.to_string();
        row.extend([Cell::Text(&session), Cell::U64(day.fills), day.bought.into(), day.sold.into()]);
        row.extend(note.items().map(|(_, amount)| Cell::from(amount)));
        row.extend([note.total(), exact, note.total() - exact].map(Cell::from));
        self.table.append(&row)
    }

    pub(super) fn finish(self) -> Result<[Written; 2], ReportError> {
        self.table.finish()
    }
}

/// A day's charges as its note has them.
fn rounded(charges: &Charges) -> Charges {
    let to = |amount: Money, step: i64| Money(divide_rounded(amount.0, i128::from(step)) * i128::from(step));
    let (whole, hundredth) = (SCALE, SCALE / 100);
    Charges {
        brokerage: to(charges.brokerage, hundredth),
        transaction_tax: to(charges.transaction_tax, whole),
        exchange_fee: to(charges.exchange_fee, hundredth),
        regulator_fee: to(charges.regulator_fee, hundredth),
        stamp_duty: to(charges.stamp_duty, whole),
        service_tax: to(charges.service_tax, hundredth),
        depository_fee: to(charges.depository_fee, hundredth),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 bought at 1,300 and sold at 1,310 within a day in 2026: the exact charges are 93.6130, the note's 93.96.
    #[test]
    fn a_note_rounds_as_brokers_do() {
        let money = |text: &str| text.parse::<Money>().unwrap();
        let exact = Charges {
            brokerage: money("40"),
            transaction_tax: money("32.75"),
            exchange_fee: money("8.0127"),
            regulator_fee: money("0.2610"),
            stamp_duty: money("3.9"),
            service_tax: money("8.689266"),
            depository_fee: Money::ZERO,
        };
        let note = rounded(&exact);
        assert_eq!((note.transaction_tax, note.stamp_duty), (money("33"), money("4")));
        assert_eq!((exact.total(), note.total()), (money("93.612966"), money("93.96")));
        assert_eq!(rounded(&note), note, "a rounded note stays");
    }
}
