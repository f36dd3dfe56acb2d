//! Parquet and Arrow files: every type of column, and damage at every byte.

use super::*;
use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow::datatypes::Int32Type;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::sync::Arc;

const NINE_FIFTEEN: i64 = 1_738_208_700_000_000;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn floats(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

/// Minutes of one symbol, as pandas writes them.
fn plain(rows: usize) -> RecordBatch {
    let times = (0..rows as i64).map(|row| NINE_FIFTEEN + row * 60_000_000);
    let price = |add: f64| floats((0..rows).map(move |row| (row % 90) as f64 + 100.05 + add));
    let volumes: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows as i64).map(|row| row % 1000)));
    batch(vec![
        ("timestamp", Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))),
        ("open", price(0.0)),
        ("high", price(1.0)),
        ("low", price(-1.0)),
        ("close", price(0.5)),
        ("volume", volumes),
    ])
}

fn parquet_bytes(batch: &RecordBatch, compression: Compression, dictionary: bool) -> Vec<u8> {
    let properties =
        WriterProperties::builder().set_compression(compression).set_dictionary_enabled(dictionary).build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    out
}

fn ipc_bytes(batch: &RecordBatch, stream: bool, compression: Option<arrow::ipc::CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let mut out = Vec::new();
    if stream {
        let mut writer = StreamWriter::try_new_with_options(&mut out, &batch.schema(), options).unwrap();
        writer.write(batch).unwrap();
        writer.finish().unwrap();
    } else {
        let mut writer = FileWriter::try_new_with_options(&mut out, &batch.schema(), options).unwrap();
        writer.write(batch).unwrap();
        writer.finish().unwrap();
    }
    out
}

fn zstd() -> Compression {
    Compression::ZSTD(ZstdLevel::default())
}

fn every_form(batch: &RecordBatch) -> Vec<(&'static str, Vec<u8>)> {
    use arrow::ipc::CompressionType;
    vec![
        ("ACME_1m.parquet", parquet_bytes(batch, zstd(), true)),
        ("ACME_1m.parquet", parquet_bytes(batch, Compression::SNAPPY, false)),
        ("ACME_1m.parquet", parquet_bytes(batch, Compression::UNCOMPRESSED, true)),
        ("ACME_1m.arrow", ipc_bytes(batch, false, None)),
        ("ACME_1m.feather", ipc_bytes(batch, false, Some(CompressionType::LZ4_FRAME))),
        ("ACME_1m.feather", ipc_bytes(batch, false, Some(CompressionType::ZSTD))),
        ("ACME_1m.arrows", ipc_bytes(batch, true, None)),
        ("ACME_1m.arrow", as_polars_writes(ipc_bytes(batch, false, None))),
    ]
}

#[test]
fn every_form_gives_the_same_rows() {
    let folder = Folder::new();
    let forms = every_form(&plain(40_000));
    let mut first = None;
    for (name, bytes) in forms {
        let (file, (rows, rejected)) = read(&folder.file(name, &bytes)).unwrap();
        assert_eq!((rows.len(), rejected.len()), (40_000, 0), "{name}");
        assert_eq!(file.symbols()[0].interval.to_string(), "1m");
        assert_eq!((rows[0].open, rows[0].high, rows[39_999].line), (10_005_000_000, 10_105_000_000, 40_000));
        assert_eq!(&rows, first.get_or_insert_with(|| rows.clone()), "{name}");
    }
}

/// Polars writes the schema behind the magic bytes without the prefix of a message: only the footer finds the batches.
fn as_polars_writes(mut bytes: Vec<u8>) -> Vec<u8> {
    let prefix = bytes.windows(4).position(|word| word == [0xff; 4]).unwrap();
    let schema = u32::from_le_bytes(bytes[prefix + 4..prefix + 8].try_into().unwrap()) as usize;
    bytes.copy_within(prefix + 8..prefix + 8 + schema, 8);
    bytes[8 + schema..prefix + 8 + schema].fill(0);
    bytes
}

#[test]
fn an_arrow_file_is_read_through_its_footer() {
    use arrow::ipc::CompressionType;
    let folder = Folder::new();
    let batch = plain(500);
    let expected = read(&folder.file("ACME_1m.arrow", &ipc_bytes(&batch, false, None))).unwrap().1;
    assert_eq!(expected.0.len(), 500);
    for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        let bytes = as_polars_writes(ipc_bytes(&batch, false, compression));
        assert_eq!(read(&folder.file("ACME_1m.arrow", &bytes)).unwrap().1, expected, "{compression:?}");
        for (at, claim) in [(10, i32::MAX), (10, -1), (10, 0)] {
            let mut damaged = bytes.clone();
            let place = damaged.len() - at;
            damaged[place..place + 4].copy_from_slice(&claim.to_le_bytes());
            assert!(!survive(&folder, "ACME_1m.arrow", &damaged), "a footer of {claim} bytes");
        }
    }
}

#[test]
fn texts_and_dictionaries_of_every_width() {
    use arrow::array::{LargeStringArray, StringViewArray};
    let folder = Folder::new();
    let names = ["AN-INSTRUMENT-WITH-A-LONG-NAME", "B", "B"];
    let dictionary: DictionaryArray<Int32Type> = names.into_iter().collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(names)),
        Arc::new(LargeStringArray::from_iter_values(names)),
        Arc::new(StringViewArray::from_iter_values(names)),
        Arc::new(dictionary),
    ];
    for column in columns {
        let kind = column.data_type().clone();
        let times = TimestampMicrosecondArray::from_iter_values((0..3).map(|row| NINE_FIFTEEN + row * 60_000_000));
        let ones = || floats([1.0; 3]);
        let batch = batch(vec![
            ("time", Arc::new(times)),
            ("symbol", column),
            ("open", ones()),
            ("high", ones()),
            ("low", ones()),
            ("close", ones()),
        ]);
        for (name, bytes) in every_form(&batch) {
            let (file, (rows, rejected)) = read(&folder.file(name, &bytes)).unwrap();
            let symbols: Vec<_> = rows.iter().map(|row| file.symbols()[row.symbol as usize].name.as_str()).collect();
            assert_eq!((symbols, rejected.len()), (names.to_vec(), 0), "{kind} in {name}");
        }
    }
}

#[test]
fn columns_of_every_type() {
    let folder = Folder::new();
    let texts = |values: &[&str]| -> ArrayRef { Arc::new(StringArray::from_iter_values(values)) };
    let decimals: ArrayRef =
        Arc::new(Decimal128Array::from(vec![Some(1205), None]).with_precision_and_scale(10, 2).unwrap());
    let symbols: DictionaryArray<Int32Type> = vec!["A", "B"].into_iter().collect();
    let columns = |time: ArrayRef| {
        batch(vec![
            ("Date", time),
            ("Symbol", Arc::new(symbols.clone())),
            ("Open", Arc::new(Float32Array::from(vec![1399.9, 1399.9]))),
            ("High", texts(&["1,400.50", "1,400.50"])),
            ("Low", decimals.clone()),
            ("Close", Arc::new(Int64Array::from(vec![1400, 1400]))),
            ("Volume", Arc::new(Float64Array::from(vec![Some(5.5), None]))),
        ])
    };
    let micros = NINE_FIFTEEN;
    let times: Vec<ArrayRef> = vec![
        texts(&["2025-01-30 09:15:00", "2025-01-30 09:15:00"]),
        Arc::new(Int64Array::from(vec![micros / 1_000_000; 2])),
        Arc::new(Int64Array::from(vec![micros / 1_000; 2])),
        Arc::new(TimestampMillisecondArray::from(vec![micros / 1_000; 2]).with_timezone("+05:30")),
        Arc::new(TimestampMillisecondArray::from(vec![micros / 1_000 + 19_800_000; 2])),
    ];
    let options = ReadOptions {
        zone: "+05:30".parse().unwrap(),
        interval: Some("5m".parse().unwrap()),
        ..ReadOptions::default()
    };
    for time in times {
        let kind = time.data_type().clone();
        let path = folder.file("x.parquet", &parquet_bytes(&columns(time), zstd(), true));
        let (file, (rows, rejected)) = read_with(&path, &options).unwrap();
        assert_eq!(file.symbols().len(), 2);
        assert_eq!(rows[0].instant, micros * 1_000, "{kind}");
        let prices = (rows[0].open, rows[0].high, rows[0].low, rows[0].close, rows[0].volume);
        assert_eq!(prices, (1399_9000_0000, 1400_5000_0000, 12_0500_0000, 1400_0000_0000, 5_5000_0000));
        assert_eq!(rejected, [(2, Reason::MissingValue)]);
    }
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![20_118, 20_118]));
    let path = folder.file("x.parquet", &parquet_bytes(&columns(dates), zstd(), true));
    let (_, (rows, _)) = read_with(&path, &options).unwrap();
    assert_eq!(rows[0].wall(), 20_118 * 86_400_000_000_000);
}

#[test]
fn missing_and_impossible_cells_have_their_reasons() {
    let folder = Folder::new();
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![
        Some(NINE_FIFTEEN),
        None,
        Some(NINE_FIFTEEN + 60_000_000),
        Some(NINE_FIFTEEN + 120_000_000),
        Some(i64::MAX),
    ]));
    let ones = || floats([1.0; 5]);
    let columns = |open: Vec<Option<f64>>, volume: Vec<Option<i64>>| {
        let open: ArrayRef = Arc::new(Float64Array::from(open));
        let volume: ArrayRef = Arc::new(Int64Array::from(volume));
        batch(vec![
            ("timestamp", times.clone()),
            ("open", open),
            ("high", ones()),
            ("low", ones()),
            ("close", ones()),
            ("volume", volume),
        ])
    };
    let path = folder.file(
        "ACME_1m.parquet",
        &parquet_bytes(
            &columns(vec![Some(1.0), Some(1.0), None, Some(f64::NAN), Some(1.0)], vec![Some(1); 5]),
            zstd(),
            true,
        ),
    );
    let (_, (rows, rejected)) = read(&path).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        rejected,
        [(2, Reason::BadTime), (3, Reason::MissingValue), (4, Reason::NotFinite), (5, Reason::BadTime)]
    );
    let path = folder.file(
        "ACME_1m.parquet",
        &parquet_bytes(&columns(vec![Some(1.0); 5], vec![None, None, Some(i64::MAX), None, None]), zstd(), true),
    );
    let (_, (_, rejected)) = read(&path).unwrap();
    assert_eq!(rejected[0], (1, Reason::MissingVolume));
    assert_eq!(rejected[2], (3, Reason::OutOfRange));
    let path =
        folder.file("ACME_1m.parquet", &parquet_bytes(&columns(vec![Some(1.0); 5], vec![None; 5]), zstd(), true));
    let (file, (rows, _)) = read(&path).unwrap();
    assert_eq!((rows.len(), rows[0].volume, file.symbols()[0].has_volume), (3, 0, false));
}

#[test]
fn a_rejected_row_keeps_its_time_and_values() {
    let folder = Folder::new();
    let micros = || TimestampMicrosecondArray::from(vec![Some(NINE_FIFTEEN), None, Some(i64::MAX), Some(NINE_FIFTEEN)]);
    let opens: ArrayRef = Arc::new(Float64Array::from(vec![Some(20.5), Some(1.0), None, Some(1.0)]));
    let rejected = |times: ArrayRef| {
        let ones = || floats([1.0; 4]);
        let columns =
            vec![("time", times), ("open", opens.clone()), ("high", ones()), ("low", ones()), ("close", ones())];
        let path = folder.file("ACME_1m.parquet", &parquet_bytes(&batch(columns), zstd(), true));
        let file = CandleFile::open(&path, &ReadOptions::default()).unwrap();
        let mut rows = Batch::default();
        assert!(file.rows().unwrap().next(&mut rows).unwrap());
        assert!(rows.rejected.iter().all(|row| row.symbol == Some(0)));
        rows.rejected.into_iter().map(|row| (row.line, row.text)).collect::<Vec<_>>()
    };
    let rest = "high=1.0,low=1.0,close=1.0";
    for zone in ["UTC", "Asia/Kolkata", "+05:30"] {
        let expected = [
            (1, format!("time=2025-01-30T03:45:00Z,open=20.5,{rest}")),
            (2, format!("time=null,open=1.0,{rest}")),
            (3, format!("time=9223372036854775807,open=null,{rest}")),
        ];
        assert_eq!(rejected(Arc::new(micros().with_timezone(zone))), expected, "{zone}");
    }
    assert_eq!(rejected(Arc::new(micros()))[0].1, format!("time=2025-01-30T03:45:00,open=20.5,{rest}"));
}

/// Reads damaged bytes: an error or rows, within its walls, and the reason names the file.
fn survive(folder: &Folder, name: &str, bytes: &[u8]) -> bool {
    match read(&folder.file(name, bytes)) {
        Ok(_) => true,
        Err(error) => {
            let message = error.to_string();
            assert!(message.contains(name) && message.len() < 1200, "{message}");
            false
        }
    }
}

#[test]
fn truncated_files_are_refused() {
    let folder = Folder::new();
    for (name, bytes) in every_form(&plain(60)) {
        for cut in (0..bytes.len()).step_by(bytes.len() / 150 + 1) {
            assert!(!survive(&folder, name, &bytes[..cut]) || name.ends_with("arrows"), "{name} cut at {cut}");
        }
    }
}

#[test]
fn flipped_bits_never_crash() {
    let folder = Folder::new();
    let mut refused = 0;
    for (at_form, (name, bytes)) in every_form(&plain(60)).into_iter().enumerate() {
        let step = bytes.len() / 400 + 1;
        for at in (0..bytes.len()).step_by(step) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << ((at + at_form) % 8);
            refused += u32::from(!survive(&folder, name, &damaged));
        }
    }
    assert!(refused > 500, "the damage reached the readers: {refused}");
}

proptest! {
    #[test]
    fn overwritten_bytes_never_crash(form in 0usize..8, at in any::<prop::sample::Index>(), junk in prop::collection::vec(any::<u8>(), 1..12)) {
        let folder = Folder::new();
        let (name, mut bytes) = every_form(&plain(30)).swap_remove(form);
        let at = at.index(bytes.len());
        for (slot, byte) in bytes[at..].iter_mut().zip(junk) {
            *slot = byte;
        }
        survive(&folder, name, &bytes);
    }
}
