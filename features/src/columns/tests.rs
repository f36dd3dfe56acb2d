//! Tests of the column files: what goes in comes out, damage is refused, memory and bytes are as promised.

use super::*;
use daybook_vocabulary::candle::CandleParts;
use daybook_vocabulary::{Candle, Interval};
use proptest::prelude::*;

const TYPES: [ColumnType; 6] =
    [ColumnType::I64, ColumnType::U64, ColumnType::F64, ColumnType::Utf8, ColumnType::Timestamp, ColumnType::Decimal];

type Row = (Option<i64>, Option<u64>, Option<f64>, Option<String>, Option<i64>, Option<i128>);

fn columns() -> Vec<Column> {
    TYPES.iter().enumerate().map(|(index, kind)| Column::new(&format!("c{index}"), *kind)).collect()
}

fn cells(row: &Row) -> [Cell<'_>; 6] {
    [
        row.0.map_or(Cell::Null, Cell::I64),
        row.1.map_or(Cell::Null, Cell::U64),
        row.2.map_or(Cell::Null, Cell::F64),
        row.3.as_deref().map_or(Cell::Null, Cell::Text),
        row.4.map_or(Cell::Null, |time| Cell::Time(Nanos(time))),
        row.5.map_or(Cell::Null, Cell::Decimal),
    ]
}

fn write(path: &Path, rows: &[Row], format: Format) -> Written {
    let mut writer = ColumnWriter::create(path, &columns(), format).unwrap();
    for row in rows {
        writer.append(&cells(row)).unwrap();
    }
    writer.finish().unwrap()
}

fn any_row() -> impl Strategy<Value = Row> {
    let decimal = prop_oneof![any::<i64>().prop_map(i128::from), -DECIMAL_MAX..=DECIMAL_MAX];
    (
        any::<Option<i64>>(),
        any::<Option<u64>>(),
        proptest::option::of(-1e300f64..1e300),
        proptest::option::of("\\PC{0,12}"),
        any::<Option<i64>>(),
        proptest::option::of(decimal),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_goes_in_comes_out(rows in proptest::collection::vec(any_row(), 0..40)) {
        let folder = tempfile::tempdir().unwrap();
        for (format, name) in [(Format::Parquet, "a.parquet"), (Format::Arrow, "a.arrow")] {
            let path = folder.path().join(name);
            let written = write(&path, &rows, format);
            prop_assert_eq!(written.rows, rows.len() as u64);
            prop_assert_eq!(hash_of_file(&path).unwrap(), (written.hash, written.bytes));
            let mut reader = ColumnReader::open(&path, &written.hash).unwrap();
            prop_assert_eq!(reader.columns(), &columns()[..]);
            let mut seen = 0;
            while let Some(group) = reader.next_group().unwrap() {
                for index in 0..group.rows() {
                    for (column, expected) in cells(&rows[seen]).iter().enumerate() {
                        prop_assert_eq!(&group.cell(column, index), expected);
                    }
                    seen += 1;
                }
            }
            prop_assert_eq!(seen, rows.len());
            prop_assert!(reader.next_group().unwrap().is_none(), "the end stays the end");
        }
    }
}

#[test]
fn every_flipped_bit_is_refused_before_anything_is_parsed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let rows = vec![(Some(1), Some(2), Some(3.0), Some("four".to_owned()), Some(5), Some(6)); 3];
    let written = write(&path, &rows, Format::Parquet);
    let good = std::fs::read(&path).unwrap();
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 1 << (byte % 8);
        std::fs::write(&path, &bad).unwrap();
        let refused = ColumnReader::open(&path, &written.hash);
        assert!(matches!(refused, Err(ColumnError::Changed { .. })), "byte {byte}");
    }
}

#[test]
fn bytes_that_are_no_table_are_an_error_even_with_their_own_hash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let rows = vec![(Some(1), Some(2), Some(3.0), Some("four".to_owned()), Some(5), Some(6)); 300];
    for (format, name) in [(Format::Parquet, "p"), (Format::Arrow, "a")] {
        write(&path, &rows, format);
        let good = std::fs::read(&path).unwrap();
        for step in 0..400 {
            let mut bad = good.clone();
            let place = step * good.len() / 400;
            if step % 2 == 0 {
                bad.truncate(place)
            } else {
                bad[place] ^= 0xff
            }
            std::fs::write(&path, &bad).unwrap();
            let hash = hash_of_file(&path).unwrap().0;
            let mut reader = match ColumnReader::open(&path, &hash) {
                Ok(reader) => reader,
                Err(ColumnError::Format { path: named, .. }) => {
                    assert_eq!(named, path);
                    continue;
                }
                Err(other) => panic!("{name} step {step}: {other}"),
            };
            // Either the end or an error: never a panic, never without end.
            let groups = std::iter::from_fn(|| reader.next_group().ok().flatten()).count();
            assert!(groups <= 1, "{name} step {step}");
        }
    }
}

#[test]
fn groups_are_bounded_by_rows_and_by_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let numbers: Vec<u64> = (0..ROWS_PER_GROUP as u64 + 10).collect();
    let mut writer = ColumnWriter::create(&path, &[Column::new("n", ColumnType::U64)], Format::Parquet).unwrap();
    writer.append_chunk(&[Slice::U64(&numbers)]).unwrap();
    let written = writer.finish().unwrap();
    let mut reader = ColumnReader::open(&path, &written.hash).unwrap();
    assert_eq!(reader.next_group().unwrap().map(|group| group.rows()), Some(ROWS_PER_GROUP));
    let rest = reader.next_group().unwrap().unwrap();
    assert_eq!((rest.rows(), rest.cell(0, 9)), (10, Cell::U64(ROWS_PER_GROUP as u64 + 9)));

    let text = "x".repeat(BYTES_PER_GROUP / 2);
    let mut writer = ColumnWriter::create(&path, &[Column::new("t", ColumnType::Utf8)], Format::Arrow).unwrap();
    for _ in 0..3 {
        writer.append(&[Cell::Text(&text)]).unwrap();
    }
    let written = writer.finish().unwrap();
    let mut reader = ColumnReader::open(&path, &written.hash).unwrap();
    assert_eq!(reader.next_group().unwrap().map(|group| group.rows()), Some(2));
    assert_eq!(reader.next_group().unwrap().map(|group| group.rows()), Some(1));
}

#[test]
fn the_same_rows_give_the_same_bytes_by_row_or_by_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let columns = [Column::new("f", ColumnType::F64), Column::new("d", ColumnType::Decimal)];
    let floats: Vec<f64> = (0..1_000).map(|index| f64::from(index) / 7.0).collect();
    let decimals: Vec<i128> = (0..1_000).map(|index| i128::from(index) * 1_000_003 - 5).collect();
    let mut hashes = Vec::new();
    for by_row in [true, false, true] {
        let mut writer = ColumnWriter::create(&folder.path().join("x"), &columns, Format::Parquet).unwrap();
        if by_row {
            for (float, decimal) in floats.iter().zip(&decimals) {
                writer.append(&[Cell::F64(*float), Cell::Decimal(*decimal)]).unwrap();
            }
        } else {
            writer.append_chunk(&[Slice::F64(&floats), Slice::Decimal(&decimals)]).unwrap();
        }
        hashes.push(writer.finish().unwrap().hash);
    }
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0], hashes[2]);
}

#[test]
fn a_row_that_does_not_fit_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let columns = [Column::new("n", ColumnType::U64), Column::new("amount", ColumnType::Decimal)];
    let path = folder.path().join("a.parquet");
    let mut writer = ColumnWriter::create(&path, &columns, Format::Parquet).unwrap();
    writer.append(&[Cell::U64(0), Cell::Decimal(DECIMAL_MAX)]).unwrap();
    let too_few = writer.append(&[Cell::U64(1)]).unwrap_err();
    assert!(matches!(too_few, ColumnError::Shape { row: 1, found: 1, expected: 2, .. }), "{too_few}");
    let wrong = writer.append(&[Cell::U64(1), Cell::F64(1.0)]).unwrap_err().to_string();
    assert!(wrong.contains("'amount'") && wrong.contains("row 1"), "{wrong}");
    let too_large = writer.append(&[Cell::U64(1), Cell::Decimal(DECIMAL_MAX + 1)]).unwrap_err();
    assert!(matches!(too_large, ColumnError::Range { row: 1, .. }), "{too_large}");
    let uneven = writer.append_chunk(&[Slice::U64(&[1, 2]), Slice::Decimal(&[1])]).unwrap_err();
    assert!(matches!(uneven, ColumnError::Shape { found: 1, expected: 2, .. }), "{uneven}");
    let written = writer.finish().unwrap();
    assert_eq!(written.rows, 1, "only the row that fitted");
    let group = ColumnReader::open(&path, &written.hash).unwrap().next_group().unwrap().unwrap();
    assert_eq!((group.rows(), group.cell(1, 0)), (1, Cell::Decimal(DECIMAL_MAX)));
}

#[test]
fn a_file_without_rows_has_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    for format in [Format::Parquet, Format::Arrow] {
        let path = folder.path().join("empty");
        let written = write(&path, &[], format);
        let mut reader = ColumnReader::open(&path, &written.hash).unwrap();
        assert_eq!(reader.columns(), columns());
        assert!(reader.next_group().unwrap().is_none());
    }
}

#[test]
fn candles_are_exported_by_market_and_symbol() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("candle.parquet");
    let candle = Candle::new(CandleParts {
        open_time: Nanos(60_000_000_000),
        interval: Interval::minutes(5),
        open: Price::from_units(10),
        high: Price::from_units(12),
        low: Price::from_units(9),
        close: "11.05".parse().unwrap(),
        volume: Quantity::from_units(1_000),
        revises: false,
    });
    let row = CandleRow { time: Nanos(360_000_000_000), market: "nse", symbol: "RELIANCE", candle: &candle, seq: 7 };
    let written = export_candles(&path, Format::Parquet, [row, CandleRow { seq: 8, ..row }]).unwrap();
    let mut reader = ColumnReader::open(&path, &written.hash).unwrap();
    let names: Vec<_> = reader.columns().iter().map(|column| column.name.clone()).collect();
    assert_eq!(names.join(","), "time,open_time,market,symbol,interval,open,high,low,close,volume,seq");
    let group = reader.next_group().unwrap().unwrap();
    assert_eq!(group.cell(4, 0), Cell::Text("5m"));
    assert_eq!(group.cell(8, 1), Cell::Decimal(1_105_000_000));
    assert_eq!(group.cell(10, 1), Cell::U64(8));
}
