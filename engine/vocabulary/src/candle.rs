//! Candles: the hottest payload, in a fixed layout that is read in place.
//!
//! - A candle exists only when it has closed; its frame's time is when that was known (its *availability*).
//! - 56 bytes, 8-aligned, little-endian; the instrument is the frame's stream.
//! - Prices may be anything that passed ingest: positive, `low <= open, close <= high`.

use crate::units::{Cause, Price, Quantity};
use crate::{Interval, Nanos};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A closed bar of trading, as a source reported it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Candle {
    open_time: i64,
    interval: u32,
    flags: u32,
    open: i64,
    high: i64,
    low: i64,
    close: i64,
    volume: i64,
}

const _: () = assert!(size_of::<Candle>() == 56, "the layout of a candle is a file format");

/// Set on a candle that replaces an earlier one of the same instrument, interval and open time.
const REVISES: u32 = 1;

/// The numbers of a candle, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CandleParts {
    /// When the bar began, by the source's own stamp; for a daily bar the open of its session.
    pub open_time: Nanos,
    /// Its nominal length.
    pub interval: Interval,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Quantity traded.
    pub volume: Quantity,
    /// True when it supersedes an earlier candle with the same key.
    pub revises: bool,
}

impl Candle {
    /// Packs the parts into the layout of the journal.
    pub const fn new(parts: CandleParts) -> Self {
        Self {
            open_time: parts.open_time.0,
            interval: parts.interval.0,
            flags: if parts.revises { REVISES } else { 0 },
            open: parts.open.0,
            high: parts.high.0,
            low: parts.low.0,
            close: parts.close.0,
            volume: parts.volume.0,
        }
    }

    /// All parts at once.
    pub const fn parts(&self) -> CandleParts {
        CandleParts {
            open_time: self.open_time(),
            interval: self.interval(),
            open: self.open(),
            high: self.high(),
            low: self.low(),
            close: self.close(),
            volume: self.volume(),
            revises: self.revises(),
        }
    }

    /// When the bar began.
    #[inline]
    pub const fn open_time(&self) -> Nanos {
        Nanos(self.open_time)
    }
    /// Its nominal length.
    #[inline]
    pub const fn interval(&self) -> Interval {
        Interval(self.interval)
    }
    /// First price.
    #[inline]
    pub const fn open(&self) -> Price {
        Price(self.open)
    }
    /// Highest price.
    #[inline]
    pub const fn high(&self) -> Price {
        Price(self.high)
    }
    /// Lowest price.
    #[inline]
    pub const fn low(&self) -> Price {
        Price(self.low)
    }
    /// Last price.
    #[inline]
    pub const fn close(&self) -> Price {
        Price(self.close)
    }
    /// Quantity traded.
    #[inline]
    pub const fn volume(&self) -> Quantity {
        Quantity(self.volume)
    }
    /// True when it supersedes an earlier candle with the same key.
    #[inline]
    pub const fn revises(&self) -> bool {
        self.flags & REVISES != 0
    }

    /// The same prices and volume, whatever the flags.
    pub fn same_values(&self, other: &Self) -> bool {
        (self.open, self.high, self.low, self.close, self.volume)
            == (other.open, other.high, other.low, other.close, other.volume)
    }

    /// True when `0 < low <= open, close <= high` and the volume is not negative.
    pub const fn is_consistent(&self) -> bool {
        0 < self.low
            && self.low <= self.open
            && self.low <= self.close
            && self.open <= self.high
            && self.close <= self.high
            && self.volume >= 0
    }

    /// Reads a candle in place, without a copy; `None` when the bytes are not 56 or not 8-aligned.
    #[inline]
    pub fn in_place(payload: &[u8]) -> Option<&Self> {
        Self::ref_from_bytes(payload).ok()
    }
}

impl serde::Serialize for Candle {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut out = serializer.serialize_struct("Candle", 8)?;
        out.serialize_field("open_time", &self.open_time())?;
        out.serialize_field("interval", &self.interval())?;
        out.serialize_field("open", &self.open())?;
        out.serialize_field("high", &self.high())?;
        out.serialize_field("low", &self.low())?;
        out.serialize_field("close", &self.close())?;
        out.serialize_field("volume", &self.volume())?;
        out.serialize_field("revises", &self.revises())?;
        out.end()
    }
}

impl<'de> serde::Deserialize<'de> for Candle {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Fields {
            open_time: Nanos,
            interval: Interval,
            open: Price,
            high: Price,
            low: Price,
            close: Price,
            volume: Quantity,
            revises: bool,
        }
        let Fields { open_time, interval, open, high, low, close, volume, revises } =
            Fields::deserialize(deserializer)?;
        Ok(Self::new(CandleParts { open_time, interval, open, high, low, close, volume, revises }))
    }
}

/// A bar the core built from finer candles: an output, so it names its cause (the candle that closed it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Bar {
    rank: u64,
    seq: u64,
    candle: Candle,
}

const _: () = assert!(size_of::<Bar>() == 72, "the layout of a built bar is a file format");

impl Bar {
    /// A built bar and what closed it.
    pub const fn new(cause: Cause, candle: Candle) -> Self {
        Self { rank: cause.rank as u64, seq: cause.seq, candle }
    }

    /// The candle that closed it.
    pub const fn cause(&self) -> Cause {
        Cause { rank: self.rank as u32, seq: self.seq }
    }

    /// Its prices.
    pub const fn candle(&self) -> &Candle {
        &self.candle
    }
}

impl serde::Serialize for Bar {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Fields<'a> {
            cause: Cause,
            #[serde(flatten)]
            candle: &'a Candle,
        }
        Fields { cause: self.cause(), candle: &self.candle }.serialize(serializer)
    }
}
