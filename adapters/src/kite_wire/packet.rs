//! Binary ticks: the side that writes them.
//!
//! - A frame is a count and that many packets with their lengths; all numbers are big-endian.
//! - Lengths tell the kinds apart: 8 last price, 44 quote, 184 full; of an index 28 quote and 32 full.
//! - Prices are paise; what does not fit 32 bits is written as the nearest that does.
//! - The depth is quantity before price; an index has high, low, open, in this order.

use daybook_vocabulary::{Nanos, Price};

/// How much of an instrument a subscriber wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The last price.
    Ltp,
    /// Everything but the depth.
    Quote,
    /// Everything.
    Full,
}

impl Mode {
    /// By its word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "ltp" => Some(Self::Ltp),
            "quote" => Some(Self::Quote),
            "full" => Some(Self::Full),
            _ => None,
        }
    }
}

/// One line of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct BookLine {
    /// How much.
    pub quantity: i64,
    /// At which price.
    pub price: Price,
    /// Of how many orders.
    pub orders: u16,
}

/// What is known of an instrument at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Its number; the lowest byte is the segment.
    pub token: u32,
    /// Last price.
    pub last: Price,
    /// Quantity of the last trade.
    pub last_quantity: i64,
    /// Average price of the day.
    pub average: Price,
    /// Traded today.
    pub volume: i64,
    /// Quantity on the buying side of the whole book.
    pub buy_quantity: i64,
    /// Quantity on the selling side.
    pub sell_quantity: i64,
    /// First price of the day.
    pub open: Price,
    /// Highest of the day.
    pub high: Price,
    /// Lowest of the day.
    pub low: Price,
    /// Close of the session before.
    pub close: Price,
    /// When it last traded; zero for never.
    pub last_trade: Nanos,
    /// When the exchange said all this.
    pub exchange_time: Nanos,
    /// Best bids first.
    pub bids: [BookLine; 5],
    /// Best offers first.
    pub offers: [BookLine; 5],
}

/// The segment of indices in a token's lowest byte.
pub const INDICES: u32 = 9;

impl Snapshot {
    /// True for an index, which is not tradable and has packets of its own.
    pub const fn is_index(&self) -> bool {
        self.token & 0xff == INDICES
    }

    /// Appends a packet with its length before it.
    pub fn encode(&self, mode: Mode, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&[0, 0]);
        put(out, self.token);
        put_price(out, self.last);
        match (mode, self.is_index()) {
            (Mode::Ltp, _) => {}
            (mode, true) => self.encode_index(mode, out),
            (mode, false) => self.encode_traded(mode, out),
        }
        let length = (out.len() - begin - 2) as u16;
        out[begin..begin + 2].copy_from_slice(&length.to_be_bytes());
    }

    fn encode_index(&self, mode: Mode, out: &mut Vec<u8>) {
        for price in [self.high, self.low, self.open, self.close] {
            put_price(out, price);
        }
        out.extend_from_slice(&(paise(self.last).wrapping_sub(paise(self.close))).to_be_bytes());
        if mode == Mode::Full {
            put_time(out, self.exchange_time);
        }
    }

    fn encode_traded(&self, mode: Mode, out: &mut Vec<u8>) {
        put_count(out, self.last_quantity);
        put_price(out, self.average);
        for quantity in [self.volume, self.buy_quantity, self.sell_quantity] {
            put_count(out, quantity);
        }
        for price in [self.open, self.high, self.low, self.close] {
            put_price(out, price);
        }
        if mode != Mode::Full {
            return;
        }
        put_time(out, self.last_trade);
        // Open interest, its high and its low: shares have none.
        out.extend_from_slice(&[0; 12]);
        put_time(out, self.exchange_time);
        for line in self.bids.iter().chain(&self.offers) {
            put_count(out, line.quantity);
            put_price(out, line.price);
            out.extend_from_slice(&line.orders.to_be_bytes());
            out.extend_from_slice(&[0, 0]);
        }
    }
}

/// A frame of packets, built one by one.
#[derive(Debug, Default)]
pub struct FrameBuilder {
    bytes: Vec<u8>,
    count: u16,
}

impl FrameBuilder {
    /// Adds a packet.
    pub fn push(&mut self, snapshot: &Snapshot, mode: Mode) {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(&[0, 0]);
        }
        snapshot.encode(mode, &mut self.bytes);
        self.count += 1;
    }

    /// True while there is nothing to send.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The frame; empty when no packet was added.
    pub fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes[..2].copy_from_slice(&self.count.to_be_bytes());
        }
        self.bytes
    }
}

const PAISA: i64 = 1_000_000;

/// Hundredths of a rupee, the nearest.
fn paise(price: Price) -> i32 {
    let half = if price.0 < 0 { -PAISA / 2 } else { PAISA / 2 };
    let paise = price.0.saturating_add(half) / PAISA;
    paise.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

fn put(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn put_price(out: &mut Vec<u8>, price: Price) {
    out.extend_from_slice(&paise(price).to_be_bytes());
}

fn put_count(out: &mut Vec<u8>, count: i64) {
    put(out, count.clamp(0, u32::MAX.into()) as u32);
}

fn put_time(out: &mut Vec<u8>, time: Nanos) {
    put(out, super::stamp::epoch_seconds(time));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    /// The broker's layout, by vectors that its own Python client decodes.
    #[test]
    fn an_index_and_a_last_price() {
        let infy = Snapshot { token: 408_065, last: price("1573.70"), ..Snapshot::default() };
        let index = Snapshot {
            token: 256_265,
            last: price("25000.10"),
            high: price("25100"),
            low: price("24800"),
            open: price("24900"),
            close: price("24950"),
            exchange_time: "2026-11-05T09:15:00+05:30".parse().unwrap(),
            ..Snapshot::default()
        };
        let mut frame = FrameBuilder::default();
        frame.push(&infy, Mode::Ltp);
        frame.push(&index, Mode::Full);
        let expected = "0002000800063a01000266ba00200003e909002625aa00264cb00025d7800025fe9000261218000013926aebfbbc";
        assert_eq!(hex(&frame.finish()), expected);
        let mut frame = FrameBuilder::default();
        frame.push(&index, Mode::Quote);
        assert_eq!(frame.finish().len(), 2 + 2 + 28);
        assert!(FrameBuilder::default().is_empty());
    }

    #[test]
    fn a_full_packet() {
        let line = |quantity, at: &str, orders| BookLine { quantity, price: price(at), orders };
        let reliance = Snapshot {
            token: 738_561,
            last: price("1300.05"),
            last_quantity: 25,
            average: price("1299.50"),
            volume: 1_234_567,
            buy_quantity: 40_000,
            sell_quantity: 50_000,
            open: price("1295"),
            high: price("1305"),
            low: price("1291"),
            close: price("1290"),
            last_trade: "2026-11-05T09:14:59+05:30".parse().unwrap(),
            exchange_time: "2026-11-05T09:15:00+05:30".parse().unwrap(),
            bids: [
                line(10, "1300", 1),
                line(11, "1299.95", 2),
                line(12, "1299.90", 3),
                line(13, "1299.85", 4),
                line(14, "1299.80", 5),
            ],
            offers: [
                line(20, "1300.05", 2),
                line(21, "1300.10", 3),
                line(22, "1300.15", 4),
                line(23, "1300.20", 5),
                line(24, "1300.25", 6),
            ],
        };
        let mut frame = FrameBuilder::default();
        frame.push(&reliance, Mode::Full);
        let expected = concat!(
            "000100b8000b45010001fbd5000000190001fb9e0012d68700009c400000c3500001f9dc0001fdc40001f84c0001f7e86aebfbbb",
            "0000000000000000000000006aebfbbc0000000a0001fbd0000100000000000b0001fbcb000200000000000c0001fbc600030000",
            "0000000d0001fbc1000400000000000e0001fbbc00050000000000140001fbd500020000000000150001fbda0003000000000016",
            "0001fbdf00040000000000170001fbe400050000000000180001fbe900060000",
        );
        assert_eq!(hex(&frame.finish()), expected);
        let mut frame = FrameBuilder::default();
        frame.push(&reliance, Mode::Quote);
        assert_eq!(frame.finish().len(), 2 + 2 + 44);
    }

    #[test]
    fn what_does_not_fit_is_written_as_the_nearest_that_does() {
        let huge = Snapshot { token: 1, last: Price(i64::MAX), volume: -5, ..Snapshot::default() };
        let mut frame = FrameBuilder::default();
        frame.push(&huge, Mode::Quote);
        let bytes = frame.finish();
        assert_eq!(bytes[8..12], i32::MAX.to_be_bytes());
        assert_eq!(bytes[20..24], [0; 4]);
    }
}
