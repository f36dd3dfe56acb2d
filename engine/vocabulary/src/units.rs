//! Units: prices, quantities, money, basis points, causes and hashes.
//!
//! - One newtype per unit, so that a price cannot be added to a quantity.
//! - `Price::times` is exact in 128 bits and rounds once, half away from zero.
//! - Serialised for people as decimal strings, for machines as integers.

use crate::decimal::{self, DecimalError, SCALE};
use rkyv::rancor::{Fallible, Source};
use rkyv::with::{ArchiveWith, DeserializeWith, SerializeWith};
use rkyv::{Archive, Deserialize, Place, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

macro_rules! decimal_unit {
    ($(#[$doc:meta])* $name:ident, $raw:ty, $parse:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Archive, Serialize, Deserialize)]
        pub struct $name(pub $raw);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// The raw integer in units of 1e-8.
            pub const fn raw(self) -> $raw {
                self.0
            }

            /// True for zero.
            #[inline]
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }

            /// The nearest float, for statistics and pictures only.
            pub fn to_f64(self) -> f64 {
                decimal::to_f64(self.0.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                decimal::write(self.0.into(), out)
            }
        }

        impl FromStr for $name {
            type Err = DecimalError;
            fn from_str(text: &str) -> Result<Self, DecimalError> {
                $parse(text).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serde::Serialize::serialize(&self.0, serializer)
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    <$raw as serde::Deserialize>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

decimal_unit!(
    /// A price of one unit of an instrument, in units of 1e-8 of the quote currency.
    Price,
    i64,
    decimal::parse_i64
);
decimal_unit!(
    /// A quantity (shares, contracts, coins), in units of 1e-8. Signed where it is a position: long is positive.
    Quantity,
    i64,
    decimal::parse_i64
);
decimal_unit!(
    /// Basis points (1e-4 of a whole), in units of 1e-8 of a basis point.
    BasisPoints,
    i64,
    decimal::parse_i64
);

decimal_unit!(
    /// A pure number in units of 1e-8: an R multiple, a confidence, a percentage, a leverage.
    Ratio,
    i64,
    decimal::parse_i64
);

/// A number of a limit, in units of 1e-8 of whatever the limit counts: money, a price, a quantity, basis points,
/// percent, seconds or a plain count. What was allowed and what was met stand side by side in the same unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Archive, Serialize, Deserialize)]
pub struct Measure(#[rkyv(with = TwoWords)] pub i128);

impl Measure {
    /// A plain count.
    pub const fn count(number: u64) -> Self {
        Self(number as i128 * SCALE as i128)
    }
}

impl From<Money> for Measure {
    fn from(amount: Money) -> Self {
        Self(amount.0)
    }
}

impl From<Quantity> for Measure {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.0.into())
    }
}

impl From<Ratio> for Measure {
    fn from(ratio: Ratio) -> Self {
        Self(ratio.0.into())
    }
}

/// An amount of the account's currency, in units of 1e-8. Two 64-bit words on disk, so that payloads stay 8-aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Archive, Serialize, Deserialize)]
pub struct Money(#[rkyv(with = TwoWords)] pub i128);

impl Price {
    /// Whole units of the quote currency.
    pub const fn from_units(units: i64) -> Self {
        Self(units * SCALE)
    }

    /// The value of `quantity` at this price: exact product, rounded once to 1e-8, half away from zero. The sign is
    /// the quantity's.
    #[inline]
    pub fn times(self, quantity: Quantity) -> Money {
        if quantity.0 % SCALE == 0 {
            // Whole units, the common case: exact without a division in 128 bits.
            return Money(i128::from(self.0) * i128::from(quantity.0 / SCALE));
        }
        Money(decimal::divide_rounded(i128::from(self.0) * i128::from(quantity.0), SCALE.into()))
    }

    /// The nearest multiple of `tick`, halves away from zero; the price itself when `tick` is zero.
    pub fn round_to(self, tick: Price) -> Self {
        if tick.0 <= 0 {
            return self;
        }
        let ticks = decimal::divide_rounded(self.0.into(), tick.0.into());
        Self(i64::try_from(ticks * i128::from(tick.0)).unwrap_or(self.0))
    }
}

impl Quantity {
    /// Whole units.
    pub const fn from_units(units: i64) -> Self {
        Self(units * SCALE)
    }

    /// The magnitude.
    #[inline]
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// The largest multiple of `lot` that is not larger in magnitude; the quantity itself when `lot` is zero.
    pub const fn round_down_to(self, lot: Quantity) -> Self {
        if lot.0 <= 0 { self } else { Self(self.0 - self.0 % lot.0) }
    }
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Whole units of the currency.
    pub const fn from_units(units: i64) -> Self {
        Self(units as i128 * SCALE as i128)
    }

    /// The raw integer in units of 1e-8.
    pub const fn raw(self) -> i128 {
        self.0
    }

    /// True for zero.
    #[inline]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The nearest float, for statistics and pictures only.
    pub fn to_f64(self) -> f64 {
        decimal::to_f64(self.0)
    }

    /// The share of this amount that falls to `part` of `whole`, rounded once, half away from zero. Never overflows.
    /// Panics unless `0 <= part <= whole` and `0 < whole`.
    #[inline]
    pub fn share(self, part: Quantity, whole: Quantity) -> Self {
        Self(decimal::proportion(self.0, part.0, whole.0))
    }

    /// This amount × `numerator` / `denominator`, rounded once, half away from zero. `None` when it does not fit.
    pub fn times_ratio(self, numerator: i128, denominator: i128) -> Option<Self> {
        self.0.checked_mul(numerator).map(|product| Self(decimal::divide_rounded(product, denominator)))
    }
}

macro_rules! wide_decimal {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                decimal::write(self.0, out)
            }
        }

        impl FromStr for $name {
            type Err = DecimalError;
            fn from_str(text: &str) -> Result<Self, DecimalError> {
                decimal::parse(text).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_i128(self.0)
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    <i128 as serde::Deserialize>::deserialize(deserializer).map(Self)
                }
            }
        }
    )*};
}
wide_decimal!(Money, Measure);

macro_rules! arithmetic {
    ($($name:ident),*) => {$(
        impl Add for $name {
            type Output = Self;
            #[inline]
            fn add(self, other: Self) -> Self {
                Self(self.0.checked_add(other.0).expect(concat!(stringify!($name), " overflow in addition")))
            }
        }
        impl Sub for $name {
            type Output = Self;
            #[inline]
            fn sub(self, other: Self) -> Self {
                Self(self.0.checked_sub(other.0).expect(concat!(stringify!($name), " overflow in subtraction")))
            }
        }
        impl Neg for $name {
            type Output = Self;
            #[inline]
            fn neg(self) -> Self {
                Self(self.0.checked_neg().expect(concat!(stringify!($name), " overflow in negation")))
            }
        }
        impl AddAssign for $name {
            #[inline]
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }
        impl SubAssign for $name {
            #[inline]
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }
        impl std::iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
                items.fold(Self::ZERO, |total, item| total + item)
            }
        }
    )*};
}
arithmetic!(Price, Quantity, Money, BasisPoints, Ratio);

/// Stores an `i128` as two little-endian 64-bit words (low, high): a 16-aligned field would break the journal's
/// 8-byte alignment.
pub struct TwoWords;

impl ArchiveWith<i128> for TwoWords {
    type Archived = rkyv::Archived<[u64; 2]>;
    type Resolver = rkyv::Resolver<[u64; 2]>;

    fn resolve_with(field: &i128, resolver: Self::Resolver, out: Place<Self::Archived>) {
        words(*field).resolve(resolver, out);
    }
}

impl<S: Fallible + ?Sized> SerializeWith<i128, S> for TwoWords
where
    S::Error: Source,
{
    fn serialize_with(field: &i128, serializer: &mut S) -> Result<Self::Resolver, S::Error> {
        words(*field).serialize(serializer)
    }
}

impl<D: Fallible + ?Sized> DeserializeWith<rkyv::Archived<[u64; 2]>, i128, D> for TwoWords {
    fn deserialize_with(field: &rkyv::Archived<[u64; 2]>, _: &mut D) -> Result<i128, D::Error> {
        let (low, high) = (field[0].to_native(), field[1].to_native());
        Ok((u128::from(low) | u128::from(high) << 64) as i128)
    }
}

fn words(value: i128) -> [u64; 2] {
    [value as u64, (value >> 64) as u64]
}

/// What an output follows from: the journal (rank 0 is the session itself, others are listed in its header) and the
/// sequence number in it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    Archive,
    Serialize,
    Deserialize,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Cause {
    /// Rank of the journal in the session's header; 0 is the session.
    pub rank: u32,
    /// Sequence number of the frame in that journal.
    pub seq: u64,
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.rank, self.seq)
    }
}

/// A blake3 hash. Printed and parsed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Archive, Serialize, Deserialize)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

impl FromStr for Hash {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(DecimalError::NotANumber);
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| DecimalError::NotANumber)?;
        }
        Ok(Self(bytes))
    }
}

impl serde::Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serde::Serialize::serialize(&self.0, serializer)
        }
    }
}

impl<'de> serde::Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
            text.parse().map_err(|_| serde::de::Error::custom("a hash is 64 hexadecimal digits"))
        } else {
            <[u8; 32] as serde::Deserialize>::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_price_times_a_quantity_rounds_once() {
        let price: Price = "0.00000003".parse().unwrap();
        let half: Quantity = "0.5".parse().unwrap();
        assert_eq!(price.times(half), Money(2), "1.5 units round away from zero");
        assert_eq!(price.times(-half), Money(-2));
        assert_eq!(Price(i64::MAX).times(Quantity(i64::MAX)).0, 850705917302346158473969077842);
    }

    #[test]
    fn rounding_to_ticks_and_lots() {
        let tick: Price = "0.05".parse().unwrap();
        assert_eq!("100.07".parse::<Price>().unwrap().round_to(tick).to_string(), "100.05");
        assert_eq!("100.075".parse::<Price>().unwrap().round_to(tick).to_string(), "100.1");
        assert_eq!(Quantity::from_units(149).round_down_to(Quantity::from_units(50)), Quantity::from_units(100));
        assert_eq!(Quantity::from_units(-149).round_down_to(Quantity::from_units(50)), Quantity::from_units(-100));
    }

    #[test]
    fn hashes_print_and_parse() {
        let hash = Hash([0xab; 32]);
        assert_eq!(hash.to_string().parse::<Hash>(), Ok(hash));
        assert!("zz".parse::<Hash>().is_err());
        assert!("é".repeat(32).parse::<Hash>().is_err());
    }

    proptest! {
        #[test]
        fn whole_quantities_take_the_same_value_by_either_way(price in any::<i64>(), units in -90_000_000_000i64..90_000_000_000) {
            let quantity = Quantity::from_units(units);
            let product = i128::from(price) * i128::from(quantity.0);
            prop_assert_eq!(Price(price).times(quantity).0, decimal::divide_rounded(product, SCALE.into()));
        }

        #[test]
        fn money_survives_the_disk(value in any::<i128>()) {
            let bytes = rkyv::to_bytes::<rkyv::rancor::Error>(&Money(value)).unwrap();
            prop_assert_eq!(rkyv::from_bytes::<Money, rkyv::rancor::Error>(&bytes).unwrap(), Money(value));
            let json = serde_json::to_string(&Money(value)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&json).ok(), Some(Money(value)));
        }
    }
}
