//! Files of candles as vendors write them, and damaged ones.

use daybook_adapters::files::{Batch, CandleFile, FileError, ReadOptions, Reason, Row};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

mod columnar;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

type Read = (Vec<Row>, Vec<(u64, Reason)>);

fn read_with(path: &Path, options: &ReadOptions) -> Result<(CandleFile, Read), FileError> {
    let file = CandleFile::open(path, options)?;
    let mut rows = file.rows()?;
    let (mut kept, mut rejected, mut total) = (Vec::new(), Vec::new(), 0);
    let mut batch = Batch::default();
    while rows.next(&mut batch)? {
        total += batch.read;
        kept.extend_from_slice(&batch.rows);
        rejected.extend(batch.rejected.iter().map(|row| (row.line, row.reason)));
    }
    assert_eq!(total as usize, kept.len() + rejected.len(), "every row is one or the other");
    file.check_unchanged()?;
    Ok((file, (kept, rejected)))
}

fn read(path: &Path) -> Result<(CandleFile, Read), FileError> {
    let options = ReadOptions { zone: "Asia/Kolkata".parse().unwrap(), ..ReadOptions::default() };
    read_with(path, &options)
}

fn good(text: &str) -> (CandleFile, Read) {
    let folder = Folder::new();
    read(&folder.file("ACME.csv", text.as_bytes())).unwrap()
}

fn refusal(name: &str, bytes: &[u8]) -> String {
    let folder = Folder::new();
    read(&folder.file(name, bytes)).unwrap_err().to_string()
}

#[test]
fn columns_by_name_in_any_order_and_case() {
    let (file, (rows, _)) = good(
        "SYMBOL, SERIES, DATE1, PREV_CLOSE, OPEN_PRICE, HIGH_PRICE, LOW_PRICE, LAST_PRICE, CLOSE_PRICE, TTL_TRD_QNTY\n\
         IDEA, EQ, 14-Nov-2025, 1, 10, 12.5, 9, 11, 11.05, \"2,175\"\nIDEA, T0, 14-Nov-2025, 1, 10, 12, 9, 11, 11, 2\n",
    );
    let names: Vec<_> = file.symbols().iter().map(|symbol| symbol.name.as_str()).collect();
    assert_eq!(names, ["IDEA", "IDEA-T0"], "another series is another instrument");
    assert_eq!(file.symbols()[0].interval.to_string(), "1d");
    assert_eq!((rows[0].high, rows[0].close, rows[0].volume), (12_5000_0000, 11_0500_0000, 2175_0000_0000));
}

#[test]
fn delimiters_zones_and_a_byte_order_mark() {
    let (_, (rows, _)) = good(
        "\u{feff}time;open;high;low;close;vol\r\n2025-01-30 09:15;10;12;9;11;5\r\n2025-01-30 09:20;10;12;9;11;5\r\n",
    );
    assert_eq!(rows[0].instant, 1_738_208_700_000_000_000, "naive times are in the caller's zone");
    assert_eq!((rows[0].wall_offset, rows[0].line), (19_800, 2));
    let (_, (rows, _)) = good(
        "Datetime\tOpen\tHigh\tLow\tClose\n2025-01-30T03:45:00Z\t10\t12\t9\t11\n2025-01-30T09:20:00+05:30\t10\t12\t9\t11\n",
    );
    assert_eq!(rows[0].instant + 300_000_000_000, rows[1].instant);
}

#[test]
fn each_defect_has_its_reason() {
    let (_, (rows, rejected)) = good(
        "Date,Open,High,Low,Close,Volume\n\
         2025-01-28,10,12,9,11,5\n2025-01-29,10,12,9,11,\n2025-01-30,,12,9,11,5\nyesterday,10,12,9,11,5\n\
         2025-01-31,10,12,-9,11,5\n2025-02-03,0,0,0,11,5\n2025-02-04,10,9,12,11,5\n2025-02-05,ten,12,9,11,5\n\
         2025-02-06,nan,12,9,11,5\n2025-02-07,inf,12,9,11,5\n2025-02-10,99999999999999,12,9,11,5\n2025-02-11,10\n\
         2025-02-12,10,12,9,\"11,5\n2025-02-13,10,12,9,11,-5\n2025-02-14,10,12,9,11,5\n",
    );
    assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 16]);
    use Reason::*;
    let expected = [
        MissingVolume,
        MissingValue,
        BadTime,
        Negative,
        BrokenOhlc,
        BrokenOhlc,
        NotANumber,
        NotFinite,
        NotFinite,
        OutOfRange,
        BrokenRow,
        BrokenRow,
        Negative,
    ];
    assert_eq!(rejected, (3..).zip(expected).collect::<Vec<_>>());
}

#[test]
fn a_comma_too_many_never_shifts_values() {
    let (_, (rows, rejected)) = good(
        "Date,Open,High,Low,Close,Volume\n2025-01-28,10,12,9,11,5\n2025-01-29,1,399,1400,1390,1395,100\n\
         2025-01-30,10,12,9,11,5,,\n2025-01-31,10,12,9,11,5, \n2025-02-03,10,12,9,11,5,,x\n",
    );
    assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 4, 5], "empty cells at the end are tolerated");
    assert_eq!(rejected, [(3, Reason::BrokenRow), (6, Reason::BrokenRow)]);
    let line = |minute: i64| format!("20250128,09:{minute},{}10,12,9,11,5\n", if minute == 20 { "1," } else { "" });
    let (_, (rows, rejected)) = good(&(15..35).map(line).collect::<String>());
    assert_eq!((rows.len(), rejected), (19, vec![(6, Reason::BrokenRow)]), "without header: as wide as most rows");
}

#[test]
fn an_instrument_without_volume_has_zero() {
    let (file, (rows, rejected)) =
        good("Date,Open,High,Low,Close,Volume\n2025-01-28,10,12,9,11,\n2025-01-29,10,12,9,11,-\n");
    assert_eq!((rows.len(), rejected.len(), rows[0].volume), (2, 0, 0));
    assert!(!file.symbols()[0].has_volume);
    let (file, (rows, _)) = good("Date,Open,High,Low,Close\n2025-01-28,10,12,9,11\n");
    assert_eq!((rows[0].volume, file.symbols()[0].has_volume), (0, false));
}

#[test]
fn day_and_month_are_decided_by_the_column_or_asked_for() {
    let (_, (rows, _)) = good("Date,Open,High,Low,Close\n03/04/2024,1,1,1,1\n15/04/2024,1,1,1,1\n");
    assert_eq!((rows[1].instant - rows[0].instant) / 86_400_000_000_000, 12);
    let (_, (rows, _)) = good("Date,Open,High,Low,Close\n03/04/2024,1,1,1,1\n03/15/2024,1,1,1,1\n");
    assert_eq!((rows[1].instant - rows[0].instant) / 86_400_000_000_000, 11);
    let ambiguous = b"Date,Open,High,Low,Close\n03/04/2024,1,1,1,1\n04/04/2024,1,1,1,1\n";
    assert!(refusal("ACME.csv", ambiguous).contains("--date-order"));
    let folder = Folder::new();
    let options = ReadOptions { date_order: Some("mdy".parse().unwrap()), ..ReadOptions::default() };
    let (_, (rows, _)) = read_with(&folder.file("ACME_1d.csv", ambiguous), &options).unwrap();
    assert_eq!((rows[1].instant - rows[0].instant) / 86_400_000_000_000, 31);
}

#[test]
fn several_symbols_and_their_intervals() {
    let mut text = String::from("Code,Date,Time,Open,High,Low,Close,Volume\n");
    for minute in 0..30 {
        text += &format!(
            "A,20250130,09:{:02},1,2,1,2,5\nB,20250130,{:02}:{:02},1,2,1,2,5\n",
            15 + minute,
            9 + minute * 5 / 60,
            minute * 5 % 60
        );
    }
    let (file, (rows, rejected)) = good(&text);
    assert_eq!((rows.len(), rejected.len()), (60, 0));
    let intervals: Vec<_> = file.symbols().iter().map(|symbol| symbol.interval.to_string()).collect();
    assert_eq!(intervals, ["1m", "5m"]);
    let folder = Folder::new();
    let options = ReadOptions { symbol: Some("C".to_owned()), ..ReadOptions::default() };
    let error = read_with(&folder.file("x.csv", text.as_bytes()), &options).unwrap_err().to_string();
    assert!(error.contains("several symbols"), "{error}");
}

#[test]
fn what_is_not_candles_is_refused_in_one_line() {
    for (name, bytes, words) in [
        ("a.csv", &b""[..], "empty"),
        ("a.jsonl", b"{\"last_price\": 1}\n", "ticks as JSON"),
        ("a.json", b"[1,2]", "JSON"),
        ("a.csv", b"\xff\xfed\0a\0", "UTF-16"),
        ("a.xlsx", b"PK\x03\x04aaaa", "zip"),
        ("a.html", b"<html>", "web page"),
        ("a.bin", b"\x00\x01\x02\x03\x04", "binary"),
        ("a.csv", b"name,age\nx,y\n", "a table without a time"),
        ("a.csv", b"1,2,3\n4,5,6\n", "without header"),
        ("a.feather", b"FEA1xxxx", "version 1"),
        ("a.parquet", b"PAR1", "damaged"),
        ("a.arrow", b"ARROW1\0\0", "damaged"),
        ("a.csv.gz", b"\x1f\x8bnot gzip at all", "damaged"),
        ("some_prices.csv", b"Date,Open,High,Low,Close\n2024-01-01,1,1,1,1\n", "--symbol"),
        (
            "ACME_5m.csv",
            b"Date,Open,High,Low,Close\n2024-01-01,1,1,1,1\n2024-01-02 00:01,1,1,1,1\n2024-01-02 00:02,1,1,1,1\n",
            "--interval",
        ),
        (
            "ACME.csv",
            b"Date,Open,High,Low,Close\n2024-01-01 10:00:00.100,1,1,1,1\n2024-01-01 10:00:00.200,1,1,1,1\n",
            "ticks",
        ),
    ] {
        let message = refusal(name, bytes);
        assert!(message.contains(words) && message.contains(name) && !message.contains('\n'), "{name}: {message}");
    }
}

#[test]
fn control_characters_of_a_file_are_shown_not_obeyed() {
    let message = refusal("a.csv", b"na\x1b[31mme,a\x07ge,\xc2\x9bx\nx,y,z\n");
    assert!(message.contains("a table without a time"), "{message}");
    assert!(message.contains(r"na\u{1b}[31mme, a\u{7}ge, \u{9b}x"), "{message}");
    let message = refusal("a\x1bb.csv", b"");
    assert!(message.contains(r"a\u{1b}b.csv: not candles"), "{message}");
}

#[cfg(unix)]
#[test]
fn only_regular_files_are_read() {
    let folder = Folder::new();
    let options = ReadOptions::default();
    let pipe = folder.0.path().join("pipe.csv");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let refused = |path: &Path| CandleFile::open(path, &options).unwrap_err().to_string();
    for path in [pipe.as_path(), Path::new("/dev/zero")] {
        assert!(refused(path).contains("not a regular file"), "{}", path.display());
    }
    assert!(refused(folder.0.path()).contains("a directory"));
}

#[test]
fn a_line_without_end_is_damage_not_memory() {
    let mut bytes = b"Date,Open,High,Low,Close\n".to_vec();
    bytes.resize(3 << 20, b'x');
    assert!(refusal("ACME.csv", &bytes).contains("longer than 1 MiB"));
}

fn gzipped(text: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(text).unwrap();
    out.finish().unwrap()
}

fn sample(rows: usize) -> String {
    let mut text = String::from("Date,Open,High,Low,Close,Volume\n");
    for row in 0..rows {
        text += &format!(
            "2025-01-30 {:02}:{:02}:00,{row}.5,{}.25,{row}.05,{row}.75,{row}\n",
            9 + row / 60,
            row % 60,
            row + 1
        );
    }
    text
}

#[test]
fn gzip_is_read_and_its_damage_is_found() {
    let folder = Folder::new();
    let bytes = gzipped(sample(300).as_bytes());
    let (_, (rows, _)) = read(&folder.file("ACME_1m.csv.gz", &bytes)).unwrap();
    assert_eq!(rows.len(), 300);
    for cut in (10..bytes.len()).step_by(7) {
        let path = folder.file("ACME_1m.csv.gz", &bytes[..cut]);
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("damaged") || error.contains("empty"), "{cut}: {error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), gzip: bool) {
        let folder = Folder::new();
        let bytes = if gzip { gzipped(&bytes) } else { bytes };
        let _ = read(&folder.file("ACME_1m.csv", &bytes));
    }

    #[test]
    fn almost_csv_is_read_or_refused(cells in prop::collection::vec("[-0-9:.,\"eE/ TZ]{0,14}", 0..60)) {
        let folder = Folder::new();
        let mut text = String::from("Date,Open,High,Low,Close,Volume\n");
        for (at, cell) in cells.iter().enumerate() {
            text += cell;
            text += if at % 6 == 5 { "\n" } else { "," };
        }
        if let Ok((_, (rows, _))) = read(&folder.file("ACME_1m.csv", text.as_bytes())) {
            for row in rows {
                prop_assert!(0 < row.low && row.low <= row.open.min(row.close));
                prop_assert!(row.high >= row.open.max(row.close) && row.volume >= 0);
            }
        }
    }

    #[test]
    fn what_was_written_is_what_is_read(
        rows in prop::collection::vec((1i64..1_000_000_000, 0i64..1000, 0i64..1000, 0i64..1_000_000), 1..40)
    ) {
        let folder = Folder::new();
        let mut text = String::from("Date,Open,High,Low,Close,Volume\n");
        let price = |paise: i64| format!("{}.{:02}", paise / 100, paise % 100);
        for (at, (low, open, high, volume)) in rows.iter().enumerate() {
            let (open, high) = (low + open, low + open + high);
            text += &format!("2025-01-30 10:{at:02}:00,{},{},{},{},{volume}\n", price(open), price(high), price(*low), price(open));
        }
        let (_, (read, rejected)) = read(&folder.file("ACME_1m.csv", text.as_bytes())).unwrap();
        prop_assert_eq!(rejected.len(), 0);
        for ((low, open, high, volume), row) in rows.iter().zip(&read) {
            prop_assert_eq!(row.low, low * 1_000_000);
            prop_assert_eq!((row.open, row.high), ((low + open) * 1_000_000, (low + open + high) * 1_000_000));
            prop_assert_eq!(row.volume, volume * 100_000_000);
        }
    }
}
