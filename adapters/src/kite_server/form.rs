//! Fields of requests: query strings and form bodies.
//!
//! - Unknown and repeated fields are no error: clients repeat in the body what stands in the path. The first one counts.
//! - What is not UTF-8 behind its escapes is refused, never repaired.
//! - At most so many fields: memory does not follow what a client sends.

use super::refusal::{Answer, Refusal};
use crate::kite_wire::number::Decimal;
use daybook_vocabulary::Price;

/// Fields of one request that are read; one thousand instruments and some.
const FIELDS_MAX: usize = 1_100;

/// The fields of a query string or of a form.
#[derive(Clone, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `a=b&c=d` with percent escapes and `+` for a space.
    pub fn parse(text: &str) -> Answer<Self> {
        let mut fields = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            if fields.len() == FIELDS_MAX {
                return Err(Refusal::input(format!("Too many parameters; at most {FIELDS_MAX} are read.")));
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            fields.push((unescape(name)?, unescape(value)?));
        }
        Ok(Self(fields))
    }

    /// From pairs.
    pub fn of<const N: usize>(pairs: [(&str, String); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A field that has a value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Every value of a repeated field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A field that must be there.
    pub fn need(&self, name: &str) -> Answer<&str> {
        self.get(name).ok_or_else(|| Refusal::input(format!("Missing or empty field `{name}`")))
    }

    /// A whole number of zero or more.
    pub fn count(&self, name: &str) -> Answer<Option<i64>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse::<i64>() {
            Ok(count) if (0..=1_000_000_000).contains(&count) => Ok(Some(count)),
            _ => Err(wrong(name, text, "a whole number")),
        }
    }

    /// A decimal.
    pub fn decimal(&self, name: &str) -> Answer<Option<Decimal>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        Decimal::parse(text).map(Some).ok_or_else(|| wrong(name, text, "decimal"))
    }

    /// A price of zero or more.
    pub fn price(&self, name: &str) -> Answer<Option<Price>> {
        let price = self.decimal(name)?.map(|decimal| decimal.price().filter(|price| *price >= Price::ZERO));
        match price {
            Some(None) => Err(wrong(name, self.get(name).unwrap_or_default(), "a price")),
            other => Ok(other.flatten()),
        }
    }

    /// `true`, `True` or `1`.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "True" | "1"))
    }
}

fn wrong(name: &str, text: &str, expected: &str) -> Refusal {
    let shown: String = text.chars().take(40).collect::<String>().escape_default().collect();
    Refusal::input(format!("Invalid request (failed to decode {name}, got: {shown} (expected {expected}))"))
}

fn unescape(text: &str) -> Answer<String> {
    let bad = || Refusal::input("A parameter is not valid UTF-8 or has a broken escape.");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = (digit().ok_or_else(bad)?, digit().ok_or_else(bad)?);
                (high * 16 + low) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_clients_write_them() {
        let fields = Fields::parse("i=NSE%3AINFY&i=NSE:NIFTY+50&quantity=10&price=1%2E5&empty=").unwrap();
        assert_eq!(fields.all("i").collect::<Vec<_>>(), ["NSE:INFY", "NSE:NIFTY 50"]);
        assert_eq!(fields.count("quantity"), Ok(Some(10)));
        assert_eq!(fields.price("price"), Ok(Some(Price(150_000_000))));
        assert_eq!(fields.get("empty"), None);
        assert_eq!(fields.count("missing"), Ok(None));
        for bad in ["quantity=1.5", "quantity=-1", "quantity=x"] {
            assert_eq!(Fields::parse(bad).unwrap().count("quantity").unwrap_err().code, 400, "{bad}");
        }
        let refusal = Fields::parse("market_protection=True").unwrap().decimal("market_protection").unwrap_err();
        assert!(refusal.message.contains("got: True (expected decimal)"), "{}", refusal.message);
        for bad in ["a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert!(Fields::parse(bad).is_err(), "{bad}");
        }
        assert!(Fields::parse(&"a&".repeat(FIELDS_MAX + 1)).is_err());
    }
}
