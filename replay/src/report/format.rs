//! Numbers, dates and text as people read them on the page.
//!
//! - Amounts are rounded from exact integers, half away from zero; never through a float.
//! - An Indian market groups by lakh and crore and shows ₹; others group by thousands and show no currency.
//! - Text from outside is escaped; nothing here can put a tag into the page.

use daybook_vocabulary::{Date, Money, Nanos, decimal};
use std::fmt::Write as _;

/// How amounts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// 12,34,567 and ₹.
    Indian,
    /// 1,234,567.
    Western,
}

/// Minus, as wide as a digit.
const MINUS: char = '\u{2212}';

impl Style {
    /// `₹1,23,456.79`.
    pub(super) fn money(self, amount: Money) -> String {
        self.fixed(amount.0, 2, self.currency())
    }

    /// `+₹1,23,456.79`.
    pub(super) fn signed_money(self, amount: Money) -> String {
        let text = self.money(amount);
        if amount > Money::ZERO { format!("+{text}") } else { text }
    }

    /// An amount in whole units where it is large, with decimals where it is small.
    pub(super) fn round_money(self, amount: Money) -> String {
        let places = if amount.0.unsigned_abs() >= 1_000 * decimal::SCALE as u128 { 0 } else { 2 };
        self.fixed(amount.0, places, self.currency())
    }

    /// An amount that fits a tile: the short form when the whole one is too long to read at a glance.
    pub(super) fn tile_money(self, amount: Money) -> String {
        let whole = self.round_money(amount);
        if whole.chars().count() <= 13 { whole } else { self.short(amount.to_f64(), 2) }
    }

    /// A price, quantity or another exact number as it is, grouped, with no more decimals than it has.
    pub(super) fn exact(self, units: i128) -> String {
        let mut fraction = units.unsigned_abs() % decimal::SCALE as u128;
        let mut places = if fraction == 0 { 0 } else { decimal::PLACES };
        while places > 0 && fraction.is_multiple_of(10) {
            fraction /= 10;
            places -= 1;
        }
        self.fixed(units, places, "")
    }

    /// A price with at least two decimals.
    pub(super) fn price(self, price: daybook_vocabulary::Price) -> String {
        let exact = self.exact(price.0.into());
        match exact.split_once('.') {
            None => self.fixed(price.0.into(), 2, ""),
            Some((_, places)) if places.len() < 2 => self.fixed(price.0.into(), 2, ""),
            Some(_) => exact,
        }
    }

    /// A count.
    pub(super) fn count(self, count: u64) -> String {
        self.group(&count.to_string())
    }

    /// A large amount in few digits, with at most `places` decimals: `₹1.25 Cr`, `2.5M`.
    pub(super) fn short(self, value: f64, places: usize) -> String {
        const INDIAN: [(f64, &str); 3] = [(1e7, " Cr"), (1e5, " L"), (1e3, "k")];
        const WESTERN: [(f64, &str); 4] = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")];
        let units: &[_] = match self {
            Self::Indian => &INDIAN,
            Self::Western => &WESTERN,
        };
        let size = value.abs();
        let (unit, suffix) = units.iter().find(|(unit, _)| size >= *unit).copied().unwrap_or((1.0, ""));
        let scaled = size / unit;
        let sign = if value < 0.0 { "\u{2212}" } else { "" };
        if scaled >= 1e6 {
            // Beyond what a name helps with: five digits and the power of ten.
            return format!("{sign}{}{size:.4e}", self.currency());
        }
        format!("{sign}{}{}{suffix}", self.currency(), self.group(&trimmed(scaled, places)))
    }

    const fn currency(self) -> &'static str {
        match self {
            Self::Indian => "₹",
            Self::Western => "",
        }
    }

    /// `units` of 1e-8 rounded to `places`.
    fn fixed(self, units: i128, places: usize, currency: &str) -> String {
        assert!(places <= decimal::PLACES, "an exact number has eight places");
        let step = 10i128.pow((decimal::PLACES - places) as u32);
        let rounded = decimal::divide_rounded(units, step);
        let magnitude = rounded.unsigned_abs();
        let scale = 10u128.pow(places as u32);
        let mut text = String::new();
        if rounded < 0 {
            text.push(MINUS);
        }
        text.push_str(currency);
        text.push_str(&self.group(&(magnitude / scale).to_string()));
        if places > 0 {
            write!(text, ".{:0places$}", magnitude % scale).expect("writing to a string does not fail");
        }
        text
    }

    /// Commas into the whole part of `digits`.
    fn group(self, digits: &str) -> String {
        let (whole, rest) = digits.find('.').map_or((digits, ""), |point| digits.split_at(point));
        let mut text = String::new();
        for (index, digit) in whole.chars().enumerate() {
            let left = whole.len() - index;
            let comma = match self {
                Self::Western => left % 3 == 0,
                Self::Indian => left == 3 || (left > 3 && left % 2 == 1),
            };
            if index > 0 && comma {
                text.push(',');
            }
            text.push(digit);
        }
        text + rest
    }
}

/// `+12.34%`, `−3.10%`; a dash where undefined.
pub(super) fn signed_percent(value: Option<f64>, places: usize) -> String {
    match value {
        Some(value) if value > 0.0 => format!("+{}", percent(Some(value), places)),
        other => percent(other, places),
    }
}

/// `12.34%`.
pub(super) fn percent(value: Option<f64>, places: usize) -> String {
    value.map_or_else(|| "—".to_owned(), |value| format!("{}%", float(value * 100.0, places)))
}

/// `1.23`; a dash where undefined.
pub(super) fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "—".to_owned(), |value| float(value, 2))
}

/// A float with fixed places, grouped by thousands, or with an exponent when it is beyond reading.
pub(super) fn float(value: f64, places: usize) -> String {
    let digits = if value.abs() >= 1e12 { format!("{:.2e}", value.abs()) } else { format!("{:.places$}", value.abs()) };
    let zero = digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let text = if digits.contains('e') { digits } else { Style::Western.group(&digits) };
    if value < 0.0 && !zero { format!("{MINUS}{text}") } else { text }
}

/// At most `places` decimals, no trailing zeros.
fn trimmed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// `3 Mar 2025`.
pub(super) fn date(date: Date) -> String {
    date.civil().format("%-d %b %Y").to_string()
}

/// `3 Mar 2025 09:20` in a zone east of UTC.
pub(super) fn moment(time: Nanos, offset_ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(time.0.saturating_add(offset_ns)).format("%-d %b %Y %H:%M").to_string()
}

/// `09:20` in a zone east of UTC.
pub(super) fn clock(time: Nanos, offset_ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(time.0.saturating_add(offset_ns)).format("%H:%M").to_string()
}

/// Text that cannot be a tag, an entity or the end of an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            control if control.is_control() && control != '\n' && control != '\t' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_are_grouped_for_their_market() {
        assert_eq!(Style::Indian.money(money("123456789.005")), "₹12,34,56,789.01");
        assert_eq!(Style::Indian.money(money("-1234.5")), "−₹1,234.50");
        assert_eq!(Style::Western.money(money("123456789.004")), "123,456,789.00");
        assert_eq!(Style::Western.signed_money(money("0.5")), "+0.50");
        assert_eq!(Style::Indian.round_money(money("99999.5")), "₹1,00,000");
        assert_eq!(Style::Indian.round_money(money("999.994")), "₹999.99");
        assert_eq!(Style::Western.exact(money("1234.56700001").0), "1,234.56700001");
        assert_eq!(Style::Western.exact(0), "0");
        assert_eq!(Style::Western.price("12.5".parse().unwrap()), "12.50");
        assert_eq!(Style::Indian.count(100_000), "1,00,000");
        assert!(Style::Indian.money(Money(i128::MIN)).starts_with("−₹"), "no amount is too large");
    }

    #[test]
    fn axes_are_short() {
        for (value, indian, western) in [
            (0.0, "₹0", "0"),
            (950.5, "₹950.5", "950.5"),
            (12_500.0, "₹12.5k", "12.5k"),
            (1e7, "₹1 Cr", "10M"),
            (-1.25e6, "−₹12.5 L", "−1.25M"),
            (5e11, "₹50,000 Cr", "500B"),
            (1.25e19, "₹1.2500e19", "1.2500e19"),
        ] {
            assert_eq!(Style::Indian.short(value, 3), indian);
            assert_eq!(Style::Western.short(value, 3), western);
        }
    }

    #[test]
    fn tiles_have_room_for_any_amount() {
        for text in ["0", "-299.17", "99999999", "-12345678901234567890123456", "1234567890"] {
            for style in [Style::Indian, Style::Western] {
                let shown = style.tile_money(money(text));
                assert!(shown.chars().count() <= 14, "{shown}");
            }
        }
        assert_eq!(Style::Indian.tile_money(money("1234567890")), "₹123.46 Cr");
    }

    #[test]
    fn ratios_and_dates() {
        assert_eq!(signed_percent(Some(0.1234), 2), "+12.34%");
        assert_eq!(signed_percent(Some(-0.00001), 1), "0.0%", "no minus before nothing");
        assert_eq!(percent(None, 1), "—");
        assert_eq!(ratio(Some(-1.005e4)), "−10,050.00");
        assert_eq!(float(1.5e30, 2), "1.50e30");
        assert_eq!(date("2025-03-03".parse().unwrap()), "3 Mar 2025");
        assert_eq!(moment("2025-03-03T03:50:00Z".parse().unwrap(), 19_800_000_000_000), "3 Mar 2025 09:20");
        assert!(!moment(Nanos::MIN, -1).is_empty() && !moment(Nanos::MAX, 1).is_empty());
    }

    #[test]
    fn no_text_becomes_a_tag() {
        assert_eq!(escape("<b a='1'>\"&\u{0}"), "&lt;b a=&#39;1&#39;&gt;&quot;&amp;\u{fffd}");
    }
}
