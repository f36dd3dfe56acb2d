//! The bridge to the columnar library: our columns as its schema, our buffers as its arrays, and back.
//!
//! - Text is plain `Utf8` (32-bit offsets), never views: every reader knows it.
//! - Nothing here does I/O.

use super::{Cell, Column, ColumnType, DECIMAL_MAX, Slice};
use arrow2::array::{Array, MutableArray, MutablePrimitiveArray, MutableUtf8Array};
use arrow2::datatypes::{DataType, Field, Schema, TimeUnit};

/// Digits and decimal places of a decimal column.
const DECIMAL: DataType = DataType::Decimal(38, daybook_vocabulary::decimal::PLACES);

/// The library's schema of our columns.
pub(super) fn schema_of(columns: &[Column]) -> Schema {
    let fields: Vec<_> =
        columns.iter().map(|column| Field::new(&column.name, data_type(column.column_type), true)).collect();
    Schema::from(fields)
}

/// Our columns of the library's schema; an error names the column that no file of ours has.
pub(super) fn columns_of(schema: &Schema) -> Result<Vec<Column>, String> {
    let known = |field: &Field| {
        let column_type = match &field.data_type {
            DataType::Int64 => ColumnType::I64,
            DataType::UInt64 => ColumnType::U64,
            DataType::Float64 => ColumnType::F64,
            DataType::Utf8 => ColumnType::Utf8,
            DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) if zone == "UTC" => ColumnType::Timestamp,
            other if *other == DECIMAL => ColumnType::Decimal,
            other => return Err(format!("column '{}' has type {other:?}, which none of our files has", field.name)),
        };
        Ok(Column::new(&field.name, column_type))
    };
    schema.fields.iter().map(known).collect()
}

fn data_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::I64 => DataType::Int64,
        ColumnType::U64 => DataType::UInt64,
        ColumnType::F64 => DataType::Float64,
        ColumnType::Utf8 => DataType::Utf8,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        ColumnType::Decimal => DECIMAL,
    }
}

/// Why a value was not taken.
pub(super) enum Refusal {
    /// It is of another type.
    Type,
    /// It has more than 38 digits.
    Range(i128),
}

/// The values of one column of the group being filled.
#[derive(Debug)]
pub(super) enum Buffer {
    I64(MutablePrimitiveArray<i64>),
    U64(MutablePrimitiveArray<u64>),
    F64(MutablePrimitiveArray<f64>),
    Utf8(MutableUtf8Array<i32>),
    Time(MutablePrimitiveArray<i64>),
    Decimal(MutablePrimitiveArray<i128>),
}

impl Buffer {
    pub(super) fn new(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::I64 => Self::I64(MutablePrimitiveArray::new()),
            ColumnType::U64 => Self::U64(MutablePrimitiveArray::new()),
            ColumnType::F64 => Self::F64(MutablePrimitiveArray::new()),
            ColumnType::Utf8 => Self::Utf8(MutableUtf8Array::new()),
            ColumnType::Timestamp => Self::Time(MutablePrimitiveArray::new()),
            ColumnType::Decimal => Self::Decimal(MutablePrimitiveArray::new()),
        }
    }

    /// May this value be pushed?
    pub(super) fn accepts(&self, cell: &Cell<'_>) -> Result<(), Refusal> {
        match (self, cell) {
            (_, Cell::Null)
            | (Self::I64(_), Cell::I64(_))
            | (Self::U64(_), Cell::U64(_))
            | (Self::F64(_), Cell::F64(_))
            | (Self::Utf8(_), Cell::Text(_))
            | (Self::Time(_), Cell::Time(_)) => Ok(()),
            (Self::Decimal(_), Cell::Decimal(value)) => in_range(*value),
            _ => Err(Refusal::Type),
        }
    }

    /// Adds a value that [`Self::accepts`] took; says how many bytes it takes.
    pub(super) fn push(&mut self, cell: &Cell<'_>) -> usize {
        match (self, cell) {
            (Self::I64(values), Cell::I64(value)) => values.push(Some(*value)),
            (Self::U64(values), Cell::U64(value)) => values.push(Some(*value)),
            (Self::F64(values), Cell::F64(value)) => values.push(Some(*value)),
            (Self::Time(values), Cell::Time(value)) => values.push(Some(value.0)),
            (Self::Utf8(values), Cell::Text(text)) => {
                values.push(Some(*text));
                return 4 + text.len();
            }
            (Self::Decimal(values), Cell::Decimal(value)) => {
                values.push(Some(*value));
                return 16;
            }
            (buffer, _) => buffer.push_null(),
        }
        8
    }

    fn push_null(&mut self) {
        match self {
            Self::I64(values) | Self::Time(values) => values.push(None),
            Self::U64(values) => values.push(None),
            Self::F64(values) => values.push(None),
            Self::Utf8(values) => values.push::<&str>(None),
            Self::Decimal(values) => values.push(None),
        }
    }

    /// May this range of a chunk be pushed?
    pub(super) fn accepts_slice(&self, slice: &Slice<'_>) -> Result<(), Refusal> {
        match (self, slice) {
            (Self::I64(_), Slice::I64(_))
            | (Self::U64(_), Slice::U64(_))
            | (Self::F64(_), Slice::F64(_))
            | (Self::Utf8(_), Slice::Text(_))
            | (Self::Time(_), Slice::Time(_)) => Ok(()),
            (Self::Decimal(_), Slice::Decimal(values)) => values.iter().try_for_each(|value| in_range(*value)),
            _ => Err(Refusal::Type),
        }
    }

    /// Adds one row of a chunk that [`Self::accepts_slice`] took; says how many bytes it takes.
    pub(super) fn push_row_of(&mut self, slice: &Slice<'_>, row: usize) -> usize {
        let cell = match slice {
            Slice::I64(values) => Cell::I64(values[row]),
            Slice::U64(values) => Cell::U64(values[row]),
            Slice::F64(values) => Cell::F64(values[row]),
            Slice::Text(values) => Cell::Text(values[row]),
            Slice::Time(values) => Cell::Time(daybook_vocabulary::Nanos(values[row])),
            Slice::Decimal(values) => Cell::Decimal(values[row]),
        };
        self.push(&cell)
    }

    /// Hands over what was collected, as an array of the column's type.
    pub(super) fn take(&mut self) -> Box<dyn Array> {
        match self {
            Self::I64(values) => std::mem::take(values).as_box(),
            Self::U64(values) => std::mem::take(values).as_box(),
            Self::F64(values) => std::mem::take(values).as_box(),
            Self::Utf8(values) => std::mem::take(values).as_box(),
            Self::Time(values) => std::mem::take(values).to(data_type(ColumnType::Timestamp)).as_box(),
            Self::Decimal(values) => std::mem::take(values).to(DECIMAL).as_box(),
        }
    }
}

fn in_range(value: i128) -> Result<(), Refusal> {
    if (-DECIMAL_MAX..=DECIMAL_MAX).contains(&value) { Ok(()) } else { Err(Refusal::Range(value)) }
}
