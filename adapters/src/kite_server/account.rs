//! The account: cash, positions, holdings, what is blocked for them.
//!
//! - A position is one instrument and product; what is bought and sold today is kept apart from what was carried.
//! - `pnl = (sell value - buy value) + quantity × last price`, to the last 1e-8.
//! - Intraday blocks a fifth of the larger side, delivery all of it, funded delivery half; what only closes blocks nothing.
//! - Delivery becomes holdings overnight: bought today it is T1 tomorrow and whole the day after.

use super::board::{Board, average, value_of};
use super::market::Listed;
use crate::kite_wire::number::Decimal;
use crate::kite_wire::portfolio::{HoldingRow, MarginAvailable, MarginSegment, MarginUtilised, PositionRow, Positions};
use crate::kite_wire::words::Product;
use daybook_vocabulary::{Money, Price, Side};
use std::collections::BTreeMap;

/// A position's key.
pub type Key = (usize, Product);

/// A position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Carried into the day; short is negative.
    pub overnight: i64,
    /// Its value when it was made.
    pub overnight_value: i128,
    /// Bought today.
    pub bought: i64,
    /// For so much.
    pub bought_value: i128,
    /// Sold today.
    pub sold: i64,
    /// For so much.
    pub sold_value: i128,
}

impl Position {
    /// What is held.
    pub const fn quantity(&self) -> i64 {
        self.overnight + self.bought - self.sold
    }

    /// Average price of the side that is open.
    pub fn average(&self) -> Price {
        let (buy, buy_value) = self.buys();
        let (sell, sell_value) = self.sells();
        match self.quantity() {
            0 => Price::ZERO,
            quantity if quantity > 0 => average(buy_value, buy),
            _ => average(sell_value, sell),
        }
    }

    fn buys(&self) -> (i64, i128) {
        let carried = self.overnight > 0;
        let (quantity, value) = if carried { (self.overnight, self.overnight_value) } else { (0, 0) };
        (self.bought + quantity, self.bought_value + value)
    }

    fn sells(&self) -> (i64, i128) {
        let carried = self.overnight < 0;
        let (quantity, value) = if carried { (-self.overnight, -self.overnight_value) } else { (0, 0) };
        (self.sold + quantity, self.sold_value + value)
    }
}

/// Shares in the account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Settled.
    pub quantity: i64,
    /// Bought on the last trading day.
    pub t1: i64,
    /// Sold today.
    pub used: i64,
    /// What was paid for all of it.
    pub value: i128,
}

/// What an order would block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Of which position.
    pub key: Key,
    /// Which way.
    pub side: Side,
    /// How much is not filled.
    pub quantity: i64,
    /// At which price.
    pub price: Price,
}

/// The account.
#[derive(Clone, Debug)]
pub struct Account {
    cash: Money,
    charges: Money,
    positions: BTreeMap<Key, Position>,
    holdings: BTreeMap<usize, Holding>,
}

impl Account {
    /// With nothing but cash.
    pub const fn new(cash: Money) -> Self {
        Self { cash, charges: Money::ZERO, positions: BTreeMap::new(), holdings: BTreeMap::new() }
    }

    /// Charges of a fill.
    pub fn charge(&mut self, charges: Money) {
        self.charges += charges;
    }

    /// A fill; true where it is the day's first sale out of the holdings.
    pub fn fill(&mut self, key: &Key, side: Side, quantity: i64, price: Price) -> bool {
        let position = self.positions.entry(key.clone()).or_default();
        let value = value_of(price, quantity);
        match side {
            Side::Buy => {
                (position.bought, position.bought_value) = (position.bought + quantity, position.bought_value + value)
            }
            Side::Sell => {
                (position.sold, position.sold_value) = (position.sold + quantity, position.sold_value + value)
            }
        }
        let short = -position.quantity();
        match self.holdings.get_mut(&key.0) {
            Some(holding) if key.1 == Product::Cnc => {
                let before = holding.used;
                holding.used = short.clamp(0, holding.quantity + holding.t1);
                before == 0 && holding.used > 0
            }
            _ => false,
        }
    }

    /// What is held of an instrument as a product.
    pub fn quantity(&self, key: &Key) -> i64 {
        self.positions.get(key).map_or(0, Position::quantity)
    }

    /// A position, where there is one.
    pub fn position(&self, key: &Key) -> Option<&Position> {
        self.positions.get(key)
    }

    /// Every position.
    pub fn positions(&self) -> impl Iterator<Item = (&Key, &Position)> {
        self.positions.iter()
    }

    /// Shares that may be sold as delivery, before what open orders want to sell.
    pub fn sellable(&self, listed: usize) -> i64 {
        let held = self.holdings.get(&listed).map_or(0, |holding| holding.quantity + holding.t1);
        held + self.quantity(&(listed, Product::Cnc))
    }

    /// Moves a quantity from one product to another at its average price.
    pub fn convert(&mut self, from: &Key, to: &Key, side: Side, quantity: i64) {
        let price = self.positions.get(from).map_or(Price::ZERO, Position::average);
        self.fill(from, side.opposite(), quantity, price);
        self.fill(to, side, quantity, price);
    }

    /// Money blocked for positions and for what open orders would make of them.
    pub fn blocked(&self, needs: &[Need], board: &Board) -> Money {
        let mut sides: BTreeMap<&Key, [(i64, i128); 2]> = self.positions.keys().map(|key| (key, [(0, 0); 2])).collect();
        for need in needs {
            let side = &mut sides.entry(&need.key).or_default()[usize::from(need.side == Side::Sell)];
            side.0 += need.quantity;
            side.1 += value_of(need.price, need.quantity);
        }
        let total = sides.into_iter().map(|(key, [buys, sells])| {
            let position = self.positions.get(key).cloned().unwrap_or_default();
            let last = board.quote(key.0).snapshot.last;
            blocked_by(&key.1, &position, buys, sells, last)
        });
        Money(total.sum())
    }

    /// Money to trade with: cash, and what today's closed trades brought, less what is blocked.
    pub fn net(&self, needs: &[Need], board: &Board) -> Money {
        self.cash + self.realised() - self.blocked(needs, board)
    }

    /// Profit of what was closed today, intraday and carried.
    fn realised(&self) -> Money {
        Money(
            self.positions
                .iter()
                .map(|((_, product), position)| match product {
                    // Delivery settles; what it brought cannot be used today.
                    Product::Cnc | Product::Mtf => 0,
                    _ => realised(position),
                })
                .sum(),
        )
    }

    /// The row of margins.
    pub fn segment(&self, needs: &[Need], board: &Board) -> MarginSegment {
        let (blocked, realised) = (self.blocked(needs, board), self.realised());
        let delivery = self.positions.iter().filter(|((_, product), _)| *product == Product::Cnc);
        let delivery: i128 =
            delivery.map(|(_, position)| value_of(position.average(), position.quantity().max(0))).sum();
        let unrealised: i128 = self
            .positions
            .iter()
            .map(|(key, position)| {
                let last = board.quote(key.0).snapshot.last;
                value_of(last, position.quantity()) - value_of(position.average(), position.quantity())
            })
            .sum();
        let net = self.cash + realised - blocked;
        MarginSegment {
            enabled: true,
            net: net.into(),
            available: MarginAvailable {
                cash: self.cash.into(),
                opening_balance: self.cash.into(),
                live_balance: net.into(),
                ..MarginAvailable::default()
            },
            utilised: MarginUtilised {
                debits: (blocked - realised).into(),
                exposure: Decimal(blocked.0 - delivery.min(blocked.0)),
                delivery: Decimal(delivery.min(blocked.0)),
                m2m_realised: (-realised).into(),
                m2m_unrealised: Decimal(-unrealised),
                ..MarginUtilised::default()
            },
        }
    }

    /// `GET /portfolio/positions`.
    pub fn rows(&self, listed: &[Listed], board: &Board) -> Positions {
        let mut rows = Positions::default();
        for ((place, product), position) in &self.positions {
            let (of, quote) = (&listed[*place], board.quote(*place));
            let (last, close) = (quote.snapshot.last, quote.snapshot.close);
            rows.net.push(row_of(of, product, position, last, close));
            if position.bought + position.sold > 0 {
                let day = Position { overnight: 0, overnight_value: 0, ..position.clone() };
                rows.day.push(row_of(of, product, &day, last, close));
            }
        }
        rows
    }

    /// `GET /portfolio/holdings`.
    pub fn holding_rows(&self, listed: &[Listed], board: &Board) -> Vec<HoldingRow> {
        self.holdings
            .iter()
            .map(|(place, holding)| holding_row(&listed[*place], holding, board.quote(*place)))
            .collect()
    }

    /// The night: delivery becomes holdings, cash settles, charges are paid.
    pub fn end_day(&mut self) {
        let mut cash = self.cash - self.charges;
        for holding in self.holdings.values_mut() {
            holding.quantity += holding.t1;
            holding.t1 = 0;
            holding.used = 0;
        }
        for ((listed, product), position) in std::mem::take(&mut self.positions) {
            cash += Money(position.sold_value - position.bought_value);
            let quantity = position.quantity();
            if matches!(product, Product::Cnc | Product::Mtf) {
                let holding = self.holdings.entry(listed).or_default();
                let held = holding.quantity + holding.t1;
                if quantity >= 0 {
                    holding.t1 += quantity;
                    holding.value += value_of(position.average(), quantity);
                } else {
                    let left = (held + quantity).max(0);
                    holding.value = value_of(average(holding.value, held), left);
                    holding.quantity = left;
                }
            } else if quantity != 0 {
                let overnight_value = value_of(position.average(), quantity);
                let carried = Position { overnight: quantity, overnight_value, ..Position::default() };
                self.positions.insert((listed, product), carried);
            }
        }
        self.holdings.retain(|_, holding| holding.quantity + holding.t1 > 0);
        (self.cash, self.charges) = (cash, Money::ZERO);
    }
}

/// Profit of the smaller of both sides.
fn realised(position: &Position) -> i128 {
    let ((buy, buy_value), (sell, sell_value)) = (position.buys(), position.sells());
    let closed = buy.min(sell);
    value_of(average(sell_value, sell), closed) - value_of(average(buy_value, buy), closed)
}

fn blocked_by(product: &Product, position: &Position, buys: (i64, i128), sells: (i64, i128), last: Price) -> i128 {
    let held = position.quantity();
    let price = |(quantity, value): (i64, i128)| if quantity == 0 { last } else { average(value, quantity) };
    match product {
        // Shares bought today are paid whole; what is sold of them or of holdings blocks nothing.
        Product::Cnc => value_of(position.average(), held.max(0)) + buys.1,
        Product::Mtf => (value_of(position.average(), held.max(0)) + buys.1) / 2,
        _ => {
            let open = value_of(position.average(), held.abs());
            // Each side's orders first close what is held the other way.
            let longer = (buys.0 - (-held).max(0)).max(0);
            let shorter = (sells.0 - held.max(0)).max(0);
            let (long, short) = (value_of(price(buys), longer), value_of(price(sells), shorter));
            (open + long.max(short)) / 5
        }
    }
}

fn row_of(listed: &Listed, product: &Product, position: &Position, last: Price, close: Price) -> PositionRow {
    let (quantity, average_price) = (position.quantity(), position.average());
    let ((buy, buy_value), (sell, sell_value)) = (position.buys(), position.sells());
    let pnl = sell_value - buy_value + value_of(last, quantity);
    let unrealised = value_of(last, quantity) - value_of(average_price, quantity);
    // What was carried counts from the close before.
    let carried = value_of(close, position.overnight) - position.overnight_value;
    PositionRow {
        tradingsymbol: listed.symbol.clone(),
        exchange: "NSE".to_owned(),
        instrument_token: listed.token,
        product: product.clone(),
        quantity,
        overnight_quantity: position.overnight,
        multiplier: 1,
        average_price: average_price.into(),
        close_price: if position.overnight == 0 { Decimal::ZERO } else { close.into() },
        last_price: last.into(),
        value: Decimal(sell_value - buy_value),
        pnl: Decimal(pnl),
        m2m: Decimal(pnl - carried),
        unrealised: Decimal(unrealised),
        realised: Decimal(pnl - unrealised),
        buy_quantity: buy,
        buy_price: average(buy_value, buy).into(),
        buy_value: Decimal(buy_value),
        buy_m2m: Decimal(buy_value + if position.overnight > 0 { carried } else { 0 }),
        sell_quantity: sell,
        sell_price: average(sell_value, sell).into(),
        sell_value: Decimal(sell_value),
        sell_m2m: Decimal(sell_value - if position.overnight < 0 { carried } else { 0 }),
        day_buy_quantity: position.bought,
        day_buy_price: average(position.bought_value, position.bought).into(),
        day_buy_value: Decimal(position.bought_value),
        day_sell_quantity: position.sold,
        day_sell_price: average(position.sold_value, position.sold).into(),
        day_sell_value: Decimal(position.sold_value),
    }
}

fn holding_row(listed: &Listed, holding: &Holding, quote: &super::board::Quote) -> HoldingRow {
    let held = holding.quantity + holding.t1;
    let (last, close) = (quote.snapshot.last, quote.snapshot.close);
    let change = last - close;
    let percent = average(i128::from(change.0) * 10_000_000_000, close.0);
    HoldingRow {
        tradingsymbol: listed.symbol.clone(),
        exchange: "NSE".to_owned(),
        instrument_token: listed.token,
        isin: format!("INE{:06}A01", listed.exchange_token % 1_000_000),
        product: "CNC".to_owned(),
        quantity: holding.quantity,
        used_quantity: holding.used,
        t1_quantity: holding.t1,
        realised_quantity: holding.quantity,
        opening_quantity: held,
        average_price: average(holding.value, held).into(),
        last_price: last.into(),
        close_price: close.into(),
        pnl: Decimal(value_of(last, held) - holding.value),
        day_change: change.into(),
        day_change_percentage: percent.into(),
        ..HoldingRow::default()
    }
}
