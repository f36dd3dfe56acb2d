//! The tables of a report: orders, fills, legs, trades, equity; each as CSV and as Parquet with the same columns.
//!
//! Times are RFC 3339 UTC in CSV and nanosecond timestamps (UTC) in Parquet; prices, quantities and money are exact
//! decimals in both; an absent value is empty or null; ids and `seq` are integers.
//!
//! | table | a row is | order |
//! |---|---|---|
//! | `fills` | a fill | as it was learned |
//! | `legs` | a fill once more, with what it cost: how far from its reference, by which model, and every charge | as `fills` |
//! | `orders` | an order and how it ended: `seq`, `time` of the intent, `last_seq`, `last_time` of what ended it | as they ended; those still working come last |
//! | `trades` | a closed round trip: `seq`, `time` of the closing frame, times of the exchange | as they closed |
//! | `equity` | a session's close: `session_return` and `drawdown` are floats | by session |
//!
//! - `fills.fees` is the sum of the fill's charges; `legs` has them item by item. `legs.slippage` is what the distance
//!   from the reference price cost, in money.
//! - `orders.average_price` is the filled value ÷ the filled quantity, rounded to 1e-8.
//! - `trades.net` is `gross` − `fees`; `net_return` is `net` ÷ the entry's value; `r` and what follows are worked out by
//!   the trade itself and empty where they are undefined.
//! - Rows are written as they come: no table is ever held in memory.

use super::ReportError;
use super::measures::{MEASURES, joined};
use daybook_features::columns::{Cell, Column, ColumnError, ColumnType, ColumnWriter, Format, HashedFile, Written};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use ColumnType::{Decimal, F64, Timestamp, U64, Utf8};

/// Columns of `fills`. The header of `fills.csv` is a contract.
pub(super) const FILLS: [(&str, ColumnType); 11] = [
    ("seq", U64),
    ("time", Timestamp),
    ("exchange_time", Timestamp),
    ("symbol", Utf8),
    ("side", Utf8),
    ("quantity", Decimal),
    ("price", Decimal),
    ("reference_price", Decimal),
    ("slippage_bps", Decimal),
    ("fees", Decimal),
    ("order_id", U64),
];

/// Columns of `legs`: a fill and what it cost.
pub(super) const LEGS: [(&str, ColumnType); 19] = [
    ("seq", U64),
    ("time", Timestamp),
    ("symbol", Utf8),
    ("side", Utf8),
    ("quantity", Decimal),
    ("price", Decimal),
    ("reference_price", Decimal),
    ("slippage_bps", Decimal),
    ("slippage", Decimal),
    ("model", Utf8),
    ("brokerage", Decimal),
    ("transaction_tax", Decimal),
    ("exchange_fee", Decimal),
    ("regulator_fee", Decimal),
    ("stamp_duty", Decimal),
    ("service_tax", Decimal),
    ("depository_fee", Decimal),
    ("fees", Decimal),
    ("order_id", U64),
];

/// Columns of `orders`.
pub(super) const ORDERS: [(&str, ColumnType); 20] = [
    ("order_id", U64),
    ("seq", U64),
    ("time", Timestamp),
    ("symbol", Utf8),
    ("side", Utf8),
    ("order_type", Utf8),
    ("time_in_force", Utf8),
    ("quantity", Decimal),
    ("limit_price", Decimal),
    ("stop_price", Decimal),
    ("reference_price", Decimal),
    ("reason", Utf8),
    ("verdict", Utf8),
    ("state", Utf8),
    ("filled", Decimal),
    ("average_price", Decimal),
    ("fees", Decimal),
    ("last_seq", U64),
    ("last_time", Timestamp),
    ("last_reason", Utf8),
];

/// Columns of `trades`: what happened, then what it is measured by.
pub(super) const TRADES: [(&str, ColumnType); 35] = joined(TRADE, MEASURES);

const TRADE: [(&str, ColumnType); 19] = [
    ("trade", U64),
    ("seq", U64),
    ("time", Timestamp),
    ("symbol", Utf8),
    ("side", Utf8),
    ("quantity", Decimal),
    ("entry_time", Timestamp),
    ("exit_time", Timestamp),
    ("entry_price", Decimal),
    ("exit_price", Decimal),
    ("gross", Decimal),
    ("fees", Decimal),
    ("net", Decimal),
    ("net_return", F64),
    ("bars", U64),
    ("entry_order_id", U64),
    ("exit_order_id", U64),
    ("entry_reason", Utf8),
    ("exit_reason", Utf8),
];

/// Columns of `equity`.
pub(super) const EQUITY: [(&str, ColumnType); 13] = [
    ("seq", U64),
    ("time", Timestamp),
    ("session", Utf8),
    ("equity", Decimal),
    ("cash", Decimal),
    ("long_value", Decimal),
    ("short_value", Decimal),
    ("realised", Decimal),
    ("unrealised", Decimal),
    ("fees", Decimal),
    ("positions", U64),
    ("session_return", F64),
    ("drawdown", F64),
];

/// All five.
pub(super) struct Tables {
    pub(super) orders: Table,
    pub(super) fills: Table,
    pub(super) legs: Table,
    pub(super) trades: Table,
    pub(super) equity: Table,
}

impl Tables {
    pub(super) fn create(folder: &Path) -> Result<Self, ReportError> {
        Ok(Self {
            orders: Table::create(folder, "orders", &ORDERS)?,
            fills: Table::create(folder, "fills", &FILLS)?,
            legs: Table::create(folder, "legs", &LEGS)?,
            trades: Table::create(folder, "trades", &TRADES)?,
            equity: Table::create(folder, "equity", &EQUITY)?,
        })
    }

    pub(super) fn finish(self) -> Result<Vec<Written>, ReportError> {
        let mut files = Vec::new();
        for table in [self.orders, self.fills, self.legs, self.trades, self.equity] {
            files.extend(table.finish()?);
        }
        Ok(files)
    }
}

/// One table in both formats.
pub(super) struct Table {
    parquet: ColumnWriter,
    csv: HashedFile,
    line: String,
}

impl Table {
    pub(super) fn create(folder: &Path, name: &str, columns: &[(&str, ColumnType)]) -> Result<Self, ReportError> {
        let header: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
        let columns: Vec<_> = columns.iter().map(|(name, column_type)| Column::new(name, *column_type)).collect();
        let parquet = ColumnWriter::create(&folder.join(format!("{name}.parquet")), &columns, Format::Parquet)?;
        let mut csv = HashedFile::create(&folder.join(format!("{name}.csv")))?;
        writeln!(csv, "{}", header.join(",")).map_err(|source| failed(&csv, source))?;
        Ok(Self { parquet, csv, line: String::new() })
    }

    /// Adds a row to both.
    pub(super) fn append(&mut self, row: &[Cell<'_>]) -> Result<(), ReportError> {
        self.parquet.append(row)?;
        self.line.clear();
        for (index, cell) in row.iter().enumerate() {
            if index > 0 {
                self.line.push(',');
            }
            write_cell(cell, &mut self.line);
        }
        self.line.push('\n');
        self.csv.write_all(self.line.as_bytes()).map_err(|source| failed(&self.csv, source))
    }

    pub(super) fn finish(self) -> Result<[Written; 2], ReportError> {
        let rows = self.parquet.rows();
        Ok([self.csv.finish(rows)?, self.parquet.finish()?])
    }
}

fn failed(file: &HashedFile, source: std::io::Error) -> ReportError {
    ReportError::File(ColumnError::File { path: file.path().to_owned(), source })
}

fn write_cell(cell: &Cell<'_>, out: &mut String) {
    let written = match cell {
        Cell::Null => Ok(()),
        Cell::I64(value) => write!(out, "{value}"),
        Cell::U64(value) => write!(out, "{value}"),
        Cell::F64(value) => write!(out, "{value}"),
        Cell::Time(time) => write!(out, "{time}"),
        Cell::Decimal(units) => daybook_vocabulary::decimal::write(*units, out),
        Cell::Text(text) => {
            write_text(text, out);
            Ok(())
        }
    };
    written.expect("writing to a string does not fail");
}

/// Text as RFC 4180 has it: in quotes where it holds a comma, a quote or a line end.
fn write_text(text: &str, out: &mut String) {
    if !text.contains([',', '"', '\n', '\r']) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for letter in text.chars() {
        if letter == '"' {
            out.push('"');
        }
        out.push(letter);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_where_it_must_be() {
        for (text, expected) in
            [("RELIANCE", "RELIANCE"), ("M&M", "M&M"), ("a,b", "\"a,b\""), ("\"x\"\n", "\"\"\"x\"\"\n\"")]
        {
            let mut out = String::new();
            write_text(text, &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn the_header_of_fills_is_a_contract() {
        let names: Vec<_> = FILLS.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names.join(","),
            "seq,time,exchange_time,symbol,side,quantity,price,reference_price,slippage_bps,fees,order_id"
        );
    }
}
