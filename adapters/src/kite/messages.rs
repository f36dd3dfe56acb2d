//! The text messages of the WebSocket: updates of orders, errors, notices.
//!
//! - A message of a type that this version does not know is ignored, by its name.
//! - One that is not what its type says is told with a reason and its text: an update of an order that cannot be read is
//!   a reason to read the book again, never nothing.

use super::orders::OrderRow;
use super::values::shortened;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The most of a message that is kept.
const TEXT_MAX: usize = 512;

/// A message, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// An order of this user moved, from whatever app.
    Order(Box<OrderRow>),
    /// The feed refuses something.
    Error(String),
    /// A notice of the broker's, for people.
    Notice(String),
    /// A type that this version does not know.
    Unknown(String),
    /// Not what it says it is.
    Bad {
        /// Why.
        reason: String,
        /// The message, shortened.
        text: String,
    },
}

#[derive(Deserialize)]
struct Typed<'a> {
    r#type: String,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// Reads a message.
///
/// ```
/// use daybook_adapters::kite::messages::{Message, read};
/// assert_eq!(read(r#"{"type":"error","data":"no"}"#), Message::Error("no".to_owned()));
/// assert_eq!(read(r#"{"type":"instruments_meta","data":{}}"#), Message::Unknown("instruments_meta".to_owned()));
/// assert!(matches!(read("{"), Message::Bad { .. }));
/// ```
pub fn read(text: &str) -> Message {
    let bad = |reason: String| Message::Bad { reason: shortened(&reason, TEXT_MAX), text: shortened(text, TEXT_MAX) };
    let typed: Typed<'_> = match serde_json::from_str(text) {
        Ok(typed) => typed,
        Err(error) => return bad(error.to_string()),
    };
    let data = typed.data.map_or("null", |data| data.get());
    let words = || match serde_json::from_str::<String>(data) {
        Ok(words) => shortened(&words, TEXT_MAX),
        Err(_) => shortened(data, TEXT_MAX),
    };
    match typed.r#type.as_str() {
        "order" => match serde_json::from_str::<OrderRow>(data) {
            Ok(row) => Message::Order(Box::new(row)),
            Err(error) => bad(error.to_string()),
        },
        "error" => Message::Error(words()),
        "message" => Message::Notice(words()),
        other => Message::Unknown(shortened(other, 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORDER: &str = r#"{"type":"order","data":{"order_id":"220303000308932","status":"UPDATE","exchange":"NSE",
        "tradingsymbol":"SBIN","instrument_token":779521,"transaction_type":"BUY","order_type":"LIMIT","product":"CNC",
        "validity":"DAY","quantity":10,"filled_quantity":4,"unfilled_quantity":6,"price":470,"checksum":"","app_id":0}}"#;

    #[test]
    fn an_update_of_an_order() {
        let Message::Order(row) = read(ORDER) else { panic!("an order") };
        assert_eq!((row.order_id.as_str(), row.filled().0 / 100_000_000), ("220303000308932", 4));
        assert!(!row.status.is_terminal());
        let Message::Bad { reason, text } = read(&ORDER.replace("\"quantity\":10", "\"quantity\":\"ten\"")) else {
            panic!("a quantity that is none")
        };
        assert!(reason.contains("ten") && text.contains("220303000308932"), "{reason} {text}");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,80}", cut in 0usize..400) {
            read(&text);
            read(ORDER.get(..cut.min(ORDER.len())).unwrap_or_default());
        }
    }
}
