//! Orders between the core and the wires: what the core concluded as commands, what the broker said as inputs.
//!
//! - A command is made of an output whose frame is in the journal, and leaves only inside a `Durable` (P1).
//! - An order's tag follows from the session's journal and the order's number, so that a later process finds it again.
//! - Rows of other people's orders are passed on without a number of ours; rows of other instruments and products are not
//!   this session's business.
//! - An order of somebody else's is cancelled only where the core has named it as a difference with that remedy.
//! - Must never: decide. What a row means is the core's.

use daybook_adapters::kite::orders::{NewOrder, OrderRow, Outcome, PositionRow, TradeRow, tag_of};
use daybook_adapters::kite::values::{Pricing, Product, Status, Transaction, Validity, Variety};
use daybook_adapters::kite::{Change, OrderCommand};
use daybook_core::{Conclusion, Core, Order, Output};
use daybook_vocabulary::time::MINUTE;
use daybook_vocabulary::{
    Answered, BrokerAnswer, BrokerFill, BrokerOrder, BrokerPosition, BrokerRequest, BrokerStatus, Instrument,
    InstrumentId, Label, Nanos, OpenAtBroker, OrderEvent, OrderId, OrderIntent, OrderType, Price, Quantity, Ratio,
    Remedy, Side, TimeInForce, Verdict,
};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The exchange that is traded.
const EXCHANGE: &str = "NSE";
/// What kind of positions a session makes: the broker squares them off at the end of the day.
const PRODUCT: Product = Product::Mis;

/// What a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// The order.
    pub order: OrderId,
    /// Its instrument.
    pub instrument: InstrumentId,
    /// What is asked.
    pub request: BrokerRequest,
}

/// The names of a session's orders and instruments at the broker.
pub struct Names {
    run: [u8; 16],
    instruments: Vec<Instrument>,
    /// Tags that were given, and the highest number among them.
    tags: Mutex<(BTreeMap<String, OrderId>, u64)>,
    /// How far market orders may slip, in hundredths of a percent; none: as the broker chooses.
    protection: Option<u32>,
    /// What kind of orders others have working, by the broker's number: a cancel has to say it.
    varieties: Mutex<BTreeMap<String, Variety>>,
}

impl Names {
    /// For the session whose journal has this id; `orders` it has decided already.
    pub fn new(run: [u8; 16], instruments: Vec<Instrument>, orders: u64, protection: Option<Ratio>) -> Self {
        let protection = protection.map(|percent| u32::try_from(percent.0 / 1_000_000).unwrap_or(u32::MAX).max(1));
        let (tags, varieties) = (Mutex::new((BTreeMap::new(), 0)), Mutex::new(BTreeMap::new()));
        let names = Self { run, instruments, tags, protection, varieties };
        names.extend_to(orders);
        names
    }

    /// The tag of an order: the same for every process of the session.
    pub fn tag(&self, order: OrderId) -> String {
        tag_of(self.run, order.0)
    }

    /// The order that a tag names, where it is one of ours.
    fn order_of(&self, row: &OrderRow) -> Option<OrderId> {
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        row.tag.iter().chain(row.tags.iter().flatten()).find_map(|tag| tags.0.get(tag).copied())
    }

    fn extend_to(&self, orders: u64) {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        for order in tags.1 + 1..=orders {
            tags.0.insert(self.tag(OrderId(order)), OrderId(order));
        }
        tags.1 = tags.1.max(orders);
    }

    fn instrument_of(&self, exchange: &str, symbol: &str) -> Option<InstrumentId> {
        let place = self.instruments.iter().position(|one| exchange == EXCHANGE && one.symbol == symbol)?;
        Some(InstrumentId(place as u32))
    }

    /// The command that an output of the core is, if it is one.
    pub fn command(&self, core: &Core, output: &Output) -> Option<(About, OrderCommand)> {
        let instrument = output.stream;
        let about = |order, request| About { order, instrument, request };
        let find = |which: OrderId| core.working_orders().find(|(_, order)| order.id == which).map(|(_, order)| order);
        match &output.body {
            Conclusion::Intent(intent) if intent.verdict == Verdict::Approved => {
                self.extend_to(intent.order.0);
                let is_exit = find(intent.order).is_some_and(|order| order.reduces);
                let order = self.new_order(instrument, intent, is_exit, core.now())?;
                Some((about(intent.order, BrokerRequest::Place), OrderCommand::Place(order)))
            }
            Conclusion::Modified(terms) if terms.event == OrderEvent::ModifyRequested => {
                let order = find(terms.order)?;
                // A stop without a stop price is to leave at the market, now.
                let leaves = order.order_type == OrderType::Stop && terms.stop.is_none();
                let change = Change {
                    order_id: core.broker_number(terms.order)?.to_owned(),
                    variety: Variety::Regular,
                    pricing: if leaves { Pricing::Market } else { pricing(order.order_type)? },
                    protection: self.protection,
                    quantity: Some(terms.quantity),
                    price: terms.limit.filter(|_| has_limit(order)),
                    trigger: terms.stop,
                    is_exit: order.reduces,
                };
                Some((about(terms.order, BrokerRequest::Modify), OrderCommand::Modify(change)))
            }
            Conclusion::Update(update) if update.event == OrderEvent::CancelRequested => {
                let order_id = core.broker_number(update.order)?.to_owned();
                let command = OrderCommand::Cancel { variety: Variety::Regular, order_id };
                Some((about(update.order, BrokerRequest::Cancel), command))
            }
            Conclusion::Difference(difference) if difference.remedy == Remedy::Cancel => {
                let order_id = difference.broker_order.clone();
                let varieties = self.varieties.lock().unwrap_or_else(PoisonError::into_inner);
                let variety = varieties.get(&order_id).cloned().unwrap_or(Variety::Regular);
                let command = OrderCommand::Cancel { variety, order_id };
                Some((about(difference.order, BrokerRequest::Cancel), command))
            }
            _ => None,
        }
    }

    fn new_order(&self, instrument: InstrumentId, intent: &OrderIntent, is_exit: bool, now: Nanos) -> Option<NewOrder> {
        let (validity, minutes) = match (intent.time_in_force, intent.expires) {
            (TimeInForce::Ioc, _) => (Validity::Ioc, None),
            // So many whole minutes after the decision; what has passed since is less than half of one.
            (TimeInForce::Gtd, Some(expires)) => {
                let minutes = (expires - now + MINUTE / 2) / MINUTE;
                (Validity::Ttl, Some(u32::try_from(minutes.max(1)).unwrap_or(u32::MAX)))
            }
            _ => (Validity::Day, None),
        };
        Some(NewOrder {
            variety: Variety::Regular,
            exchange: EXCHANGE.to_owned(),
            symbol: self.instruments.get(instrument.index())?.symbol.clone(),
            side: if intent.side == Side::Buy { Transaction::Buy } else { Transaction::Sell },
            pricing: pricing(intent.order_type)?,
            product: PRODUCT,
            validity,
            minutes,
            quantity: intent.quantity,
            price: intent.limit,
            trigger: intent.stop,
            protection: self.protection,
            tag: self.tag(intent.order),
            is_exit,
        })
    }

    /// True where nothing of the day is anybody else's: no order that filled or works, no position of another symbol or
    /// product.
    pub fn is_alone(&self, orders: &[OrderRow], positions: &[PositionRow]) -> bool {
        let idle = |row: &OrderRow| row.filled().is_zero() && row.status.is_terminal();
        let known = |row: &PositionRow| {
            row.product == PRODUCT && self.instrument_of(&row.exchange, &row.tradingsymbol).is_some()
        };
        orders.iter().all(|row| self.order_of(row).is_some() || idle(row)) && positions.iter().all(known)
    }

    /// A row of the book, as the core is told it; nothing for another instrument's.
    pub fn row(&self, row: &OrderRow) -> Option<(InstrumentId, BrokerOrder)> {
        let instrument = self.instrument_of(&row.exchange, &row.tradingsymbol)?;
        let positive = |price: Price| Some(price).filter(|price| price.0 > 0);
        let order = BrokerOrder {
            order: self.order_of(row).unwrap_or_default(),
            broker_order: row.order_id.clone(),
            tag: row.tag.clone().unwrap_or_default(),
            status: status(&row.status),
            word: Label::new(row.status.text()),
            side: side(&row.transaction_type)?,
            quantity: row.quantity(),
            filled: row.filled(),
            pending: row.pending(),
            cancelled: Quantity::ZERO,
            average: row.average(),
            limit: positive(row.price()),
            stop: positive(row.trigger()),
            registered: row.order_timestamp.0,
            updated: row.exchange_update_timestamp.0,
            message: row.status_message.clone().unwrap_or_default(),
        };
        Some((instrument, order))
    }

    /// A row as an order that works, where it does.
    pub fn open(&self, row: &OrderRow) -> Option<OpenAtBroker> {
        let (instrument, told) = self.row(row)?;
        let ours = told.order.0 > 0 || row.product == PRODUCT;
        if told.order.0 == 0 && !row.status.is_terminal() && row.variety.is_known() {
            let mut varieties = self.varieties.lock().unwrap_or_else(PoisonError::into_inner);
            varieties.insert(row.order_id.clone(), row.variety.clone());
        }
        let BrokerOrder { order, broker_order, side, quantity, filled, limit, stop, .. } = told;
        (ours && !row.status.is_terminal()).then_some(OpenAtBroker {
            order,
            broker_order,
            instrument,
            side,
            quantity,
            filled,
            limit,
            stop,
        })
    }

    /// A trade, as the core is told it.
    pub fn trade(&self, row: &TradeRow, now: Nanos) -> Option<(InstrumentId, BrokerFill)> {
        let instrument = self.instrument_of(&row.exchange, &row.tradingsymbol)?;
        let fill = BrokerFill {
            trade: row.trade_id.clone(),
            broker_order: row.order_id.clone(),
            side: side(&row.transaction_type)?,
            quantity: row.quantity(),
            price: row.price(),
            exchange_time: row.fill_timestamp.0.unwrap_or(now),
        };
        Some((instrument, fill))
    }

    /// What is held of an instrument of the session in its product; nothing where it is flat.
    pub fn position(&self, row: &PositionRow) -> Option<BrokerPosition> {
        let instrument = self.instrument_of(&row.exchange, &row.tradingsymbol)?;
        let (product, quantity, average) = (Label::new(row.product.text()), row.quantity(), row.average());
        (row.product == PRODUCT && !quantity.is_zero()).then_some(BrokerPosition {
            instrument,
            product,
            quantity,
            average,
        })
    }
}

/// What a call's outcome tells the core.
pub fn answer_of(about: About, outcome: Outcome) -> BrokerAnswer {
    let About { order, request, .. } = about;
    let (answer, broker_order, kind, message) = match outcome {
        Outcome::Registered(number) => (Answered::Accepted, number, Label::NONE, String::new()),
        Outcome::Refused(refused) => {
            (Answered::Refused, String::new(), Label::new(refused.kind.text()), refused.message)
        }
        Outcome::NotSent(why) => (Answered::NotSent, String::new(), Label::new("not-sent"), why),
        Outcome::Unknown(why) => (Answered::Unknown, String::new(), Label::new("unknown"), why),
        Outcome::SessionOver(why) => (Answered::NotSent, String::new(), Label::new("session-over"), why),
    };
    BrokerAnswer { order, request, answer, broker_order, kind, message }
}

const fn has_limit(order: &Order) -> bool {
    matches!(order.order_type, OrderType::Limit | OrderType::StopLimit)
}

/// How the broker prices what the core orders; nothing for what it does not have.
const fn pricing(order_type: OrderType) -> Option<Pricing> {
    match order_type {
        OrderType::Market => Some(Pricing::Market),
        OrderType::Limit => Some(Pricing::Limit),
        OrderType::Stop => Some(Pricing::StopMarket),
        OrderType::StopLimit => Some(Pricing::StopLimit),
        OrderType::TrailingStop | OrderType::MarketOnOpen | OrderType::MarketOnClose => None,
    }
}

const fn side(transaction: &Transaction) -> Option<Side> {
    match transaction {
        Transaction::Buy => Some(Side::Buy),
        Transaction::Sell => Some(Side::Sell),
        Transaction::Other(_) => None,
    }
}

const fn status(status: &Status) -> BrokerStatus {
    match status {
        Status::Received | Status::AmoReceived | Status::ValidationPending | Status::OpenPending => {
            BrokerStatus::OnItsWay
        }
        Status::TriggerPending | Status::Open | Status::Update | Status::Modified => BrokerStatus::Working,
        Status::ModifyValidationPending | Status::ModifyPending | Status::CancelPending => BrokerStatus::Changing,
        Status::NotModified => BrokerStatus::NotModified,
        Status::NotCancelled => BrokerStatus::NotCancelled,
        Status::Complete => BrokerStatus::Filled,
        Status::Cancelled | Status::AmoCancelled => BrokerStatus::Cancelled,
        Status::Rejected => BrokerStatus::Rejected,
        Status::Other(_) => BrokerStatus::Unclear,
    }
}
