//! Cells to exact numbers.
//!
//! - Text with thousands separators is accepted only where every group is whole (`2,373.00`, `1,45,000`): a
//!   decimal comma is never misread as a thousands separator.
//! - Blank, `-`, `null` and the like are *missing*, which is not zero.
//! - Nothing here panics on any input.

use super::Reason;
use daybook_vocabulary::decimal::{self, DecimalError};

/// What a cell of a number column says: units of 1e-8, or why not.
pub(crate) type Number = Result<i64, Reason>;

/// Reads a number as people and vendors write it, surrounding blanks removed. `commas` says whether a comma may
/// group thousands.
pub(crate) fn from_text(text: &[u8], commas: bool) -> Number {
    let text = text.trim_ascii();
    if let Some(value) = plain(text) {
        return Ok(value);
    }
    if is_missing(text) {
        return Err(Reason::MissingValue);
    }
    let text = std::str::from_utf8(text).map_err(|_| Reason::NotANumber)?;
    let word = text.trim_start_matches(['-', '+']);
    if ["nan", "inf", "infinity"].iter().any(|name| word.eq_ignore_ascii_case(name)) {
        return Err(Reason::NotFinite);
    }
    if !text.contains(',') {
        return decimal::parse_i64(text).map_err(reason);
    }
    match commas.then(|| without_thousands(text)).flatten() {
        Some(digits) => decimal::parse_i64(&digits).map_err(reason),
        None => Err(Reason::NotANumber),
    }
}

/// Through the one door for floats; infinities and NaN have their own reason.
#[inline]
pub(crate) fn from_float(value: f64) -> Number {
    decimal::from_f64(value).map_err(reason)
}

/// Reads a volume: NaN there is how data frames write *missing*.
pub(crate) fn volume_from_text(text: &[u8], commas: bool) -> Number {
    if text.trim_ascii().eq_ignore_ascii_case(b"nan") { Err(Reason::MissingValue) } else { from_text(text, commas) }
}

/// True where a volume cell holds anything.
pub(crate) fn has_volume(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    !is_missing(text) && !text.eq_ignore_ascii_case(b"nan")
}

/// A whole number of units.
#[inline]
pub(crate) fn from_whole(value: i64) -> Number {
    value.checked_mul(decimal::SCALE).ok_or(Reason::OutOfRange)
}

/// True for what vendors write where there is no value.
pub(crate) fn is_missing(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 8] = [b"", b"-", b"--", b"null", b"none", b"na", b"n/a", b"#n/a"];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn reason(error: DecimalError) -> Reason {
    match error {
        DecimalError::NotANumber => Reason::NotANumber,
        DecimalError::NotFinite => Reason::NotFinite,
        DecimalError::OutOfRange => Reason::OutOfRange,
    }
}

/// Digits with at most one point, at most 8 places and 10 whole digits: no rounding, no overflow, no text copied.
#[inline]
fn plain(text: &[u8]) -> Option<i64> {
    const POWERS: [i64; 9] = [100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    if text.len() > 18 || text.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    let mut point = None;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => value = value * 10 + i64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let places = point.map_or(0, |at| text.len() - at - 1);
    if text.len() == usize::from(point.is_some()) {
        return None; // a lone point
    }
    value.checked_mul(*POWERS.get(places)?)
}

/// Removes commas where they group whole thousands (three digits) or lakhs (two, then three at the end).
fn without_thousands(text: &str) -> Option<String> {
    let (sign, body) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let rest: Vec<_> = groups.collect();
    let (last, middle) = rest.split_last()?;
    let western = middle.iter().all(|group| group.len() == 3);
    let indian = middle.iter().all(|group| group.len() == 2) && (middle.is_empty() || first.len() <= 2);
    let whole_groups = (1..=3).contains(&first.len()) && last.len() == 3 && (western || indian);
    whole_groups.then(|| format!("{sign}{}.{fraction}", whole.replace(',', "")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Number {
        from_text(text.as_bytes(), true)
    }

    #[test]
    fn reads_what_vendors_write() {
        assert_eq!(read(" 3449.35"), Ok(344_935_000_000));
        assert_eq!(read("2,373.00"), Ok(237_300_000_000));
        assert_eq!(read("1,45,000"), Ok(14_500_000_000_000));
        assert_eq!(read("00000003.95"), Ok(395_000_000));
        assert_eq!(read("            13965"), Ok(1_396_500_000_000));
        assert_eq!(read("1399.9000244140625"), Ok(139_990_002_441), "float32 noise stays the decimal it is");
        assert_eq!(read("5584100000.0"), Ok(558_410_000_000_000_000));
        assert_eq!(read("1e3"), Ok(100_000_000_000));
        assert_eq!(read("-5"), Ok(-500_000_000));
        assert_eq!(read(".5"), Ok(50_000_000));
    }

    #[test]
    fn says_why_not() {
        for missing in ["", "  ", "-", " -", "NULL", "n/a", "None"] {
            assert_eq!(read(missing), Err(Reason::MissingValue), "{missing:?}");
        }
        for bad in ["12,5", "1,2,3", ",123", "1234,567", "12a", ".", "1.2.3", "1,0000", "12,34,56"] {
            assert_eq!(read(bad), Err(Reason::NotANumber), "{bad:?}");
        }
        assert_eq!(from_text(b"1,234", false), Err(Reason::NotANumber));
        assert_eq!(read("NaN"), Err(Reason::NotFinite));
        assert_eq!(read("-inf"), Err(Reason::NotFinite));
        assert_eq!(read("92233720369"), Err(Reason::OutOfRange));
        assert_eq!(from_whole(92_233_720_369), Err(Reason::OutOfRange));
        assert_eq!(from_float(f64::INFINITY), Err(Reason::NotFinite));
    }

    proptest! {
        #[test]
        fn the_quick_way_equals_the_exact_way(text in "[0-9]{0,10}(\\.[0-9]{0,9})?") {
            if let Some(value) = plain(text.as_bytes()) {
                prop_assert_eq!(decimal::parse_i64(&text), Ok(value));
            }
        }

        #[test]
        fn any_bytes_are_a_number_or_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = from_text(&bytes, true);
        }

        #[test]
        fn grouped_numbers_read_as_their_digits(value in 1000u64..90_000_000_000) {
            let digits = value.to_string();
            let mut grouped = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at).is_multiple_of(3) {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            prop_assert_eq!(read(&grouped), read(&digits));
        }
    }
}
