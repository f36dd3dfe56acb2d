//! Which column is what: from header names, or from the values of a file without a header.
//!
//! - A role is taken by the best known name, never by position where there is a header.
//! - A file with a strike, an expiry or quotes is refused even where it has prices: its rows are not one series.
//! - What a refused file seems to be is said in words.

use super::{number, time};
use time::DateOrder;

/// Where the time of a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeColumns {
    /// In one column.
    One(usize),
    /// A date and a clock time.
    Two(usize, usize),
}

/// Which column is what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub time: TimeColumns,
    pub symbol: Option<usize>,
    /// NSE's series: `EQ` is the ordinary share, others trade as instruments of their own.
    pub series: Option<usize>,
    pub open: usize,
    pub high: usize,
    pub low: usize,
    pub close: usize,
    pub volume: Option<usize>,
}

const TIMESTAMP: &[&str] = &[
    "timestamp",
    "datetime",
    "dateandtime",
    "datetimeutc",
    "opentime",
    "bartime",
    "starttime",
    "unixtimestamp",
    "unix",
    "unixtime",
    "epoch",
    "ts",
];
const DATE: &[&str] = &["date", "date1", "tradedate", "tradingdate", "traddt", "bizdt", "dt", "day"];
const CLOCK: &[&str] = &["time", "clock", "timeofday"];
/// Pandas writes an index without a name so; only a column of times is taken for one.
const INDEX: &[&str] = &["indexlevel0", "index", ""];
const SYMBOL: &[&str] = &["symbol", "tradingsymbol", "tckrsymb", "ticker", "code", "scrip", "stock"];
const SERIES: &[&str] = &["series", "sctysrs"];
const OPEN: &[&str] = &["open", "openprice", "opnpric", "openingprice", "o"];
const HIGH: &[&str] = &["high", "highprice", "hiprice", "hghpric", "h"];
const LOW: &[&str] = &["low", "lowprice", "loprice", "lwpric", "l"];
const CLOSE: &[&str] = &["close", "closeprice", "clspric", "closingprice", "c"];
const VOLUME: &[&str] = &[
    "volume",
    "vol",
    "ttltrdqnty",
    "tottrdqty",
    "ttltradgvol",
    "totaltradedquantity",
    "tradedquantity",
    "tradedqty",
    "trdqty",
    "qty",
    "quantity",
    "v",
];

/// A header name without case, blanks and punctuation.
fn bare(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Finds the columns of candles by name; otherwise says what the file seems to be.
pub(crate) fn by_name(names: &[String]) -> Result<Layout, String> {
    let bare: Vec<String> = names.iter().map(|name| bare(name)).collect();
    let find = |known: &[&str]| known.iter().find_map(|name| bare.iter().position(|column| column == name));
    if let Some(seems) = derivative(&bare) {
        return Err(seems);
    }
    let (open, high, low, close) = (find(OPEN), find(HIGH), find(LOW), find(CLOSE));
    let time = match (find(TIMESTAMP), find(DATE), find(CLOCK)) {
        (Some(one), _, _) | (None, Some(one), None) | (None, None, Some(one)) => Some(TimeColumns::One(one)),
        (None, Some(date), Some(clock)) => Some(TimeColumns::Two(date, clock)),
        (None, None, None) => find(INDEX).map(TimeColumns::One),
    };
    match (time, open, high, low, close) {
        (Some(time), Some(open), Some(high), Some(low), Some(close)) => Ok(Layout {
            time,
            symbol: find(SYMBOL),
            series: find(SERIES),
            open,
            high,
            low,
            close,
            volume: find(VOLUME),
        }),
        _ => Err(other_than_candles(
            &bare,
            names,
            [time.is_some(), open.is_some(), high.is_some(), low.is_some(), close.is_some()],
        )),
    }
}

/// Options and futures, told by their strike, right or expiry.
fn derivative(bare: &[String]) -> Option<String> {
    let any = |words: &[&str]| bare.iter().any(|name| words.iter().any(|word| name.contains(word)));
    if any(&["strike", "strprice", "opttype", "optiontype", "optiontp", "strkpric"])
        || bare.iter().any(|name| name == "right")
    {
        return Some("an option chain (it has strikes)".to_owned());
    }
    if any(&["expiry", "expdate", "xprydt"]) {
        return Some("futures of several expiries (it has an expiry column)".to_owned());
    }
    None
}

fn other_than_candles(bare: &[String], names: &[String], found: [bool; 5]) -> String {
    let any = |words: &[&str]| bare.iter().any(|name| words.iter().any(|word| name.contains(word)));
    let has = |word: &str| bare.iter().any(|name| name == word);
    let traded = (has("price") || has("lastprice")) && (has("qty") || has("quantity") || has("size") || has("amount"));
    if any(&["bidp", "bidq", "askp", "askq", "bidsize", "asksize"]) || has("bid") || has("ask") {
        let ticks = any(&["lastprice", "ltp"]);
        return if ticks { "ticks with an order book" } else { "quotes of an order book" }.to_owned();
    }
    if traded && any(&["tradeid", "aggtradeid", "isbuyermaker", "buyerismaker"]) {
        return "single trades".to_owned();
    }
    if traded && has("side") {
        return "updates of an order book or single trades".to_owned();
    }
    if any(&["lastprice", "ltp"]) {
        return "ticks (last prices)".to_owned();
    }
    let roles = ["a time", "open", "high", "low", "close"];
    let missing: Vec<_> = roles.iter().zip(found).filter(|(_, found)| !found).map(|(role, _)| *role).collect();
    let mut shown = names.iter().take(12).map(|name| name.trim()).collect::<Vec<_>>().join(", ");
    shown.truncate(shown.char_indices().nth(160).map_or(shown.len(), |(at, _)| at));
    format!("a table without {} (its columns are: {shown})", missing.join(", "))
}

/// The columns of a file without a header, from its first rows: text that is not a time is the symbol, then a time
/// or a date and a clock, then open, high, low, close and, if there is one more, volume.
pub(crate) fn by_values(rows: &[Vec<String>]) -> Option<Layout> {
    let width = rows.iter().map(Vec::len).min()?;
    let column = |at: usize| rows.iter().map(move |row| row[at].as_bytes());
    let is_time = |at: usize| {
        column(at).all(|cell| {
            time::from_text(cell, DateOrder::DayFirst).is_some()
                || time::from_text(cell, DateOrder::MonthFirst).is_some()
        })
    };
    let is_number = |at: usize| column(at).all(|cell| number::from_text(cell, true).is_ok());
    let is_clock = |at: usize| {
        column(at).all(|cell| cell.contains(&b':') && time::from_two(b"20000103", cell, DateOrder::DayFirst).is_some())
    };
    let time_at = (0..width.min(4)).find(|&at| is_time(at))?;
    let clock_at = Some(time_at + 1).filter(|&at| at < width && is_clock(at));
    let symbol = (0..time_at).find(|&at| !is_number(at) && column(at).all(|cell| !cell.is_empty()));
    let first = clock_at.unwrap_or(time_at) + 1;
    if first + 4 > width || !(first..first + 4).all(is_number) {
        return None;
    }
    let layout = Layout {
        time: clock_at.map_or(TimeColumns::One(time_at), |clock| TimeColumns::Two(time_at, clock)),
        symbol,
        series: None,
        open: first,
        high: first + 1,
        low: first + 2,
        close: first + 3,
        volume: Some(first + 4).filter(|&at| at < width && is_number(at)),
    };
    most_rows_are_candles(rows, &layout).then_some(layout)
}

/// A guess from values is taken only where high and low really are the extremes.
fn most_rows_are_candles(rows: &[Vec<String>], layout: &Layout) -> bool {
    let good = rows.iter().filter(|row| {
        let value = |at: usize| number::from_text(row[at].as_bytes(), true).unwrap_or(0);
        let (open, high, low, close) = (value(layout.open), value(layout.high), value(layout.low), value(layout.close));
        low <= open && low <= close && open <= high && close <= high && low > 0
    });
    good.count() * 10 >= rows.len() * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(header: &str) -> Result<Layout, String> {
        by_name(&header.split(',').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn names_of_many_vendors() {
        let layout = named("SYMBOL, SERIES, DATE1, PREV_CLOSE, OPEN_PRICE, HIGH_PRICE, LOW_PRICE, LAST_PRICE, CLOSE_PRICE, AVG_PRICE, TTL_TRD_QNTY").unwrap();
        assert_eq!(layout.time, TimeColumns::One(2));
        assert_eq!((layout.symbol, layout.series, layout.volume), (Some(0), Some(1), Some(10)));
        assert_eq!((layout.open, layout.high, layout.low, layout.close), (4, 5, 6, 8), "not previous or last");
        let layout = named("Code,Date,Open,High,Low,Close,Volume").unwrap();
        assert_eq!((layout.symbol, layout.time), (Some(0), TimeColumns::One(1)));
        let layout = named("date,time,open,high,low,close").unwrap();
        assert_eq!((layout.time, layout.volume), (TimeColumns::Two(0, 1), None));
        let layout = named("unix,date,symbol,open,high,low,close,Volume BTC").unwrap();
        assert_eq!(layout.time, TimeColumns::One(0));
        assert_eq!(named("Datetime,Open,High,Low,Close,Adj Close,Volume").unwrap().close, 4);
        assert_eq!(named("open,high,low,close,volume,__index_level_0__").unwrap().time, TimeColumns::One(5));
    }

    #[test]
    fn what_is_not_candles_is_named() {
        for (header, words) in [
            ("INSTRUMENT,SYMBOL,EXP_DATE,STR_PRICE,OPT_TYPE,OPEN_PRICE,HI_PRICE,LO_PRICE,CLOSE_PRICE", "option chain"),
            ("timestamp,symbol,strike,right,open,high,low,close,volume", "option chain"),
            ("timestamp,symbol,expiry,open,high,low,close,volume,oi", "futures of several expiries"),
            ("local_ts,exch_ts,update_id,bid_px,bid_qty,ask_px,ask_qty", "quotes of an order book"),
            ("local_ts,exch_ts,trade_id,price,qty,buyer_is_maker", "single trades"),
            ("local_ts,exch_ts,first_id,last_id,side,price,qty", "updates of an order book"),
            ("Symbol,exchange_timestamp,last_price,volume_traded,bid_price_1,ask_price_1", "ticks"),
            ("timestamp,pe,pb,div_yield", "a table without open, high, low, close"),
        ] {
            let seems = named(header).unwrap_err();
            assert!(seems.contains(words), "{header}: {seems}");
        }
    }

    #[test]
    fn a_file_without_header_is_read_by_its_values() {
        let rows = |lines: &[&str]| {
            lines.iter().map(|line| line.split(',').map(str::to_owned).collect()).collect::<Vec<Vec<String>>>()
        };
        let layout = by_values(&rows(&["HDFCBANK_F1,20130624,13:03,631.65,631.95,631.65,631.95,1500"])).unwrap();
        assert_eq!((layout.symbol, layout.time), (Some(0), TimeColumns::Two(1, 2)));
        assert_eq!((layout.open, layout.close, layout.volume), (3, 6, Some(7)));
        let klines =
            by_values(&rows(&["1499040000000,0.0163,0.8,0.0157,0.0158,148976.1,1499644799999,2434.1,308,1,2,3"]));
        assert_eq!(klines.unwrap().time, TimeColumns::One(0));
        assert_eq!(by_values(&rows(&["1,2,3,4,5,6"])), None);
        assert_eq!(by_values(&rows(&["2024-01-01,5,1,9,5"])), None, "the high is below the low");
        assert_eq!(by_values(&[]), None);
    }
}
