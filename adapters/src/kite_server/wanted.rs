//! What a client wants placed, read from its fields and checked against the rules of the protocol.
//!
//! - What is wrong in itself is refused at once and leaves no trace; what the exchange would refuse becomes an order that
//!   is rejected.
//! - Market orders want protection: absent or zero is refused.
//! - Unknown fields are no error.

use super::board::Quote;
use super::form::Fields;
use super::market::Listed;
use super::orders::side_of;
use super::refusal::{Answer, Refusal};
use crate::kite_wire::number::Decimal;
use crate::kite_wire::words::{OrderType, Product, Transaction, Validity, Variety};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{Price, Side};

const EXCHANGES: [&str; 7] = ["NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX"];
/// Percent of protection that the broker chooses: 0.5 from 500 rupees on, 1 from 100 on, 2 below.
const AUTOMATIC: [(i64, i128); 3] = [(500, SCALE as i128 / 2), (100, SCALE as i128), (0, 2 * SCALE as i128)];

/// An order that was asked for and is in order.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The kind of order.
    pub variety: Variety,
    /// Place of the instrument.
    pub listed: usize,
    /// Which way.
    pub side: Side,
    /// How it is priced.
    pub order_type: OrderType,
    /// What becomes of the position.
    pub product: Product,
    /// How long it works.
    pub validity: Validity,
    /// Minutes, where it is `TTL`.
    pub minutes: i64,
    /// How much.
    pub quantity: i64,
    /// How much of it is shown.
    pub disclosed: i64,
    /// Limit.
    pub price: Option<Price>,
    /// Trigger; of a cover order that of its second leg.
    pub trigger: Option<Price>,
    /// As it was asked for: -1 for automatic.
    pub protection: Decimal,
    /// Legs of an iceberg.
    pub legs: i64,
    /// Tags.
    pub tags: Vec<String>,
    /// Whether the broker may slice it.
    pub autoslice: bool,
}

impl Wanted {
    /// Reads the fields of a request.
    pub fn read(variety: &str, fields: &Fields, find: impl Fn(&str) -> Option<usize>) -> Answer<Self> {
        let variety = Variety::from(variety);
        let order_type = OrderType::from(fields.need("order_type")?);
        let product = Product::from(fields.need("product")?);
        let side = side_of(&Transaction::from(fields.need("transaction_type")?));
        let validity = Validity::from(fields.get("validity").unwrap_or("DAY"));
        known(variety.is_known() && variety != Variety::Auction, "variety")?;
        known(order_type.is_known(), "order_type")?;
        known(product.is_known() && product != Product::Co, "product")?;
        known(validity.is_known(), "validity")?;
        let Some(side) = side else { return known(false, "transaction_type").map(|()| unreachable!("it is refused")) };
        let exchange = fields.need("exchange")?;
        known(EXCHANGES.contains(&exchange), "exchange")?;
        let symbol = fields.need("tradingsymbol")?;
        let listed = (exchange == "NSE").then(|| find(symbol)).flatten().ok_or_else(no_instrument)?;
        let quantity = fields.count("quantity")?.ok_or_else(|| Refusal::input("Missing or empty field `quantity`"))?;
        let priced = matches!(order_type, OrderType::Limit | OrderType::Sl);
        let triggered = matches!(order_type, OrderType::Sl | OrderType::SlM) || variety == Variety::Co;
        Ok(Self {
            listed,
            side,
            product,
            validity,
            minutes: fields.count("validity_ttl")?.unwrap_or(0),
            quantity,
            disclosed: fields.count("disclosed_quantity")?.unwrap_or(0),
            price: fields.price("price")?.filter(|price| priced && price.0 > 0),
            trigger: fields.price("trigger_price")?.filter(|price| triggered && price.0 > 0),
            protection: fields.decimal("market_protection")?.unwrap_or_default(),
            legs: legs_of(&variety, fields, quantity)?,
            tags: tags_of(fields)?,
            autoslice: fields.flag("autoslice"),
            order_type,
            variety,
        })
    }

    /// Is it in order, for this instrument as it stands today?
    pub fn check(&self, of: &Listed, quote: &Quote) -> Answer<()> {
        if of.index || !quote.listed {
            return Err(no_instrument());
        }
        if self.quantity <= 0 || self.quantity % of.lot != 0 {
            return Err(Refusal::input(format!("Invalid `quantity`: it is a multiple of the lot size {}.", of.lot)));
        }
        if self.product == Product::Nrml {
            return Err(Refusal::input("NRML orders are not allowed for this exchange; use CNC or MIS."));
        }
        self.check_variety()?;
        self.check_validity()?;
        check_prices(&self.order_type, self.side, self.price, self.trigger, quote, self.variety == Variety::Co)?;
        check_protection(&self.order_type, self.protection)?;
        let disclosed = self.disclosed;
        if disclosed > 0 && (disclosed > self.quantity || disclosed * 10 < self.quantity) {
            return Err(Refusal::input("Invalid `disclosed_quantity`: it is 10 % to 100 % of the quantity."));
        }
        Ok(())
    }

    fn check_variety(&self) -> Answer<()> {
        let wrong = match self.variety {
            Variety::Co if self.product != Product::Mis => "A cover order has the product MIS.",
            Variety::Co if !matches!(self.order_type, OrderType::Market | OrderType::Limit) => {
                "A cover order is MARKET or LIMIT."
            }
            Variety::Co if self.trigger.is_none() => "Missing or empty field `trigger_price`",
            Variety::Iceberg if self.order_type != OrderType::Limit => "An iceberg order is LIMIT.",
            Variety::Iceberg if self.disclosed > 0 => "An iceberg order has no `disclosed_quantity`.",
            Variety::Amo if self.validity != Validity::Day => "An after market order has the validity DAY.",
            _ => return Ok(()),
        };
        Err(Refusal::input(wrong))
    }

    fn check_validity(&self) -> Answer<()> {
        let wrong = match self.validity {
            Validity::Ttl if !(1..=375).contains(&self.minutes) => "Invalid `validity_ttl`: minutes from 1 on.",
            Validity::Ioc if self.disclosed > 0 => "An IOC order has no `disclosed_quantity`.",
            Validity::Ioc if self.variety == Variety::Iceberg => "An iceberg order is not IOC.",
            _ => return Ok(()),
        };
        Err(Refusal::input(wrong))
    }
}

/// Prices: there where the type wants them, on the tick, triggers on the right side.
pub fn check_prices(
    order_type: &OrderType,
    side: Side,
    price: Option<Price>,
    trigger: Option<Price>,
    quote: &Quote,
    cover: bool,
) -> Answer<()> {
    if matches!(order_type, OrderType::Limit | OrderType::Sl) && price.is_none() {
        return Err(Refusal::input("Missing or empty field `price`"));
    }
    if matches!(order_type, OrderType::Sl | OrderType::SlM) && trigger.is_none() {
        return Err(Refusal::input("Missing or empty field `trigger_price`"));
    }
    if [price, trigger].into_iter().flatten().any(|price| !quote.on_tick(price)) {
        return Err(Refusal::input(format!(
            "Tick size for this script is {}. Kindly enter price in the multiple of tick size for this script.",
            quote.tick
        )));
    }
    let Some(trigger) = trigger else { return Ok(()) };
    let last = quote.snapshot.last;
    // The second leg of a cover order goes the other way.
    let stop_side = if cover { side.opposite() } else { side };
    let beyond = |one: Price, other: Price| if stop_side == Side::Buy { one > other } else { one < other };
    if let Some(price) = price.filter(|_| *order_type == OrderType::Sl)
        && beyond(trigger, price)
    {
        let word = if side == Side::Buy { "lower than or equal to" } else { "higher than or equal to" };
        return Err(Refusal::input(format!("Trigger price of a {} stop is {word} the limit price.", side.word())));
    }
    if last.0 > 0 && !beyond(trigger, last) {
        let word = if stop_side == Side::Buy { "higher" } else { "lower" };
        return Err(Refusal::order(format!(
            "Trigger price for stoploss {} orders should be {word} than the last traded price ({last}). Try limit order.",
            stop_side.word().to_lowercase()
        )));
    }
    Ok(())
}

/// Market orders want protection.
pub fn check_protection(order_type: &OrderType, protection: Decimal) -> Answer<()> {
    if !matches!(order_type, OrderType::Market | OrderType::SlM) {
        return Ok(());
    }
    if protection == Decimal::ZERO {
        return Err(Refusal::input(
            "Market orders without market protection are not allowed via API. \
             Please set market protection or use a Limit order.",
        ));
    }
    let percent = i128::from(SCALE);
    if protection.0 != -percent && !(1..=100 * percent).contains(&protection.0) {
        return Err(Refusal::input("Invalid `market_protection`: -1, or a percentage above 0 and up to 100."));
    }
    Ok(())
}

/// The percentage that holds, in units of 1e-8.
pub fn percent_of(protection: Decimal, last: Price) -> i128 {
    if protection.0 > 0 {
        return protection.0;
    }
    let rung = AUTOMATIC.iter().find(|(from, _)| last >= Price::from_units(*from));
    rung.map_or(AUTOMATIC[2].1, |(_, percent)| *percent)
}

fn legs_of(variety: &Variety, fields: &Fields, quantity: i64) -> Answer<i64> {
    if *variety != Variety::Iceberg {
        return Ok(1);
    }
    let legs = fields.count("iceberg_legs")?.unwrap_or(0);
    if !(2..=10).contains(&legs) {
        return Err(Refusal::input("Invalid `iceberg_legs`: 2 to 10."));
    }
    let leg = (quantity + legs - 1) / legs;
    match fields.count("iceberg_quantity")? {
        Some(given) if given != leg => {
            Err(Refusal::input(format!("Invalid `iceberg_quantity`: quantity / legs, rounded up, is {leg}.")))
        }
        _ if quantity < legs => Err(Refusal::input("Invalid `quantity`: each leg of an iceberg is at least 1.")),
        _ => Ok(legs),
    }
}

fn tags_of(fields: &Fields) -> Answer<Vec<String>> {
    match fields.get("tag") {
        None => Ok(Vec::new()),
        Some(tag) if tag.len() <= 20 && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Ok(vec![tag.to_owned()])
        }
        Some(_) => Err(Refusal::input("Invalid `tag`: at most 20 letters and digits.")),
    }
}

fn known(is: bool, name: &str) -> Answer<()> {
    if is { Ok(()) } else { Err(Refusal::input(format!("Invalid `{name}`."))) }
}

fn no_instrument() -> Refusal {
    Refusal::input("The instrument you are placing an order for has either expired or does not exist.")
}
