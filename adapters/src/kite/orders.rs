//! Orders: rows of the broker's book, what is sent to place one, and what is known afterwards.
//!
//! - Placing consumes a `Durable`: no order leaves before its intent is on disk (P1), and none leaves twice.
//! - A timeout, a broken connection and a 5xx say nothing about the order: its outcome is [`Outcome::Unknown`] until the
//!   book, asked for its tag, shows it or has not shown it for long enough (P8).
//! - A row with a word that nobody knows is kept, and says so; a row that cannot be read is a bad row with its reason.

use super::error::Refused;
use super::http::TransportError;
use super::ticks::Token;
use super::values::{Pricing, Product, Stamp, Status, Transaction, Units, Validity, Variety};
use daybook_vocabulary::{Price, Quantity};
use serde::Deserialize;

/// Letters and digits of a tag.
pub const TAG_MAX: usize = 20;

/// A row of the book, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct OrderRow {
    /// The broker's number: a text, never a number.
    pub order_id: String,
    /// The exchange's; none until it accepted.
    #[serde(default)]
    pub exchange_order_id: Option<String>,
    /// The order it belongs to.
    #[serde(default)]
    pub parent_order_id: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// Why it was refused or cancelled, for people.
    #[serde(default)]
    pub status_message: Option<String>,
    /// When the broker registered it.
    #[serde(default)]
    pub order_timestamp: Stamp,
    /// When the exchange accepted it.
    #[serde(default)]
    pub exchange_timestamp: Stamp,
    /// When the exchange last changed it.
    #[serde(default)]
    pub exchange_update_timestamp: Stamp,
    /// What kind of order it is.
    #[serde(default)]
    pub variety: Variety,
    /// Exchange.
    pub exchange: String,
    /// Symbol.
    pub tradingsymbol: String,
    /// The instrument's number; a first row may have a placeholder.
    #[serde(default)]
    pub instrument_token: u32,
    /// Which way.
    pub transaction_type: Transaction,
    /// How it is priced: a protected market order shows as a limit.
    pub order_type: Pricing,
    /// What kind of position it makes.
    pub product: Product,
    /// How long it works.
    #[serde(default)]
    pub validity: Validity,
    quantity: Units,
    filled_quantity: Units,
    #[serde(default)]
    pending_quantity: Units,
    #[serde(default)]
    price: Units,
    #[serde(default)]
    trigger_price: Units,
    #[serde(default)]
    average_price: Units,
    /// The tag it was placed with.
    #[serde(default)]
    pub tag: Option<String>,
    /// All tags, the broker's own among them.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
}

impl OrderRow {
    /// The instrument.
    pub const fn token(&self) -> Token {
        Token(self.instrument_token)
    }

    /// How much was asked for.
    pub const fn quantity(&self) -> Quantity {
        Quantity(self.quantity.0)
    }

    /// How much is filled: with the status, all that counts.
    pub const fn filled(&self) -> Quantity {
        Quantity(self.filled_quantity.0)
    }

    /// What the row calls pending; not to be trusted after a cancel.
    pub const fn pending(&self) -> Quantity {
        Quantity(self.pending_quantity.0)
    }

    /// Limit price.
    pub const fn price(&self) -> Price {
        Price(self.price.0)
    }

    /// Trigger price.
    pub const fn trigger(&self) -> Price {
        Price(self.trigger_price.0)
    }

    /// Average price of the fills.
    pub const fn average(&self) -> Price {
        Price(self.average_price.0)
    }

    /// True for an order that was placed with this tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tag.as_deref() == Some(tag) || self.tags.iter().flatten().any(|one| one == tag)
    }

    /// Words of the row that this version does not know, with their fields: a reason to look, and for a side or a
    /// status, a reason not to act on the row.
    pub fn unknown_words(&self) -> Vec<(&'static str, &str)> {
        let checks = [
            ("status", self.status.is_known(), self.status.text()),
            ("transaction_type", self.transaction_type.is_known(), self.transaction_type.text()),
            ("order_type", self.order_type.is_known(), self.order_type.text()),
            ("product", self.product.is_known(), self.product.text()),
            ("validity", self.validity.is_known() || self.validity.text().is_empty(), self.validity.text()),
            ("variety", self.variety.is_known() || self.variety.text().is_empty(), self.variety.text()),
        ];
        checks.into_iter().filter(|(_, known, _)| !known).map(|(field, _, word)| (field, word)).collect()
    }
}

/// A trade of the day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct TradeRow {
    /// Unique per exchange and day.
    pub trade_id: String,
    /// The order it fills.
    pub order_id: String,
    /// Exchange.
    pub exchange: String,
    /// Symbol.
    pub tradingsymbol: String,
    /// Which way.
    pub transaction_type: Transaction,
    quantity: Units,
    average_price: Units,
    /// When.
    #[serde(default)]
    pub fill_timestamp: Stamp,
}

impl TradeRow {
    /// How much.
    pub const fn quantity(&self) -> Quantity {
        Quantity(self.quantity.0)
    }

    /// At what price.
    pub const fn price(&self) -> Price {
        Price(self.average_price.0)
    }
}

/// A position, carried ones included.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct PositionRow {
    /// Exchange.
    pub exchange: String,
    /// Symbol.
    pub tradingsymbol: String,
    /// The instrument's number.
    #[serde(default)]
    pub instrument_token: u32,
    /// What kind of position it is.
    pub product: Product,
    quantity: Units,
    average_price: Units,
    #[serde(default)]
    last_price: Units,
}

impl PositionRow {
    /// Signed: below zero when short.
    pub const fn quantity(&self) -> Quantity {
        Quantity(self.quantity.0)
    }

    /// Average price.
    pub const fn average(&self) -> Price {
        Price(self.average_price.0)
    }

    /// Last price.
    pub const fn last(&self) -> Price {
        Price(self.last_price.0)
    }
}

/// An order as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// What kind of order it is.
    pub variety: Variety,
    /// Exchange.
    pub exchange: String,
    /// Symbol.
    pub symbol: String,
    /// Which way.
    pub side: Transaction,
    /// How it is priced.
    pub pricing: Pricing,
    /// What kind of position it makes.
    pub product: Product,
    /// How long it works.
    pub validity: Validity,
    /// For how many minutes, where that is what it says.
    pub minutes: Option<u32>,
    /// How much, whole pieces.
    pub quantity: Quantity,
    /// Limit price.
    pub price: Option<Price>,
    /// Trigger price.
    pub trigger: Option<Price>,
    /// How far a market order may slip, in hundredths of a percent; none: as the broker chooses.
    pub protection: Option<u32>,
    /// Our own name for it: unique, letters and digits.
    pub tag: String,
    /// True when it lowers risk: it goes before entries.
    pub is_exit: bool,
}

/// What can be placed: an intent knows how it is sent.
pub trait AsOrder {
    /// The order to send.
    fn order(&self) -> NewOrder;
}

impl AsOrder for NewOrder {
    fn order(&self) -> NewOrder {
        self.clone()
    }
}

impl NewOrder {
    /// The fields of the form; or why it cannot be sent.
    pub fn fields(&self) -> Result<Vec<(&'static str, String)>, &'static str> {
        let whole = |quantity: Quantity| {
            let units = quantity.0 / daybook_vocabulary::decimal::SCALE;
            (quantity.0 > 0 && Quantity::from_units(units) == quantity).then_some(units)
        };
        let quantity = whole(self.quantity).ok_or("the quantity is not a whole number above 0")?;
        if self.tag.is_empty() || self.tag.len() > TAG_MAX || !self.tag.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return Err("the tag is not 1 to 20 letters and digits");
        }
        let words = [self.side.is_known(), self.pricing.is_known(), self.product.is_known(), self.validity.is_known()];
        if words.contains(&false) || !self.variety.is_known() {
            return Err("a word that the broker does not know");
        }
        let mut fields = vec![
            ("exchange", self.exchange.clone()),
            ("tradingsymbol", self.symbol.clone()),
            ("transaction_type", self.side.text().to_owned()),
            ("quantity", quantity.to_string()),
            ("product", self.product.text().to_owned()),
            ("order_type", self.pricing.text().to_owned()),
            ("validity", self.validity.text().to_owned()),
            ("tag", self.tag.clone()),
        ];
        let above_zero = |price: Option<Price>| price.filter(|price| price.0 > 0);
        if matches!(self.pricing, Pricing::Limit | Pricing::StopLimit) {
            let price = above_zero(self.price).ok_or("a limit order needs a price above 0")?;
            fields.push(("price", Units(price.0).text()));
        }
        if matches!(self.pricing, Pricing::StopLimit | Pricing::StopMarket) {
            let trigger = above_zero(self.trigger).ok_or("a stop order needs a trigger above 0")?;
            fields.push(("trigger_price", Units(trigger.0).text()));
        }
        if self.validity == Validity::Ttl {
            let minutes =
                self.minutes.filter(|minutes| *minutes > 0).ok_or("an order for some minutes says how many")?;
            fields.push(("validity_ttl", minutes.to_string()));
        }
        fields.extend(protection_of(&self.pricing, self.protection));
        Ok(fields)
    }
}

/// The field that says how far a market order, or a stop that becomes one, may fill from the market: refused without it
/// since April 2026; -1 is the broker's own choice.
pub(super) fn protection_of(pricing: &Pricing, bps: Option<u32>) -> Option<(&'static str, String)> {
    let protection = || bps.map_or("-1".to_owned(), |bps| Units(i64::from(bps) * 1_000_000).text());
    matches!(pricing, Pricing::Market | Pricing::StopMarket).then(|| ("market_protection", protection()))
}

/// What became of a call that changes something, as far as the call itself can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Registered with the broker under this number; what the exchange says comes later.
    Registered(String),
    /// Certainly refused.
    Refused(Refused),
    /// Certainly never sent.
    NotSent(String),
    /// Nobody can say yet: look for the tag in the book.
    Unknown(String),
    /// Refused, because the session is over.
    SessionOver(String),
}

impl Outcome {
    pub(crate) fn of_transport(error: &TransportError) -> Self {
        if error.never_sent() { Self::NotSent(error.to_string()) } else { Self::Unknown(error.to_string()) }
    }
}

/// The tag of an intent: the same run and number always give the same one, others another.
///
/// ```
/// use daybook_adapters::kite::orders::tag_of;
/// assert_eq!(tag_of([7; 16], 42).len(), 20);
/// assert_ne!(tag_of([7; 16], 42), tag_of([7; 16], 43));
/// ```
pub fn tag_of(run: [u8; 16], seq: u64) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"daybook order tag").update(&run).update(&seq.to_le_bytes());
    let hash = hasher.finalize();
    hash.as_bytes().iter().take(TAG_MAX).map(|byte| char::from(LETTERS[usize::from(byte & 31)])).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::kite::values::rows;

    pub(crate) fn limit_order() -> NewOrder {
        NewOrder {
            variety: Variety::Regular,
            exchange: "NSE".to_owned(),
            symbol: "RELIANCE".to_owned(),
            side: Transaction::Buy,
            pricing: Pricing::Limit,
            product: Product::Mis,
            validity: Validity::Day,
            minutes: None,
            quantity: Quantity::from_units(10),
            price: Some(Price::from_units(1300)),
            trigger: None,
            protection: None,
            tag: tag_of([1; 16], 9),
            is_exit: false,
        }
    }

    #[test]
    fn rows_are_read_and_strange_words_are_named() {
        let data = r#"[{"order_id":"1953341975595868160","exchange_order_id":null,"status":"OPEN","status_message":null,
            "order_timestamp":"2026-11-20 09:20:00","exchange_timestamp":null,"variety":"regular","exchange":"NSE",
            "tradingsymbol":"INFY","instrument_token":408065,"transaction_type":"BUY","order_type":"LIMIT","product":"MIS",
            "validity":"DAY","quantity":10,"filled_quantity":4,"pending_quantity":6,"price":1573.7,"average_price":1573.65,
            "tag":"ABC","tags":["ABC"],"guid":"x","meta":{}},
            {"order_id":"2","status":"DREAMING","exchange":"NSE","tradingsymbol":"INFY","transaction_type":"LEND",
            "order_type":"MARKET","product":"MIS","quantity":1,"filled_quantity":0},
            {"order_id":3,"status":"OPEN"}]"#;
        let (read, bad) = rows::<OrderRow>(data).unwrap();
        assert_eq!((read[0].filled(), read[0].price().to_string()), (Quantity::from_units(4), "1573.7".to_owned()));
        assert_eq!(read[0].average().to_string(), "1573.65");
        assert!(read[0].has_tag("ABC") && !read[0].has_tag("AB") && read[0].unknown_words().is_empty());
        assert_eq!(read[1].unknown_words(), [("status", "DREAMING"), ("transaction_type", "LEND")]);
        assert!(!read[1].status.is_terminal());
        assert_eq!((bad.len(), bad[0].row), (1, 3));
    }

    #[test]
    fn forms_hold_what_the_pricing_needs() {
        let order = limit_order();
        let fields = order.fields().unwrap();
        assert!(fields.contains(&("price", "1300".to_owned())) && fields.contains(&("quantity", "10".to_owned())));
        assert!(!fields.iter().any(|(name, _)| *name == "market_protection"));
        let market = NewOrder { pricing: Pricing::Market, price: None, protection: Some(250), ..order.clone() };
        assert!(market.fields().unwrap().contains(&("market_protection", "2.5".to_owned())));
        let stop = NewOrder { pricing: Pricing::StopMarket, trigger: Some(Price(129_950_000_000)), ..order.clone() };
        let fields = stop.fields().unwrap();
        assert!(
            fields.contains(&("trigger_price", "1299.5".to_owned()))
                && fields.contains(&("market_protection", "-1".to_owned()))
        );
        let brief = NewOrder { validity: Validity::Ttl, minutes: Some(5), ..order.clone() };
        assert!(brief.fields().unwrap().contains(&("validity_ttl", "5".to_owned())));
        let unfit = [
            NewOrder { validity: Validity::Ttl, ..order.clone() },
            NewOrder { tag: "has space".to_owned(), ..order.clone() },
            NewOrder { quantity: Quantity(150_000_000), ..order.clone() },
            NewOrder { price: None, ..order.clone() },
            NewOrder { side: Transaction::Other("LEND".to_owned()), ..order },
        ];
        assert!(unfit.iter().all(|order| order.fields().is_err()));
    }
}
