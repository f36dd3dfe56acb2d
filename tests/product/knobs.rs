//! Settings of fills and funds as a user meets them: in the header, at the top of the report, in errors (BT-07, BT-27, BT-46).
//!
//! - Markets are files of a few candles.

use crate::desk::Desk;

/// Six candles of five minutes on Monday 2 June 2025 from 09:15 on, the last one at 09:40.
const BARS: &str = "timestamp,open,high,low,close,volume\n\
    2025-06-02T03:45:00Z,100,101,99,100,1000\n2025-06-02T03:50:00Z,102,106,101,103,1000\n\
    2025-06-02T03:55:00Z,103,104,102,103,1000\n2025-06-02T04:00:00Z,104,105,103,104,1000\n\
    2025-06-02T04:05:00Z,105,106,104,105,1000\n2025-06-02T04:10:00Z,106,107,105,106,1000\n";

const MARKET: &str = "time,symbol,side,type,quantity\n2025-06-02T03:50:00Z,X,BUY,,10\n";

fn desk(market: &str) -> Desk {
    let desk = Desk::new();
    desk.write("bars.csv", BARS);
    desk.write("orders.csv", MARKET);
    desk.works(&["ingest", "bars.csv", "--journal", "m", "--market", market, "--symbol", "X", "--interval", "5m"]);
    desk
}

const RUN: [&str; 10] =
    ["backtest", "--journal", "m", "--strategy", "orders", "--set", "file=orders.csv", "--force", "--out", "r"];

/// Time and price of the fills.
fn fills(desk: &Desk, more: &[&str]) -> Vec<(String, String)> {
    desk.works(&[&RUN[..], more].concat());
    assert_eq!(desk.json(&["audit", "r"])["verdict"], "equal", "{more:?}");
    let text = desk.text("r/fills.csv");
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().expect("a header");
    let place = |name: &str| head.iter().position(|column| *column == name).expect("the column");
    let (time, price) = (place("exchange_time"), place("price"));
    lines.map(|row| (row[time].to_owned(), row[price].to_owned())).collect()
}

/// BT-07, BT-27: the next open is the default and has no mark; whatever looks back, or is kinder than an exchange, is said
/// at the top of the report; every value has a header of its own.
#[test]
fn bt_07_what_no_exchange_offers_is_marked_in_the_report() {
    let desk = desk("nse");
    let mut heads = std::collections::BTreeSet::new();
    for (choice, price, marks) in [
        ("exchange.fill_bar=next", "102", &[][..]),
        ("exchange.fill_bar=close", "100", &["that the decision had seen"]),
        ("exchange.market_price=vwap", "103.34", &["known when the bar is over"]),
        ("exchange.market_price=mid", "103.5", &["known when the bar is over"]),
        ("exchange.stop_fill=next-open", "102", &["better than the stop"]),
        ("exchange.stop_fill=extreme", "102", &[]),
        ("exchange.trail_timing=before", "102", &["had come first"]),
        ("exchange.settlement=1", "102", &[]),
        ("exchange.cash_buffer_pct=10", "102", &[]),
        ("portfolio.headroom=0.998", "102", &[]),
    ] {
        let found = fills(&desk, &["--set", choice]);
        assert_eq!(found.iter().map(|(_, price)| price.as_str()).collect::<Vec<_>>(), [price], "{choice}");
        let page = desk.text("r/report.html");
        let all =
            ["that the decision had seen", "known when the bar is over", "better than the stop", "had come first"];
        for mark in all {
            assert_eq!(page.contains(mark), marks.contains(&mark), "{choice}: {mark}");
        }
        let header = desk.works(&["journal", "cat", "r", "--kind", "session-header"]);
        assert!(heads.insert(header), "{choice}: a header of its own");
    }
    let shown = desk.works(&["config", "show"]);
    for key in ["exchange.market_price", "exchange.settlement", "portfolio.rebalance", "risk.maintenance_pct"] {
        assert!(shown.contains(key), "{key}");
    }
    desk.fails(&[&RUN[..], &["--set", "exchange.settlement=11"]].concat(), &["exchange.settlement", "0 to 10"]);
}

/// BT-27: the calendar says when a session ends, and so where an order for the close trades.
#[test]
fn bt_27_the_calendar_decides_where_the_close_is() {
    let close = "time,symbol,side,type,quantity\n2025-06-02T03:50:00Z,X,BUY,market-on-close,10\n";
    // At NSE, and in a market that never closes, no candle of this day is the last one.
    for market in ["nse", "generic"] {
        let desk = desk(market);
        desk.write("orders.csv", close);
        assert_eq!(fills(&desk, &[]), [], "{market}");
    }
    let desk = Desk::new();
    desk.write(
        "half-hour.toml",
        "market = \"half-hour\"\nzone = \"+05:30\"\nsessions_per_year = 252\nyears = [2025]\n\
         weekdays = [\"Mon\", \"Tue\", \"Wed\", \"Thu\", \"Fri\"]\n[[hours]]\ncontinuous = [\"09:15-09:45\"]\n",
    );
    desk.write("bars.csv", BARS);
    desk.write("orders.csv", close);
    let market = ["--market", "half-hour.toml", "--symbol", "X", "--interval", "5m"];
    desk.works(&[&["ingest", "bars.csv", "--journal", "m"], &market[..]].concat());
    desk.write("daybook.toml", "calendar.file = \"half-hour.toml\"\n");
    let own = fills(&desk, &[]);
    assert_eq!(own.iter().map(|(_, price)| price.as_str()).collect::<Vec<_>>(), ["106"], "at 09:45, where it ends");
}

/// BT-46: a row that was decided before its symbol's first candle could be seen ends the run, and says why.
#[test]
fn bt_46_a_decision_before_its_data_ends_the_run() {
    let desk = desk("nse");
    desk.write("orders.csv", "time,symbol,side,quantity\n2025-06-02T03:44:00Z,X,BUY,10\n");
    desk.fails(&RUN, &["'X'", "before its first candle opened", "begin the run earlier"]);
    // At the open itself the candle has begun, and the row waits for its end.
    desk.write("orders.csv", "time,symbol,side,quantity\n2025-06-02T03:45:00Z,X,BUY,10\n");
    assert_eq!(fills(&desk, &[])[0].1, "102");
}

/// What the charges do not say stands on the terminal, in the summary and on the page: that there are none, that they are
/// those of another product or market, and that shares sold short were held over night. The profile realistic charges by
/// date, and by the product.
#[test]
fn what_the_charges_do_not_say_is_said() {
    let desk = desk("nse");
    let later = BARS.lines().skip(1).map(|line| line.replace("2025-06-02", "2025-06-03") + "\n");
    desk.write("two.csv", BARS.to_owned() + &later.collect::<String>());
    for market in ["nse", "generic"] {
        let named = ["--market", market, "--symbol", "X", "--interval", "5m"];
        desk.works(&[&["ingest", "two.csv", "--journal", market], &named[..]].concat());
    }
    let list = |first: &str, second: &str, date: &str| {
        format!("time,symbol,side,quantity\n2025-06-02T03:50:00Z,X,{first},10\n{date}T04:00:00Z,X,{second},10\n")
    };
    desk.write("day.csv", list("SELL", "BUY", "2025-06-02"));
    desk.write("long.csv", list("BUY", "SELL", "2025-06-03"));
    desk.write("short.csv", list("SELL", "BUY", "2025-06-03"));
    let (free, nights, shorts, abroad) =
        ("No charges", "1 trade held over night under", "1 short of shares held over night", "rates of the NSE");
    let intraday = ["--costs", "zerodha-intraday"];
    let realistic = ["--profile", "realistic"];
    let product = ["--profile", "realistic", "--set", "exchange.product=intraday"];
    let own = ["--profile", "realistic", "--costs", "none"];
    for (journal, orders, more, costs, marks) in [
        ("nse", "day.csv", &[][..], "none", &[free][..]),
        ("nse", "day.csv", &intraday, "zerodha-intraday", &[]),
        ("nse", "long.csv", &intraday, "zerodha-intraday", &[nights]),
        ("nse", "short.csv", &["--costs", "zerodha-delivery"], "zerodha-delivery", &[shorts]),
        ("nse", "long.csv", &realistic, "zerodha-delivery", &[]),
        ("nse", "day.csv", &product, "zerodha-intraday", &[]),
        ("nse", "long.csv", &own, "none", &[free]),
        ("generic", "short.csv", &realistic, "zerodha-delivery", &[abroad]),
    ] {
        let list = format!("file={orders}");
        let run = ["backtest", "--journal", journal, "--strategy", "orders", "--set", &list, "--force", "--out", "r"];
        let told = desk.works(&[&run[..], more].concat());
        let context = format!("{journal} {orders} {more:?}: {told}");
        let header = desk.works(&["journal", "cat", "r", "--kind", "session-header"]);
        assert!(header.contains(&format!("\"costs\":\"{costs}\"")), "{context}");
        let summary: serde_json::Value = serde_json::from_str(&desk.text("r/summary.json")).expect("JSON");
        assert_eq!(summary["trades"], 1, "{context}");
        assert_eq!(summary["fees_total"].as_str().is_some_and(|fees| fees != "0"), costs != "none", "{context}");
        let (summary, page) = (summary["warnings"].to_string(), desk.text("r/report.html"));
        for mark in [free, nights, shorts, abroad] {
            for place in [&told, &summary, &page] {
                assert_eq!(place.contains(mark), marks.contains(&mark), "{mark}: {context}");
            }
        }
        assert!(page.contains("<span>Plan adherence %</span><b class=\"\">—</b>"), "no plan: {context}");
    }
}
