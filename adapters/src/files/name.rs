//! What the name of a file says: symbol and interval.
//!
//! - A name is split at `_`; parts that are a date, a year range, a quarter or an interval are set aside, and the
//!   symbol is what is written in capitals. A name without capitals (`googl.us.txt`) is a symbol only when one
//!   part can be meant.
//! - Where two parts could be the symbol, none is taken: the caller asks for `--symbol`.

use daybook_vocabulary::Interval;
use std::path::Path;

/// What a file name says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NameSays {
    pub symbol: Option<String>,
    pub interval: Option<Interval>,
}

const EXTENSIONS: [&str; 12] =
    [".gz", ".csv", ".txt", ".tsv", ".parquet", ".pq", ".parq", ".arrow", ".feather", ".ipc", ".arrows", ".dat"];
/// Capitals that name an exchange or a format rather than an instrument.
const NOT_SYMBOLS: [&str; 12] = ["NSE", "BSE", "NFO", "MCX", "EQ", "OHLC", "OHLCV", "EOD", "UTC", "IST", "CSV", "DATA"];

pub(crate) fn read(path: &Path) -> NameSays {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = without_percent(without_extensions(&name));
    let parts: Vec<&str> = name.split('_').filter(|part| !part.is_empty()).collect();
    let mut intervals = parts.iter().filter_map(|part| interval(part));
    let first_interval = intervals.next();
    let interval_of_name = first_interval.filter(|first| intervals.all(|other| other == *first));
    let rest: Vec<&str> = parts.into_iter().filter(|part| interval(part).is_none() && !is_date(part)).collect();
    NameSays { symbol: symbol(&rest), interval: interval_of_name }
}

/// True for a text that can be a symbol at all.
pub fn is_symbol(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.trim() == text
        && text.chars().all(|letter| !letter.is_control())
        && text.chars().any(char::is_alphanumeric)
}

fn symbol(parts: &[&str]) -> Option<String> {
    let is_name = |part: &&&str| part.chars().any(char::is_uppercase) && !part.chars().any(char::is_lowercase);
    let capitals: Vec<&str> =
        parts.iter().filter(is_name).copied().filter(|part| !NOT_SYMBOLS.contains(part)).collect();
    // Neighbouring capitals are one name (NIFTY_BANK); apart they are two candidates.
    let Some(run_start) = parts.iter().position(|part| Some(part) == capitals.first()) else {
        return lower_case_symbol(parts);
    };
    let contiguous = parts[run_start..].iter().zip(&capitals).all(|(part, capital)| part == capital)
        && parts.len() - run_start >= capitals.len();
    let found = match capitals.as_slice() {
        [] => return lower_case_symbol(parts),
        [one] => Some((*one).to_owned()),
        several => contiguous.then(|| several.join("_")),
    };
    found.filter(|name| is_symbol(name))
}

/// The symbol of a name without capitals: a part like `googl.us`, or the only part.
fn lower_case_symbol(parts: &[&str]) -> Option<String> {
    let with_country: Vec<&str> = parts
        .iter()
        .filter_map(|part| part.rsplit_once('.').filter(|(_, country)| country.len() == 2).map(|(name, _)| name))
        .collect();
    let found = match (with_country.as_slice(), parts) {
        ([one], _) | ([], [one]) => one.to_uppercase(),
        _ => return None,
    };
    is_symbol(&found).then_some(found)
}

fn without_extensions(name: &str) -> &str {
    let mut rest = name;
    while let Some(shorter) = EXTENSIONS.iter().find_map(|extension| {
        let at = rest.len().checked_sub(extension.len())?;
        (rest.is_char_boundary(at) && rest[at..].eq_ignore_ascii_case(extension)).then(|| &rest[..at])
    }) {
        rest = shorter;
    }
    rest
}

/// Replaces `%26` and the like.
fn without_percent(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = bytes
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap_or_else(|_| name.to_owned())
}

/// `1m`, `5minute`, `1d`, `day`, `daily`, `minute`, `hourly`.
fn interval(part: &str) -> Option<Interval> {
    let lower = part.to_ascii_lowercase();
    match lower.as_str() {
        "day" | "daily" => return Some(Interval::DAY),
        "minute" => return Some(Interval::MINUTE),
        "hour" | "hourly" => return Some(Interval::minutes(60)),
        _ => {}
    }
    // An upper-case M is a month elsewhere: only `m`, `min`, `minute(s)` are minutes.
    let singular = lower.strip_suffix('s').filter(|rest| rest.len() > 4).unwrap_or(&lower);
    let known = part.ends_with('M') && part[..part.len() - 1].bytes().all(|byte| byte.is_ascii_digit());
    if known || !lower.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    singular.parse().ok()
}

/// Digits and separators only, or a quarter or half of a year: `2016-09-30`, `2023-2025`, `201608`, `2023Q2`.
fn is_date(part: &str) -> bool {
    let compact: String = part.chars().filter(|letter| !matches!(letter, '-' | '.' | 'T' | ':')).collect();
    let digits_only = compact.bytes().all(|byte| byte.is_ascii_digit());
    let year = compact.len() >= 4 && (compact.starts_with("19") || compact.starts_with("20"));
    let of_year = compact.len() == 6
        && compact.is_ascii()
        && compact[..4].bytes().all(|byte| byte.is_ascii_digit())
        && matches!(&compact[4..], "Q1" | "Q2" | "Q3" | "Q4" | "H1" | "H2");
    year && (digits_only || of_year)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(name: &str) -> (Option<String>, Option<String>) {
        let read = read(Path::new(name));
        (read.symbol, read.interval.map(|interval| interval.to_string()))
    }

    #[test]
    fn names_of_all_kinds() {
        for (name, symbol, interval) in [
            ("data/RELIANCE_5m_2023-2025.parquet", "RELIANCE", Some("5m")),
            ("M&M_1m_201608.parquet", "M&M", Some("1m")),
            ("L&TFH_1m_201608.parquet", "L&TFH", Some("1m")),
            ("BAJAJ-AUTO_1d.parquet", "BAJAJ-AUTO", Some("1d")),
            ("nse_eod_urlencoded_name_M%26M.csv", "M&M", None),
            ("kite_1m_unsorted_HDFCBANK_2016-09-30.csv", "HDFCBANK", Some("1m")),
            ("HDFCBANK_5minute.csv.gz", "HDFCBANK", Some("5m")),
            ("AXISBANK_1m_2023Q2.parquet", "AXISBANK", Some("1m")),
            ("HDFCBANK_3m_2025H1.parquet", "HDFCBANK", Some("3m")),
            ("BTC-PERP_1m_202201.parquet", "BTC-PERP", Some("1m")),
            ("BNBUSDT_1m_bybit_2024-2025.parquet", "BNBUSDT", Some("1m")),
            ("index_blank_ohl_NIFTY_BANK.csv", "NIFTY_BANK", None),
            ("NIFTY 50.csv", "NIFTY 50", None),
            ("googl.us.txt", "GOOGL", None),
            ("stooq_style_googl.us.txt", "GOOGL", None),
            ("reliance.csv", "RELIANCE", None),
            ("NSE_TCS_day.csv", "TCS", Some("1d")),
            ("256265_5minute.csv", "256265", Some("5m")),
        ] {
            assert_eq!(says(name), (Some(symbol.to_owned()), interval.map(str::to_owned)), "{name}");
        }
    }

    #[test]
    fn where_two_parts_could_be_the_symbol_none_is_taken() {
        assert_eq!(says("TCS_and_INFY_5m.csv").0, None);
        assert_eq!(says("some_prices.csv").0, None);
        assert_eq!(says("2024-01-01.csv").0, None);
        assert_eq!(says("").0, None);
        assert_eq!(says("X_1m_5m.csv").1, None, "two intervals are none");
        assert_eq!(says("X_1M.csv").1, None, "a month is not a minute");
        assert_eq!(says("%%%.%2").0, None);
    }
}
