//! Arrow columns to exact numbers, instants and texts.
//!
//! - Floats pass through the vocabulary's one door; whole numbers and timestamps are multiplied, checked.
//! - Every other type goes through its text, the same way as a CSV cell: one rule for what a cell means.
//! - A problem is a byte per row (0 is none): a column is converted in one pass without an allocation per row.

use super::{Reading, Reason, number, time};
use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt32Type,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use daybook_vocabulary::Nanos;
use daybook_vocabulary::time::{DAY, SECOND};
use time::{DateOrder, Stamp, ZoneClock};

/// A reason as a problem byte.
pub(crate) const fn problem(reason: Reason) -> u8 {
    reason as u8 + 1
}

/// The reason of a problem byte.
pub(crate) fn reason(problem: u8) -> Option<Reason> {
    problem.checked_sub(1).and_then(Reason::from_number)
}

/// Converts a column of numbers. The first problem of a row stays. `nan` is what NaN means in it.
pub(crate) fn numbers(
    column: &ArrayRef,
    nan: Reason,
    out: &mut Vec<i64>,
    problems: &mut [u8],
) -> Result<(), ArrowError> {
    out.clear();
    let float = |value: f64| if value.is_nan() { Err(nan) } else { number::from_float(value) };
    match column.data_type() {
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>().values();
            collect(values.iter().map(|&value| float(value)), out, problems);
        }
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>().values();
            collect(values.iter().map(|&value| number::from_whole(value)), out, problems);
        }
        DataType::Int32 => {
            let values = column.as_primitive::<Int32Type>().values();
            collect(values.iter().map(|&value| number::from_whole(value.into())), out, problems);
        }
        DataType::UInt32 => {
            let values = column.as_primitive::<UInt32Type>().values();
            collect(values.iter().map(|&value| number::from_whole(value.into())), out, problems);
        }
        DataType::Float32 => {
            // The decimal a person would write for the single-precision number, not for its double.
            let values = column.as_primitive::<Float32Type>().values();
            let single = |value: &f32| match value.is_nan() {
                true => Err(nan),
                false => number::from_text(value.to_string().as_bytes(), false),
            };
            collect(values.iter().map(single), out, problems);
        }
        _ => {
            let texts = texts(column)?;
            let cells = (0..texts.len()).map(|row| if texts.is_null(row) { "" } else { texts.value(row) });
            let read = |text: &str| match text.trim().eq_ignore_ascii_case("nan") {
                true => Err(nan),
                false => number::from_text(text.as_bytes(), true),
            };
            collect(cells.map(read), out, problems);
            return Ok(());
        }
    }
    if let Some(nulls) = column.nulls() {
        for (slot, _) in problems.iter_mut().zip(nulls.iter()).filter(|(_, valid)| !valid) {
            // A null slot may hold anything, so what it was read as is not its problem.
            *slot = problem(Reason::MissingValue);
        }
    }
    Ok(())
}

#[inline]
fn collect(numbers: impl Iterator<Item = number::Number>, out: &mut Vec<i64>, problems: &mut [u8]) {
    for (number, slot) in numbers.zip(problems) {
        out.push(match number {
            Ok(value) => value,
            Err(reason) => {
                if *slot == 0 {
                    *slot = problem(reason);
                }
                0
            }
        });
    }
}

/// Instants and wall offsets of a column of times. A row without a time has the problem `bad_time`.
pub(crate) fn instants(
    column: &ArrayRef,
    reading: &mut Reading,
    out: &mut Vec<(i64, i32)>,
    problems: &mut [u8],
) -> Result<(), ArrowError> {
    out.clear();
    let order = reading.order.unwrap_or_default();
    let nulls = column.nulls().cloned();
    let mut push = |row: usize, stamp: Option<Stamp>, reading: &mut Reading| {
        let stamp = stamp.filter(|_| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)));
        match stamp.and_then(|stamp| reading.instant(stamp)) {
            Some(instant) => out.push(instant),
            None => {
                out.push((0, 0));
                problems[row] = problem(Reason::BadTime);
            }
        }
    };
    match column.data_type() {
        DataType::Timestamp(unit, zone) => {
            let zone = zone.as_deref().map(|zone| zone.parse::<time::Zone>()).transpose();
            let mut zone = zone.map_err(ArrowError::ParseError)?.map(ZoneClock::new);
            let (values, nanos) = raw_timestamps(column, *unit);
            for (row, &value) in values.iter().enumerate() {
                let stamp = value.checked_mul(nanos).and_then(|value| match &mut zone {
                    None => time::sane(Stamp { wall: value, offset: None }),
                    Some(zone) => {
                        time::sane(Stamp { wall: value, offset: Some(0) })?;
                        let offset = zone.offset_at(value);
                        Some(Stamp { wall: value + i64::from(offset) * SECOND, offset: Some(offset) })
                    }
                });
                push(row, stamp, reading);
            }
        }
        DataType::Date32 => {
            for (row, &days) in column.as_primitive::<Date32Type>().values().iter().enumerate() {
                push(row, time::sane(Stamp { wall: i64::from(days) * DAY, offset: None }), reading);
            }
        }
        DataType::Date64 => {
            for (row, &millis) in column.as_primitive::<Date64Type>().values().iter().enumerate() {
                let wall = millis.checked_mul(1_000_000);
                push(row, wall.and_then(|wall| time::sane(Stamp { wall, offset: None })), reading);
            }
        }
        DataType::Int64 => {
            for (row, &value) in column.as_primitive::<Int64Type>().values().iter().enumerate() {
                push(row, time::from_number(value), reading);
            }
        }
        _ => {
            let texts = texts(column)?;
            for row in 0..texts.len() {
                push(row, time::from_text(texts.value(row).as_bytes(), order), reading);
            }
        }
    }
    Ok(())
}

/// Instants of a date column and a clock column, both by their text.
pub(crate) fn instants_of_two(
    (date, clock): (&ArrayRef, &ArrayRef),
    reading: &mut Reading,
    out: &mut Vec<(i64, i32)>,
    problems: &mut [u8],
) -> Result<(), ArrowError> {
    out.clear();
    let order = reading.order.unwrap_or(DateOrder::DayFirst);
    let (dates, clocks) = (texts(date)?, texts(clock)?);
    for (row, slot) in problems.iter_mut().enumerate() {
        let cells = (!dates.is_null(row) && !clocks.is_null(row)).then(|| (dates.value(row), clocks.value(row)));
        let stamp = cells.and_then(|(date, clock)| time::from_two(date.as_bytes(), clock.as_bytes(), order));
        out.push(stamp.and_then(|stamp| reading.instant(stamp)).unwrap_or_else(|| {
            *slot = problem(Reason::BadTime);
            (0, 0)
        }));
    }
    Ok(())
}

fn raw_timestamps(column: &ArrayRef, unit: TimeUnit) -> (&[i64], i64) {
    match unit {
        TimeUnit::Second => (column.as_primitive::<TimestampSecondType>().values(), SECOND),
        TimeUnit::Millisecond => (column.as_primitive::<TimestampMillisecondType>().values(), 1_000_000),
        TimeUnit::Microsecond => (column.as_primitive::<TimestampMicrosecondType>().values(), 1_000),
        TimeUnit::Nanosecond => (column.as_primitive::<TimestampNanosecondType>().values(), 1),
    }
}

/// A cell as people read it. Times are written here, for the library knows no zones but offsets from UTC.
pub(crate) fn text_of_cell(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return "null".to_owned();
    }
    if let DataType::Timestamp(unit, zone) = column.data_type() {
        let (values, nanos) = raw_timestamps(column, *unit);
        let sane = |wall: &i64| time::sane(Stamp { wall: *wall, offset: None }).is_some();
        return match values[row].checked_mul(nanos).filter(sane).map(|instant| Nanos(instant).to_string()) {
            Some(text) if zone.is_none() => text.trim_end_matches('Z').to_owned(),
            Some(text) => text,
            None => values[row].to_string(),
        };
    }
    ArrayFormatter::try_new(column.as_ref(), &FormatOptions::default())
        .and_then(|formatter| formatter.value(row).try_to_string())
        .unwrap_or_else(|_| "?".to_owned())
}

/// A column as text; types whose text could be longer than their bytes by any factor are refused before.
pub(crate) fn texts(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    let text = cast(column, &DataType::Utf8)?;
    Ok(text.as_string::<i32>().clone())
}

/// True for types that one of the conversions above takes.
pub(crate) fn is_readable(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => matches!(**value, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Timestamp(_, _)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _) => true,
        other => other.is_integer() || other.is_floating(),
    }
}
