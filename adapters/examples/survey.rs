//! Prints what the survey of each file says, and reads all its rows: `cargo run --example survey -- FILE…`.
use daybook_adapters::files::{Batch, CandleFile, ReadOptions};
use std::collections::BTreeMap;

fn main() {
    let zone = std::env::var("ZONE").unwrap_or_else(|_| "UTC".to_owned()).parse().expect("ZONE is a time zone");
    let options = ReadOptions { zone, ..ReadOptions::default() };
    for path in std::env::args_os().skip(1) {
        match read(path.as_ref(), &options) {
            Ok(line) => println!("{line}"),
            Err(error) => println!("REFUSED {error}"),
        }
    }
}

fn read(path: &std::path::Path, options: &ReadOptions) -> Result<String, daybook_adapters::files::FileError> {
    let file = CandleFile::open(path, options)?;
    let mut rows = file.rows()?;
    let (mut batch, mut kept) = (Batch::default(), 0);
    let mut reasons: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    let mut first = None;
    while rows.next(&mut batch)? {
        kept += batch.rows.len();
        first = first.or_else(|| batch.rows.first().copied());
        for rejected in &batch.rejected {
            let entry = reasons.entry(rejected.reason.word()).or_insert((0, rejected.text.clone()));
            entry.0 += 1;
        }
    }
    let symbols: Vec<_> = file
        .symbols()
        .iter()
        .take(3)
        .map(|symbol| format!("{} {} {}", symbol.name, symbol.interval, if symbol.has_volume { "" } else { "NOVOL" }))
        .collect();
    let minute = file.usual_minute();
    Ok(format!(
        "{} [{}] {symbols:?} kept {kept} usual {:02}:{:02} {reasons:?} first {first:?}",
        path.display(),
        file.symbols().len(),
        minute / 60,
        minute % 60
    ))
}
