//! The calculators: what orders would block and cost.
//!
//! - The same rules as the account's own; nothing is placed.
//! - Values are not rounded, but for stamp duty: two places.

use super::account::{Account, Need};
use super::market::ChargeQuery;
use super::orders::side_of;
use super::refusal::{Answer, Refusal};
use super::world::World;
use crate::kite_wire::number::Decimal;
use crate::kite_wire::stamp;
use crate::kite_wire::words::{Product, Transaction};
use daybook_vocabulary::{Money, Price, Side, decimal};
use serde::{Deserialize, Serialize};

/// Orders of one request.
const ITEMS_MAX: usize = 200;

/// An order to be calculated, as clients write it.
#[derive(Clone, Debug, Deserialize)]
struct Item {
    #[serde(default)]
    exchange: String,
    tradingsymbol: String,
    transaction_type: Transaction,
    #[serde(default)]
    variety: String,
    product: Product,
    #[serde(default)]
    order_type: String,
    quantity: i64,
    #[serde(default)]
    price: Decimal,
    #[serde(default)]
    average_price: Decimal,
}

/// Goods and services tax.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Gst {
    igst: Decimal,
    cgst: Decimal,
    sgst: Decimal,
    total: Decimal,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct ChargesRow {
    transaction_tax: Decimal,
    transaction_tax_type: &'static str,
    exchange_turnover_charge: Decimal,
    sebi_turnover_charge: Decimal,
    brokerage: Decimal,
    stamp_duty: Decimal,
    gst: Gst,
    total: Decimal,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Pnl {
    realised: Decimal,
    unrealised: Decimal,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct MarginRow {
    #[serde(rename = "type")]
    kind: &'static str,
    tradingsymbol: String,
    exchange: String,
    span: Decimal,
    exposure: Decimal,
    option_premium: Decimal,
    additional: Decimal,
    bo: Decimal,
    cash: Decimal,
    var: Decimal,
    pnl: Pnl,
    leverage: i64,
    charges: ChargesRow,
    total: Decimal,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct CompactRow {
    #[serde(rename = "type")]
    kind: &'static str,
    tradingsymbol: String,
    exchange: String,
    total: Decimal,
}

impl From<MarginRow> for CompactRow {
    fn from(row: MarginRow) -> Self {
        Self { kind: row.kind, tradingsymbol: row.tradingsymbol, exchange: row.exchange, total: row.total }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Basket<T> {
    initial: T,
    r#final: T,
    orders: Vec<T>,
    charges: ChargesRow,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ContractNote {
    transaction_type: Transaction,
    tradingsymbol: String,
    exchange: String,
    variety: String,
    product: Product,
    order_type: String,
    quantity: i64,
    price: Decimal,
    charges: ChargesRow,
}

/// What is calculated for one order.
struct Priced {
    item: Item,
    need: Need,
}

impl World {
    /// `POST /margins/orders`.
    pub fn order_margins(&self, body: &[u8], compact: bool) -> Answer<String> {
        let rows: Vec<MarginRow> = self.priced(body)?.iter().map(|priced| self.margin_row(priced)).collect();
        if !compact {
            return super::refusal::success(&rows);
        }
        super::refusal::success(&rows.into_iter().map(CompactRow::from).collect::<Vec<_>>())
    }

    /// `POST /margins/basket`.
    pub fn basket_margins(&self, body: &[u8], consider_positions: bool, compact: bool) -> Answer<String> {
        let priced = self.priced(body)?;
        let orders: Vec<MarginRow> = priced.iter().map(|priced| self.margin_row(priced)).collect();
        let charges = sum_charges(orders.iter().map(|row| &row.charges));
        let initial: i128 = orders.iter().map(|row| row.total.0).sum();
        let mut needs = if consider_positions { self.needs() } else { Vec::new() };
        let blank = Account::new(Money::ZERO);
        let account = if consider_positions { &self.account } else { &blank };
        let before = account.blocked(&needs, &self.board);
        needs.extend(priced.iter().map(|priced| priced.need.clone()));
        let last = account.blocked(&needs, &self.board) - before;
        let total =
            |total: i128| MarginRow { kind: "equity", leverage: 1, total: Decimal(total), ..MarginRow::default() };
        let (initial, last) = (total(initial), total(last.0.max(0)));
        if compact {
            let orders = orders.into_iter().map(CompactRow::from).collect();
            return super::refusal::success(&Basket { initial: initial.into(), r#final: last.into(), orders, charges });
        }
        super::refusal::success(&Basket { initial, r#final: last, orders, charges })
    }

    /// `POST /charges/orders`.
    pub fn contract_note(&self, body: &[u8]) -> Answer<String> {
        let note = |priced: Priced| {
            let price =
                if priced.item.average_price.0 > 0 { priced.item.average_price } else { priced.need.price.into() };
            let charges = self.charges_row(&priced.item.product, priced.need.side, price, priced.item.quantity);
            ContractNote {
                transaction_type: priced.item.transaction_type,
                tradingsymbol: priced.item.tradingsymbol,
                exchange: priced.item.exchange,
                variety: priced.item.variety,
                product: priced.item.product,
                order_type: priced.item.order_type,
                quantity: priced.item.quantity,
                price,
                charges,
            }
        };
        super::refusal::success(&self.priced(body)?.into_iter().map(note).collect::<Vec<_>>())
    }

    fn priced(&self, body: &[u8]) -> Answer<Vec<Priced>> {
        let items: Vec<Item> = serde_json::from_slice(body)
            .map_err(|error| Refusal::input(format!("The body is not a JSON array of orders: {error}")))?;
        if items.len() > ITEMS_MAX {
            return Err(Refusal::input(format!("At most {ITEMS_MAX} orders can be calculated at once.")));
        }
        items.into_iter().map(|item| self.priced_item(item)).collect()
    }

    fn priced_item(&self, item: Item) -> Answer<Priced> {
        let listed = (item.exchange == "NSE").then(|| self.place_of(&item.tradingsymbol)).flatten();
        let listed = listed.ok_or_else(|| Refusal::input("Invalid `tradingsymbol` or `exchange`."))?;
        let side = side_of(&item.transaction_type).ok_or_else(|| Refusal::input("Invalid `transaction_type`."))?;
        if !(1..=1_000_000_000).contains(&item.quantity) || !item.product.is_known() {
            return Err(Refusal::input("Invalid `quantity` or `product`."));
        }
        let given = item.price.price().filter(|price| price.0 > 0);
        let price = given.unwrap_or(self.board.quote(listed).snapshot.last);
        let need = Need { key: (listed, item.product.clone()), side, quantity: item.quantity, price };
        Ok(Priced { item, need })
    }

    fn margin_row(&self, priced: &Priced) -> MarginRow {
        let (item, need) = (&priced.item, &priced.need);
        let total = Account::new(Money::ZERO).blocked(std::slice::from_ref(need), &self.board);
        let intraday = !matches!(item.product, Product::Cnc | Product::Mtf);
        let part = |is: bool| if is { total.into() } else { Decimal::ZERO };
        MarginRow {
            kind: "equity",
            tradingsymbol: item.tradingsymbol.clone(),
            exchange: item.exchange.clone(),
            var: part(intraday),
            cash: part(!intraday),
            leverage: if intraday { 5 } else { 1 },
            charges: self.charges_row(&item.product, need.side, need.price.into(), item.quantity),
            total: total.into(),
            ..MarginRow::default()
        }
    }

    fn charges_row(&self, product: &Product, side: Side, price: Decimal, quantity: i64) -> ChargesRow {
        let charges = self.market.charges(ChargeQuery {
            date: stamp::date_of(self.now),
            delivery: matches!(product, Product::Cnc | Product::Mtf),
            side,
            price: price.price().unwrap_or(Price::ZERO),
            quantity,
            value_before: Money::ZERO,
            brokerage_before: Money::ZERO,
            leaves_account: false,
        });
        let stamp_duty = Decimal(decimal::divide_rounded(charges.stamp_duty.0, 1_000_000) * 1_000_000);
        let total = charges.total() - charges.stamp_duty + Money(stamp_duty.0);
        ChargesRow {
            transaction_tax: charges.transaction_tax.into(),
            transaction_tax_type: "stt",
            exchange_turnover_charge: charges.exchange_fee.into(),
            sebi_turnover_charge: charges.regulator_fee.into(),
            brokerage: charges.brokerage.into(),
            stamp_duty,
            gst: Gst { igst: charges.service_tax.into(), total: charges.service_tax.into(), ..Gst::default() },
            total: total.into(),
        }
    }
}

fn sum_charges<'a>(rows: impl Iterator<Item = &'a ChargesRow>) -> ChargesRow {
    let mut sum = ChargesRow { transaction_tax_type: "stt", ..ChargesRow::default() };
    for row in rows {
        for (into, from) in [
            (&mut sum.transaction_tax, row.transaction_tax),
            (&mut sum.exchange_turnover_charge, row.exchange_turnover_charge),
            (&mut sum.sebi_turnover_charge, row.sebi_turnover_charge),
            (&mut sum.brokerage, row.brokerage),
            (&mut sum.stamp_duty, row.stamp_duty),
            (&mut sum.gst.igst, row.gst.igst),
            (&mut sum.gst.total, row.gst.total),
            (&mut sum.total, row.total),
        ] {
            into.0 += from.0;
        }
    }
    sum
}
