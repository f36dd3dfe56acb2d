//! The binary packets of the WebSocket: last price, quote, full quote with depth, index quotes.
//!
//! ```text
//! frame   0 count u16 · then count × { length u16 · packet }          all big-endian; up to 4 bytes: a heartbeat
//! packet  0 token · 4 last                                                          8 bytes: last price
//!         8 last quantity · 12 average · 16 volume · 20 buy · 24 sell
//!         28 open · 32 high · 36 low · 40 close                                    44 bytes: quote
//!         44 last trade time · 48 oi · 52 oi high · 56 oi low · 60 exchange time
//!         64 five bids, five offers of { quantity u32 · price u32 · orders u16 · 2 unused }   184 bytes: full
//! index   0 token · 4 last · 8 high · 12 low · 16 open · 20 close · 24 change [· 28 exchange time]   28 or 32 bytes
//! ```
//!
//! - No bytes panic. A packet that cannot be read is a [`Flaw`]; the packets behind it are read all the same.
//! - Prices are exact integers of 1e-8; the divisor is the segment's, the lowest byte of the token.
//! - A time of 0 is no time.

use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{Nanos, Price, Quantity};
use std::fmt;

/// Payloads of up to this many bytes are heartbeats.
pub const HEARTBEAT_BYTES_MAX: usize = 4;
/// Levels on each side of the book.
pub const LEVELS: usize = 5;

const LTP_BYTES: usize = 8;
const INDEX_BYTES: usize = 28;
const INDEX_FULL_BYTES: usize = 32;
const QUOTE_BYTES: usize = 44;
const FULL_BYTES: usize = 184;
const DEPTH_AT: usize = 64;
const LEVEL_BYTES: usize = 12;
const _: () = assert!(DEPTH_AT + 2 * LEVELS * LEVEL_BYTES == FULL_BYTES, "the book ends where the packet does");

/// The broker's number of an instrument; its lowest byte is the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Token(pub u32);

impl Token {
    /// Where it trades.
    pub const fn segment(self) -> Segment {
        Segment::of(self.0 as u8)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

macro_rules! segments {
    ($($(#[$doc:meta])* $number:literal $name:ident $units:literal),* $(,)?) => {
        /// A segment of an exchange.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Segment {
            $($(#[$doc])* $name,)*
            /// A segment this version does not know; priced in hundredths like most.
            Other(u8),
        }

        impl Segment {
            /// The segment of a token's lowest byte.
            #[inline]
            pub const fn of(number: u8) -> Self {
                match number { $($number => Self::$name,)* other => Self::Other(other) }
            }

            /// Units of 1e-8 in one step of its packets' prices.
            #[inline]
            pub const fn price_units(self) -> i64 {
                match self { $(Self::$name => $units,)* Self::Other(_) => 1_000_000 }
            }
        }
    };
}
segments! {
    /// Shares at NSE.
    1 Nse 1_000_000,
    /// Derivatives at NSE.
    2 Nfo 1_000_000,
    /// Currency derivatives at NSE: seven decimals.
    3 Cds 10,
    /// Shares at BSE.
    4 Bse 1_000_000,
    /// Derivatives at BSE.
    5 Bfo 1_000_000,
    /// Currency derivatives at BSE: four decimals.
    6 Bcd 10_000,
    /// Commodities at MCX.
    7 Mcx 1_000_000,
    /// The former MCX-SX.
    8 McxSx 1_000_000,
    /// Indices: not tradable.
    9 Indices 1_000_000,
    /// Commodities at NSE: four decimals.
    12 Nco 10_000,
}

/// How much of an instrument is streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Mode {
    /// Last price.
    Ltp,
    /// Without the book.
    #[default]
    Quote,
    /// Everything.
    Full,
}

impl Mode {
    /// Its word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ltp => "ltp",
            Self::Quote => "quote",
            Self::Full => "full",
        }
    }
}

/// Open, high and low of the day; `close` is the session before's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ohlc {
    /// First price of the day.
    pub open: Price,
    /// Highest.
    pub high: Price,
    /// Lowest.
    pub low: Price,
    /// The close of the session before.
    pub close: Price,
}

/// What a quote says beside the last price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quote {
    /// Quantity of the last trade.
    pub last_quantity: Quantity,
    /// Average price of the day.
    pub average: Price,
    /// Quantity traded today.
    pub volume: Quantity,
    /// Quantity of all bids.
    pub buy_quantity: Quantity,
    /// Quantity of all offers.
    pub sell_quantity: Quantity,
    /// The day so far.
    pub ohlc: Ohlc,
}

/// What a full packet says beside the quote and the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trading {
    /// When the last trade was.
    pub last_trade: Option<Nanos>,
    /// Open interest: now, highest and lowest of the day.
    pub open_interest: [u32; 3],
    /// When the exchange made this snapshot.
    pub exchange: Option<Nanos>,
}

/// A price of the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Level {
    /// The price; zero where the book is not that deep.
    pub price: Price,
    /// Quantity at it.
    pub quantity: Quantity,
    /// Orders at it.
    pub orders: u16,
}

/// Five levels on each side, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Bids.
    pub bids: [Level; LEVELS],
    /// Offers.
    pub offers: [Level; LEVELS],
}

/// What a packet holds beside token and last price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a tick is decoded where it is used; a box would cost an allocation each"
)]
pub enum Packet {
    /// Nothing.
    Ltp,
    /// An index.
    Index {
        /// The day so far.
        ohlc: Ohlc,
        /// When the exchange made this snapshot; full mode only.
        exchange: Option<Nanos>,
    },
    /// A quote.
    Quote(Quote),
    /// Everything.
    Full(Quote, Trading, Depth),
}

/// A packet, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// The instrument.
    pub token: Token,
    /// Its last price.
    pub last: Price,
    /// The rest.
    pub packet: Packet,
}

impl Tick {
    /// When the exchange made this snapshot, where the packet says it.
    pub const fn exchange_time(&self) -> Option<Nanos> {
        match &self.packet {
            Packet::Full(_, trading, _) => trading.exchange,
            Packet::Index { exchange, .. } => *exchange,
            Packet::Ltp | Packet::Quote(_) => None,
        }
    }
}

/// Bytes that are not what they should be, and where in the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The frame ends inside a packet, or before the last of those it announced.
    #[error("the frame ends at byte {at}, inside packet {packet} of {count}")]
    Truncated {
        /// Where it ends.
        at: usize,
        /// The packet, from 0.
        packet: u16,
        /// Packets announced.
        count: u16,
    },
    /// A length that no packet has.
    #[error("packet {packet} at byte {at} has {length} bytes; known are 8, 28, 32, 44 and 184")]
    UnknownLength {
        /// Where it begins.
        at: usize,
        /// The packet, from 0.
        packet: u16,
        /// Its length.
        length: u16,
    },
    /// Bytes behind the last packet.
    #[error("{excess} bytes behind the last packet, from byte {at} on")]
    Trailing {
        /// Where they begin.
        at: usize,
        /// How many.
        excess: usize,
    },
}

/// Reads a frame and hands on each packet, or what is wrong with it. False for a heartbeat.
///
/// ```
/// use daybook_adapters::kite::ticks::{Tick, decode};
/// let frame = [0, 1, 0, 8, 0, 6, 0x3a, 1, 0, 2, 0x66, 0xba];
/// let mut ticks: Vec<Tick> = Vec::new();
/// assert!(decode(&frame, |packet| ticks.extend(packet)));
/// assert_eq!((ticks[0].token.0, ticks[0].last.to_string()), (408_065, "1573.7".to_owned()));
/// assert!(!decode(&[0], |_| panic!("a heartbeat holds nothing")));
/// ```
#[inline]
pub fn decode(frame: &[u8], mut packet: impl FnMut(Result<Tick, Flaw>)) -> bool {
    if frame.len() <= HEARTBEAT_BYTES_MAX {
        return false;
    }
    let count = short(frame, 0);
    let mut at = 2;
    for number in 0..count {
        let Some(length) = frame.get(at..at + 2).map(|bytes| short(bytes, 0)) else {
            packet(Err(Flaw::Truncated { at: frame.len(), packet: number, count }));
            return true;
        };
        let begin = at + 2;
        let Some(bytes) = frame.get(begin..begin + usize::from(length)) else {
            packet(Err(Flaw::Truncated { at: frame.len(), packet: number, count }));
            return true;
        };
        packet(decode_packet(bytes).ok_or(Flaw::UnknownLength { at: begin, packet: number, length }));
        at = begin + usize::from(length);
    }
    if at < frame.len() {
        packet(Err(Flaw::Trailing { at, excess: frame.len() - at }));
    }
    true
}

/// Reads one packet, without its frame; `None` for a length that no packet has.
#[inline]
pub fn decode_packet(bytes: &[u8]) -> Option<Tick> {
    match bytes.len() {
        LTP_BYTES | INDEX_BYTES | INDEX_FULL_BYTES | QUOTE_BYTES | FULL_BYTES => {}
        _ => return None,
    }
    let token = Token(word(bytes, 0));
    let units = token.segment().price_units();
    let price = |at| signed_price(bytes, at, units);
    let packet = match bytes.len() {
        LTP_BYTES => Packet::Ltp,
        INDEX_BYTES | INDEX_FULL_BYTES => Packet::Index {
            // High, low, open: an order of its own.
            ohlc: Ohlc { high: price(8), low: price(12), open: price(16), close: price(20) },
            exchange: (bytes.len() == INDEX_FULL_BYTES).then(|| epoch(bytes, 28)).flatten(),
        },
        QUOTE_BYTES => Packet::Quote(quote(bytes, units)),
        _ => {
            let trading = Trading {
                last_trade: epoch(bytes, 44),
                open_interest: [word(bytes, 48), word(bytes, 52), word(bytes, 56)],
                exchange: epoch(bytes, 60),
            };
            let side = |from: usize| {
                std::array::from_fn(|level| {
                    let at = from + level * LEVEL_BYTES;
                    Level {
                        quantity: quantity(bytes, at),
                        price: Price(i64::from(word(bytes, at + 4)) * units),
                        orders: short(bytes, at + 8),
                    }
                })
            };
            let depth = Depth { bids: side(DEPTH_AT), offers: side(DEPTH_AT + LEVELS * LEVEL_BYTES) };
            Packet::Full(quote(bytes, units), trading, depth)
        }
    };
    Some(Tick { token, last: price(4), packet })
}

#[inline]
fn quote(bytes: &[u8], units: i64) -> Quote {
    let price = |at| signed_price(bytes, at, units);
    Quote {
        last_quantity: quantity(bytes, 8),
        average: price(12),
        volume: quantity(bytes, 16),
        buy_quantity: quantity(bytes, 20),
        sell_quantity: quantity(bytes, 24),
        ohlc: Ohlc { open: price(28), high: price(32), low: price(36), close: price(40) },
    }
}

/// Big-endian; zero beyond the end, which callers have ruled out by the length.
#[inline]
fn word(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..at + 4) {
        Some(four) => u32::from_be_bytes([four[0], four[1], four[2], four[3]]),
        None => 0,
    }
}

#[inline]
fn short(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..at + 2) {
        Some(two) => u16::from_be_bytes([two[0], two[1]]),
        None => 0,
    }
}

#[inline]
fn signed_price(bytes: &[u8], at: usize, units: i64) -> Price {
    Price(i64::from(word(bytes, at).cast_signed()) * units)
}

/// A count of whole pieces: at most 2^32 × 1e8, which fits.
#[inline]
fn quantity(bytes: &[u8], at: usize) -> Quantity {
    Quantity(i64::from(word(bytes, at)) * daybook_vocabulary::decimal::SCALE)
}

#[inline]
fn epoch(bytes: &[u8], at: usize) -> Option<Nanos> {
    match word(bytes, at) {
        0 => None,
        seconds => Some(Nanos(i64::from(seconds) * SECOND)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    }

    fn all(frame: &[u8]) -> Vec<Result<Tick, Flaw>> {
        let mut found = Vec::new();
        decode(frame, |packet| found.push(packet));
        found
    }

    const RELIANCE: &str = "0001 00b8 000b45010001fbd5000000190001fb9e0012d68700009c400000c3500001f9dc0001fdc40001f84c
        0001f7e86aebfbbb0000000000000000000000006aebfbbc 0000000a0001fbd000010000 0000000b0001fbcb00020000
        0000000c0001fbc600030000 0000000d0001fbc100040000 0000000e0001fbbc00050000 000000140001fbd500020000
        000000150001fbda00030000 000000160001fbdf00040000 000000170001fbe400050000 000000180001fbe900060000";

    fn price(text: &str) -> Price {
        Price(daybook_vocabulary::decimal::parse_i64(text).unwrap())
    }

    #[test]
    fn two_packets_of_one_frame() {
        let frame =
            bytes("0002 0008 00063a01000266ba 0020 0003e909002625aa00264cb00025d7800025fe9000261218000013926aebfbbc");
        let ticks: Vec<Tick> = all(&frame).into_iter().map(Result::unwrap).collect();
        assert_eq!((ticks[0].token, ticks[0].last, ticks[0].packet), (Token(408_065), price("1573.70"), Packet::Ltp));
        let ohlc = Ohlc { open: price("24900"), high: price("25100"), low: price("24800"), close: price("24950") };
        let exchange = Some("2026-11-05T09:15:00+05:30".parse().unwrap());
        assert_eq!((ticks[1].token, ticks[1].last), (Token(256_265), price("25000.10")));
        assert_eq!(ticks[1].packet, Packet::Index { ohlc, exchange });
        assert_eq!(ticks[1].token.segment(), Segment::Indices);
    }

    #[test]
    fn a_full_packet() {
        let [Ok(tick)] = all(&bytes(RELIANCE))[..] else { panic!("one packet") };
        let Packet::Full(quote, trading, depth) = tick.packet else { panic!("a full packet") };
        assert_eq!((tick.token, tick.last), (Token(738_561), price("1300.05")));
        assert_eq!(quote.last_quantity, Quantity::from_units(25));
        assert_eq!((quote.average, quote.volume), (price("1299.50"), Quantity::from_units(1_234_567)));
        assert_eq!(
            (quote.buy_quantity, quote.sell_quantity),
            (Quantity::from_units(40_000), Quantity::from_units(50_000))
        );
        let Ohlc { open, high, low, close } = quote.ohlc;
        assert_eq!([open, high, low, close], ["1295", "1305", "1291", "1290"].map(price));
        assert_eq!(trading.last_trade, Some("2026-11-05T09:14:59+05:30".parse().unwrap()));
        assert_eq!(tick.exchange_time(), Some("2026-11-05T09:15:00+05:30".parse().unwrap()));
        let level = |price_text, units, orders| Level {
            price: price(price_text),
            quantity: Quantity::from_units(units),
            orders,
        };
        assert_eq!((depth.bids[0], depth.bids[4]), (level("1300", 10, 1), level("1299.80", 14, 5)));
        assert_eq!((depth.offers[0], depth.offers[4]), (level("1300.05", 20, 2), level("1300.25", 24, 6)));
    }

    #[test]
    fn currencies_have_more_decimals() {
        let of = |segment: u8, raw: u32| {
            let mut packet = [0u8; 8];
            packet[3] = segment;
            packet[4..].copy_from_slice(&raw.to_be_bytes());
            decode_packet(&packet).unwrap().last
        };
        assert_eq!(of(3, 835_012_500), price("83.50125"));
        assert_eq!(of(6, 835_012), price("83.5012"));
        assert_eq!(of(12, 835_012), price("83.5012"));
        assert_eq!(of(200, 8_350), price("83.5"), "a segment of the future");
    }

    #[test]
    fn every_truncation_is_a_flaw_and_none_panics() {
        let frame = bytes(RELIANCE);
        for end in 0..frame.len() {
            let found = all(&frame[..end]);
            if end <= HEARTBEAT_BYTES_MAX {
                assert!(found.is_empty(), "{end} bytes are a heartbeat");
            } else {
                assert_eq!(found, [Err(Flaw::Truncated { at: end, packet: 0, count: 1 })]);
            }
        }
    }

    #[test]
    fn a_broken_packet_does_not_take_the_next_one_along() {
        let frame = bytes("0002 0005 0000000001 0008 00063a01000266ba ffff");
        let found = all(&frame);
        assert_eq!(found[0], Err(Flaw::UnknownLength { at: 4, packet: 0, length: 5 }));
        assert_eq!(found[1].unwrap().last, price("1573.70"));
        assert_eq!(found[2], Err(Flaw::Trailing { at: 19, excess: 2 }));
    }

    #[test]
    fn every_length_is_read_or_refused() {
        for length in 0..=400usize {
            let found = decode_packet(&vec![0xff; length]);
            assert_eq!(found.is_some(), [8, 28, 32, 44, 184].contains(&length), "{length}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(frame in prop::collection::vec(any::<u8>(), 0..700)) {
            let announced = if frame.len() > 4 { usize::from(u16::from_be_bytes([frame[0], frame[1]])) } else { 0 };
            prop_assert!(all(&frame).len() <= announced + 1);
        }

        /// A naive twin: each field by its own slice, as the table of the format has it.
        #[test]
        fn full_packets_equal_a_naive_reading(packet in prop::collection::vec(any::<u8>(), 184)) {
            let int = |at: usize| i128::from(u32::from_be_bytes(packet[at..at + 4].try_into().unwrap()));
            let divisor: i128 = match packet[3] { 3 => 10_000_000, 6 | 12 => 10_000, _ => 100 };
            let units = |raw: i128| i64::try_from(raw * 100_000_000 / divisor).unwrap();
            let signed = |at: usize| units(i128::from(int(at) as u32 as i32));
            let tick = decode_packet(&packet).unwrap();
            let Packet::Full(quote, trading, depth) = tick.packet else { panic!("184 bytes are a full packet") };
            prop_assert_eq!(tick.last.0, signed(4));
            prop_assert_eq!(quote.volume.0, i64::try_from(int(16) * 100_000_000).unwrap());
            prop_assert_eq!(quote.ohlc.close.0, signed(40));
            prop_assert_eq!(trading.exchange.map_or(0, |time| time.0), i64::try_from(int(60) * 1_000_000_000).unwrap());
            for (at, level) in depth.bids.iter().chain(&depth.offers).enumerate() {
                prop_assert_eq!(level.price.0, units(int(64 + 12 * at + 4)));
                prop_assert_eq!(i128::from(level.quantity.0), int(64 + 12 * at) * 100_000_000);
                prop_assert_eq!(level.orders, u16::from_be_bytes([packet[72 + 12 * at], packet[73 + 12 * at]]));
            }
        }
    }
}
