//! Exact decimals: text and floats to and from integers in units of 1e-8.
//!
//! - Parsing rounds once, half away from zero, and says when a value does not fit.
//! - Printing is the shortest decimal: no exponent, no trailing zeros, never a float on the way.
//! - Nothing here panics on any input.

use thiserror::Error;

/// Units of the last place in one whole: 10^8.
pub const SCALE: i64 = 100_000_000;
/// Decimal places of [`SCALE`].
pub const PLACES: usize = 8;

/// Why a text or a float is not a decimal that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// The text is empty or holds something that is not a digit, sign or point.
    #[error("not a decimal number")]
    NotANumber,
    /// The value is infinite or not a number.
    #[error("not finite")]
    NotFinite,
    /// The value is outside the range of the type at 1e-8.
    #[error("beyond the range of a number at 1e-8")]
    OutOfRange,
}

/// Parses a plain decimal (`-12.5`, `+3`, `1e3` is accepted as vendors write it) into units of 1e-8, rounded once,
/// half away from zero.
pub fn parse(text: &str) -> Result<i128, DecimalError> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().map_err(|_| DecimalError::NotANumber)?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first() {
        Some(b'-') => (true, &mantissa[1..]),
        Some(b'+') => (false, &mantissa[1..]),
        Some(_) => (false, mantissa),
        None => return Err(DecimalError::NotANumber),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(DecimalError::NotANumber);
    }
    // The value is `digits × 10^(shift - PLACES)`: `shift` says where the last kept place lies.
    let shift = i64::from(exponent) + PLACES as i64;
    let keep = whole.len() as i64 + shift;
    let mut value: i128 = 0;
    let mut round_up = false;
    for (index, byte) in whole.bytes().chain(fraction.bytes()).enumerate() {
        if !byte.is_ascii_digit() {
            return Err(DecimalError::NotANumber);
        }
        let digit = byte - b'0';
        let index = index as i64;
        if index < keep {
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(i128::from(digit)))
                .ok_or(DecimalError::OutOfRange)?;
        } else if index == keep {
            round_up = digit >= 5;
        }
    }
    let missing = keep - (whole.len() + fraction.len()) as i64;
    if missing > 0 && value != 0 {
        let missing = u32::try_from(missing).map_err(|_| DecimalError::OutOfRange)?;
        let power = 10i128.checked_pow(missing).ok_or(DecimalError::OutOfRange)?;
        value = value.checked_mul(power).ok_or(DecimalError::OutOfRange)?;
    }
    value += i128::from(round_up);
    Ok(if negative { -value } else { value })
}

/// Parses into `i64` units of 1e-8.
pub fn parse_i64(text: &str) -> Result<i64, DecimalError> {
    i64::try_from(parse(text)?).map_err(|_| DecimalError::OutOfRange)
}

/// 2^26: from here on the gap between two floats is wider than 1e-8.
const QUICK_BELOW: f64 = 67_108_864.0;

/// The one door through which a float becomes an exact number: the decimal a person would write for it (the
/// shortest one that reads back as the same float), rounded once to 1e-8.
pub fn from_f64(value: f64) -> Result<i64, DecimalError> {
    if !value.is_finite() {
        return Err(DecimalError::NotFinite);
    }
    // Below 2^26 floats lie closer together than 1e-8, so at most one multiple of 1e-8 reads back as this float: if the
    // product, rounded, does, it is the decimal. (A little above, two may, and the product may hit the wrong one.)
    let scaled = (value * SCALE as f64).round();
    if value.abs() < QUICK_BELOW && scaled / SCALE as f64 == value {
        return Ok(scaled as i64);
    }
    parse_i64(&format!("{value}"))
}

/// The float nearest to `units` of 1e-8, for statistics and pictures; never used for money.
pub fn to_f64(units: i128) -> f64 {
    units as f64 / SCALE as f64
}

/// Writes `units` of 1e-8 as the shortest decimal.
pub fn write(units: i128, out: &mut impl std::fmt::Write) -> std::fmt::Result {
    let magnitude = units.unsigned_abs();
    let whole = magnitude / SCALE as u128;
    let mut fraction = (magnitude % SCALE as u128) as u64;
    if units < 0 {
        out.write_char('-')?;
    }
    if fraction == 0 {
        return write!(out, "{whole}");
    }
    let mut places = PLACES;
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        places -= 1;
    }
    write!(out, "{whole}.{fraction:0places$}")
}

/// Divides rounding half away from zero. `divisor` is positive.
pub fn divide_rounded(value: i128, divisor: i128) -> i128 {
    assert!(divisor > 0, "divide_rounded: the divisor must be positive");
    let quotient = value / divisor;
    let remainder = (value % divisor).unsigned_abs();
    // `remainder >= divisor - remainder` is `2 × remainder >= divisor` without the overflow.
    if remainder >= divisor.unsigned_abs() - remainder { quotient + value.signum() } else { quotient }
}

/// `value × part / whole`, rounded once, half away from zero; exact for every value, since `0 <= part <= whole` and
/// the whole is taken out of the value before anything is multiplied.
pub fn proportion(value: i128, part: i64, whole: i64) -> i128 {
    assert!(0 <= part && part <= whole && 0 < whole, "proportion: a part lies inside its whole");
    // Whole orders and whole positions are the common case: no division in 128 bits for them.
    if part == whole || part == 0 {
        return if part == 0 { 0 } else { value };
    }
    let (part, whole) = (i128::from(part), i128::from(whole));
    value / whole * part + divide_rounded(value % whole * part, whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(units: i128) -> String {
        let mut out = String::new();
        write(units, &mut out).unwrap();
        out
    }

    #[test]
    fn parses_what_vendors_write() {
        assert_eq!(parse("1627.05"), Ok(162_705_000_000));
        assert_eq!(parse("-0.00000001"), Ok(-1));
        assert_eq!(parse("0.000000005"), Ok(1), "half rounds away from zero");
        assert_eq!(parse("-0.000000005"), Ok(-1));
        assert_eq!(parse("0.0000000049999"), Ok(0));
        assert_eq!(parse("1e3"), Ok(100_000_000_000));
        assert_eq!(parse("1.5E-8"), Ok(2));
        assert_eq!(parse("+.5"), Ok(50_000_000));
        assert_eq!(parse("00000003.95"), Ok(395_000_000));
    }

    #[test]
    fn refuses_what_is_not_a_number() {
        for bad in ["", "-", ".", "1,000", "abc", "1.2.3", "1e", "nan", "१२", "--1"] {
            assert_eq!(parse(bad), Err(DecimalError::NotANumber), "{bad:?}");
        }
        assert_eq!(parse_i64("92233720368.54775808"), Err(DecimalError::OutOfRange));
        assert_eq!(parse_i64("92233720368.54775807"), Ok(i64::MAX));
        assert_eq!(parse("1e2147483647"), Err(DecimalError::OutOfRange));
        assert_eq!(parse("1e-2147483648"), Ok(0));
        assert_eq!(from_f64(f64::NAN), Err(DecimalError::NotFinite));
        assert_eq!(from_f64(1e300), Err(DecimalError::OutOfRange));
    }

    #[test]
    fn a_float_beyond_the_quick_way_is_the_decimal_a_person_wrote() {
        assert_eq!(from_f64(68_432_510.01), parse_i64("68432510.01"));
        assert_eq!(from_f64(67_108_864.000_000_01), parse_i64("67108864.00000001"));
        assert_eq!(from_f64(67_108_863.990_000_01), parse_i64("67108863.99000001"));
    }

    #[test]
    fn division_rounds_half_away_from_zero() {
        assert_eq!(divide_rounded(5, 10), 1);
        assert_eq!(divide_rounded(-5, 10), -1);
        assert_eq!(divide_rounded(4, 10), 0);
        assert_eq!(divide_rounded(-14, 10), -1);
        assert_eq!(divide_rounded(i128::MAX, i128::MAX), 1);
        assert_eq!(divide_rounded(10, 3), 3);
        assert_eq!(divide_rounded(11, 3), 4);
    }

    #[test]
    fn a_proportion_of_the_largest_value_does_not_overflow() {
        assert_eq!(proportion(i128::MAX, i64::MAX, i64::MAX), i128::MAX);
        assert_eq!(proportion(i128::MIN, 0, 1), 0);
        assert_eq!(proportion(i128::MAX, 1, 2), i128::MAX / 2 + 1, "a half rounds away from zero");
        assert_eq!(proportion(-3, 1, 2), -2);
        assert!(proportion(i128::MIN, i64::MAX - 1, i64::MAX) > i128::MIN);
    }

    proptest! {
        #[test]
        fn a_proportion_is_the_rounded_fraction(value in any::<i64>(), whole in 1i64.., seed in any::<u64>()) {
            let part = (seed % (whole as u64 + 1)) as i64;
            let (value, exact) = (i128::from(value), i128::from(value) * i128::from(part));
            prop_assert_eq!(proportion(value, part, whole), divide_rounded(exact, whole.into()));
        }

        #[test]
        fn text_reads_back(units in any::<i64>()) {
            prop_assert_eq!(parse_i64(&text(units.into())), Ok(units));
        }

        #[test]
        fn the_door_keeps_the_decimal_a_person_wrote(cents in -1_000_000_000_000i64..1_000_000_000_000) {
            let written = format!("{}.{:02}", cents / 100, (cents % 100).abs());
            let float: f64 = written.parse().unwrap();
            prop_assume!(cents >= 0 || cents <= -100);
            prop_assert_eq!(from_f64(float), parse_i64(&written));
        }

        #[test]
        fn the_quick_way_equals_the_slow_way(value in -9.0e10f64..9.0e10) {
            prop_assert_eq!(from_f64(value), parse_i64(&format!("{value}")));
        }

        #[test]
        fn parsing_never_panics(anything in "\\PC{0,40}") {
            let _ = parse(&anything);
        }
    }
}
