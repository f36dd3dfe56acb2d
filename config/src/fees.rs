//! Fee schedules: what a fill costs, item by item, by the rates of its date.
//!
//! - Rates are integers in units of 1e-8 of the turnover; every item is exact and rounded once to 1e-8, half away
//!   from zero. No float, no rounding to rupees: a contract note's rounding is the report's business.
//! - A brokerage cap counts per order, not per fill: an order filled in ten parts pays what one fill would have paid.
//! - A date before a schedule's first entry is an error. Rates are never guessed backwards.
//! - Charging allocates nothing and cannot fail or overflow.

use crate::calendar_file::toml_error;
use crate::commission::Commission;
use crate::error::ConfigError;
use crate::nearest::nearest_first;
use daybook_vocabulary::decimal::{self, SCALE};
use daybook_vocabulary::{Charges, Date, Hash, Money, Price, Quantity, Side};
use serde::Deserialize;
use std::fmt::Write as _;

const BUILT_IN: [(&str, &str, &str); 2] = [
    ("zerodha-intraday", "data/fees-zerodha-intraday.toml", include_str!("../data/fees-zerodha-intraday.toml")),
    ("zerodha-delivery", "data/fees-zerodha-delivery.toml", include_str!("../data/fees-zerodha-delivery.toml")),
];

/// How schedules are written, for messages and lists.
pub const SCHEDULES: [&str; 12] = [
    "none",
    "bps:N",
    "per-share:N",
    "flat:N",
    "maker-taker:N:N",
    "tiered:N@0,N@VALUE",
    "asset-class:NAME",
    "units:N@0:N:N",
    "ib-fixed",
    "ib-tiered",
    "zerodha-intraday",
    "zerodha-delivery",
];

/// A share of the turnover in units of 1e-8: `0.00297 %` is 2,970. Between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate(i64);

/// What is charged from one date on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// Brokerage as a share of the turnover.
    pub brokerage: Rate,
    /// Most brokerage one order pays, over all its fills.
    pub brokerage_cap: Option<Money>,
    /// Brokerage per unit of quantity.
    pub brokerage_per_unit: Price,
    /// Tax on the transaction when buying (STT).
    pub transaction_tax_buy: Rate,
    /// Tax on the transaction when selling (STT).
    pub transaction_tax_sell: Rate,
    /// The exchange's fee, both sides.
    pub exchange: Rate,
    /// The regulator's fee, both sides (SEBI).
    pub regulator: Rate,
    /// Stamp duty, when buying.
    pub stamp_buy: Rate,
    /// Tax on brokerage, exchange fee and regulator's fee (GST).
    pub service_tax: Rate,
    /// The depository's fee with its tax, per instrument and day on which it is sold out of the account (DP charge).
    pub depository_sale: Money,
    /// Brokerage that asks for more than a share and a cap.
    pub commission: Option<Commission>,
}

/// One fill, and what its order and day had before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeInput {
    /// Which way.
    pub side: Side,
    /// Price of the fill.
    pub price: Price,
    /// Quantity of the fill; its sign does not matter.
    pub quantity: Quantity,
    /// Value of the order's earlier fills.
    pub order_value_before: Money,
    /// Quantity of the order's earlier fills.
    pub order_quantity_before: Quantity,
    /// Brokerage charged for the order's earlier fills.
    pub order_brokerage_before: Money,
    /// True where the order had rested at its price and somebody came to it.
    pub maker: bool,
    /// Value and quantity that the account has traded in the calendar month, this fill left out.
    pub month: (Money, Quantity),
    /// True for the first fill of the day that sells this instrument out of the account (not one that only closes
    /// what was bought the same day).
    pub first_delivery_sale_of_day: bool,
}

/// A named set of rates by date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeeSchedule {
    name: String,
    /// Sorted by date. The first of a schedule that always holds is at the beginning of time.
    entries: Vec<(Date, Rates)>,
}

const ALWAYS: Date = Date(i32::MIN);

impl FeeSchedule {
    /// `none`, `bps:N` (basis points of the turnover), `per-share:N` (an amount per unit), a [`Commission`], or a
    /// built-in schedule.
    ///
    /// ```
    /// use daybook_config::FeeSchedule;
    /// assert_eq!(FeeSchedule::parse("bps:2.5").unwrap().name(), "bps:2.5");
    /// assert!(FeeSchedule::parse("zerodha").unwrap_err().to_string().contains("zerodha-delivery"));
    /// ```
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if text == "none" {
            return Ok(Self::always("none".to_owned(), Rates::default()));
        }
        if let Some(number) = text.strip_prefix("bps:") {
            return Self::basis_points(text, number);
        }
        if let Some(number) = text.strip_prefix("per-share:") {
            return Self::per_share(text, number);
        }
        if let Some(commission) = Commission::parse(text) {
            let fault = |reason| ConfigError::ScheduleNumber { name: text.to_owned(), reason };
            let rates = Rates { commission: Some(commission.map_err(fault)?), ..Rates::default() };
            return Ok(Self::always(text.to_owned(), rates));
        }
        match BUILT_IN.iter().find(|(name, ..)| *name == text) {
            Some((_, place, data)) => Self::read(data, place),
            None => Err(ConfigError::UnknownSchedule {
                name: text.to_owned(),
                known: nearest_first(text, SCHEDULES).join(", "),
            }),
        }
    }

    /// The rates of a date.
    pub fn rates(&self, date: Date) -> Result<&Rates, ConfigError> {
        match self.entries.partition_point(|(from, _)| *from <= date) {
            0 => Err(ConfigError::BeforeFirstEntry {
                table: format!("fee schedule '{}'", self.name),
                kind: "schedule",
                date,
                first: self.entries[0].0,
            }),
            after => Ok(&self.entries[after - 1].1),
        }
    }

    /// First date it has rates for; `None` for one that holds for every date.
    pub fn first_date(&self) -> Option<Date> {
        Some(self.entries[0].0).filter(|&first| first != ALWAYS)
    }

    /// Its canonical name, which [`FeeSchedule::parse`] reads back.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// blake3 of the name and every rate.
    pub fn hash(&self) -> Hash {
        let mut text = format!("fees {}\n", self.name);
        for (from, rates) in &self.entries {
            let _ = writeln!(text, "{} {}", from.0, rates.canonical());
        }
        Hash(*blake3::hash(text.as_bytes()).as_bytes())
    }

    fn always(name: String, rates: Rates) -> Self {
        Self { name, entries: vec![(ALWAYS, rates)] }
    }

    fn basis_points(text: &str, number: &str) -> Result<Self, ConfigError> {
        let fault = |reason: &str| ConfigError::ScheduleNumber { name: text.to_owned(), reason: reason.to_owned() };
        let units = decimal::parse_i64(number)
            .map_err(|error| fault(&format!("'{number}' is {error}: write basis points, such as bps:2.5")))?;
        // One basis point is 1e-4, so four decimals of it are all that a rate at 1e-8 holds.
        if !(0..=10_000 * SCALE).contains(&units) || units % 10_000 != 0 {
            return Err(fault("basis points go from 0 to 10000 with at most 4 decimals"));
        }
        let rates = Rates { brokerage: Rate(units / 10_000), ..Rates::default() };
        Ok(Self::always(format!("bps:{}", Price(units)), rates))
    }

    fn per_share(text: &str, number: &str) -> Result<Self, ConfigError> {
        let fault = |reason: String| ConfigError::ScheduleNumber { name: text.to_owned(), reason };
        let amount: Price = number.parse().map_err(|error| {
            fault(format!("'{number}' is {error}: write an amount per share, such as per-share:0.005"))
        })?;
        if amount < Price::ZERO {
            return Err(fault("the amount per share is negative: write 0 or more".to_owned()));
        }
        let rates = Rates { brokerage_per_unit: amount, ..Rates::default() };
        Ok(Self::always(format!("per-share:{amount}"), rates))
    }

    fn read(text: &str, place: &str) -> Result<Self, ConfigError> {
        let raw: RawSchedule = toml::from_str(text).map_err(|error| toml_error(text, place, &error))?;
        let fault = |reason: String| ConfigError::Format { place: place.to_owned(), reason };
        let mut entries: Vec<(Date, Rates)> = Vec::with_capacity(raw.rates.len());
        for entry in &raw.rates {
            if entries.last().is_some_and(|(before, _)| entry.from <= *before) {
                return Err(fault(format!("the entry from {} does not come after the one before it", entry.from)));
            }
            entries.push((
                entry.from,
                entry.rates().map_err(|reason| fault(format!("entry from {}: {reason}", entry.from)))?,
            ));
        }
        if entries.is_empty() {
            return Err(fault("a schedule needs at least one [[rates]] entry".to_owned()));
        }
        Ok(Self { name: raw.name, entries })
    }
}

impl Rates {
    /// What the fill costs.
    pub fn charge(&self, fill: FeeInput) -> Charges {
        let value = Money(fill.price.times(fill.quantity).0.abs());
        let brokerage = self.brokerage_of(&fill, value);
        let exchange_fee = self.exchange.of(value);
        let regulator_fee = self.regulator.of(value);
        let (transaction_tax, stamp_duty) = match fill.side {
            Side::Buy => (self.transaction_tax_buy.of(value), self.stamp_buy.of(value)),
            Side::Sell => (self.transaction_tax_sell.of(value), Money::ZERO),
        };
        let depository_fee = match fill.side {
            Side::Sell if fill.first_delivery_sale_of_day => self.depository_sale,
            _ => Money::ZERO,
        };
        Charges {
            brokerage,
            transaction_tax,
            exchange_fee,
            regulator_fee,
            stamp_duty,
            service_tax: self.service_tax.of(brokerage + exchange_fee + regulator_fee),
            depository_fee,
        }
    }

    /// With a cap, the brokerage of the order so far less what was charged before: the sum over any split of an order
    /// is then exactly what one fill would have paid.
    fn brokerage_of(&self, fill: &FeeInput, value: Money) -> Money {
        if let Some(commission) = &self.commission {
            return commission.of(fill, value);
        }
        let per_unit = Money(self.brokerage_per_unit.times(fill.quantity).0.abs());
        let Some(cap) = self.brokerage_cap else { return self.brokerage.of(value) + per_unit };
        let order_value = Money(fill.order_value_before.0.saturating_add(value.0));
        let order_brokerage = self.brokerage.of(order_value).min(cap);
        let charged_before = fill.order_brokerage_before.max(Money::ZERO);
        (order_brokerage - charged_before).max(Money::ZERO) + per_unit
    }

    fn canonical(&self) -> String {
        let cap = self.brokerage_cap.map_or_else(|| "none".to_owned(), |cap| cap.to_string());
        format!(
            "{} {cap} {} {} {} {} {} {} {} {}",
            self.brokerage.0,
            self.brokerage_per_unit,
            self.transaction_tax_buy.0,
            self.transaction_tax_sell.0,
            self.exchange.0,
            self.regulator.0,
            self.stamp_buy.0,
            self.service_tax.0,
            self.depository_sale
        ) + &self.commission.map_or_else(String::new, |commission| format!(" {commission:?}"))
    }
}

impl Rate {
    /// The raw integer in units of 1e-8.
    pub const fn raw(self) -> i64 {
        self.0
    }

    /// This share of an amount, rounded once to 1e-8, half away from zero.
    pub fn of(self, amount: Money) -> Money {
        // A product in 64 bits is the common case by far and needs no division in 128 bits.
        if let Some(product) = i64::try_from(amount.0).ok().and_then(|units| units.checked_mul(self.0)) {
            let (quotient, remainder) = (product / SCALE, product % SCALE);
            let away = if remainder.abs() >= SCALE / 2 { product.signum() } else { 0 };
            return Money((quotient + away).into());
        }
        // The rate is at most 1, so whole × rate is no larger than the amount itself, and the rest fits with ease.
        let (whole, rest) = (amount.0 / i128::from(SCALE), amount.0 % i128::from(SCALE));
        Money(whole * i128::from(self.0) + decimal::divide_rounded(rest * i128::from(self.0), SCALE.into()))
    }

    /// So many basis points, 0 to 10,000.
    pub(crate) fn basis_points(units: i64) -> Option<Self> {
        ((0..=10_000 * SCALE).contains(&units) && units % 10_000 == 0).then_some(Self(units / 10_000))
    }

    fn percent(text: &str) -> Result<Self, String> {
        let wanted = || format!("'{text}' is not a percentage from 0 to 100 with at most 6 decimals");
        let units = decimal::parse_i64(text).map_err(|_| wanted())?;
        if (0..=100 * SCALE).contains(&units) && units % 100 == 0 { Ok(Self(units / 100)) } else { Err(wanted()) }
    }
}

const _: () = assert!(
    SCALE.unsigned_abs().is_multiple_of(2),
    "half of the scale is exact, or halves would not round away from zero"
);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSchedule {
    name: String,
    #[serde(default)]
    rates: Vec<RawRates>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRates {
    from: Date,
    brokerage_percent: Option<String>,
    brokerage_cap: Option<Money>,
    transaction_tax_buy_percent: Option<String>,
    transaction_tax_sell_percent: Option<String>,
    exchange_percent: Option<String>,
    regulator_percent: Option<String>,
    stamp_buy_percent: Option<String>,
    service_tax_percent: Option<String>,
    depository_sale: Option<Money>,
}

impl RawRates {
    fn rates(&self) -> Result<Rates, String> {
        let rate = |text: &Option<String>| text.as_deref().map_or(Ok(Rate(0)), Rate::percent);
        if [self.brokerage_cap, self.depository_sale].into_iter().flatten().any(|amount| amount < Money::ZERO) {
            return Err("an amount is negative".to_owned());
        }
        Ok(Rates {
            brokerage: rate(&self.brokerage_percent)?,
            brokerage_cap: self.brokerage_cap,
            brokerage_per_unit: Price::ZERO,
            transaction_tax_buy: rate(&self.transaction_tax_buy_percent)?,
            transaction_tax_sell: rate(&self.transaction_tax_sell_percent)?,
            exchange: rate(&self.exchange_percent)?,
            regulator: rate(&self.regulator_percent)?,
            stamp_buy: rate(&self.stamp_buy_percent)?,
            service_tax: rate(&self.service_tax_percent)?,
            depository_sale: self.depository_sale.unwrap_or_default(),
            commission: None,
        })
    }
}
