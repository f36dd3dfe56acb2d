//! The parity profiles against what the packages themselves did: fills and cash, order by order, through the real binary.
//!
//! - `parity/` holds made-up bars (225 candles of five minutes, three days), lists of orders on them, and the fills
//!   that backtrader 1.9.78.123 and vectorbt 1.2.0 gave for those lists, charges 0.03 % of each fill. They are frozen:
//!   no test needs either package.
//! - vectorbt has no orders that rest but the stop and the target of a position; those and market orders are compared.
//! - BT-27, BT-28: fill bar, order sequence, exits' first bar and buying power each change a fill here.

use crate::desk::Desk;
use std::fs;
use std::path::Path;

fn desk() -> Desk {
    let desk = Desk::new();
    desk.works(&[
        "ingest",
        &frozen("bars.csv"),
        "--journal",
        "m",
        "--market",
        "nse",
        "--symbol",
        "X",
        "--interval",
        "5m",
    ]);
    desk
}

/// Fills and cash of a list under a profile.
fn trade(desk: &Desk, profile: &str, list: &str, cash: &str, more: &[&str]) -> (Vec<Fill>, f64) {
    let file = format!("file={}", frozen(list));
    let arguments = ["backtest", "--journal", "m", "--strategy", "orders", "--set", &file, "--out", "r", "--force"];
    let settings = ["--profile", profile, "--cash", cash, "--costs", "bps:3"];
    desk.works(&[&arguments[..], &settings, more].concat());
    assert_eq!(desk.json(&["audit", "r"])["verdict"], "equal");
    (fills(&desk.path("r/fills.csv")), last_cash(&desk.path("r")))
}

fn frozen(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/product/parity").join(name).display().to_string()
}

/// Time, side, quantity, price.
#[derive(Debug, Clone, PartialEq)]
struct Fill(String, String, f64, f64);

/// The rows of a table by the names of its columns; remarks are left out.
fn fills(path: &Path) -> Vec<Fill> {
    let text = fs::read_to_string(path).expect("a table of fills");
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let columns: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let place = |name: &str| columns.iter().position(|column| *column == name).expect("the column is there");
    let places = [place("time"), place("side"), place("quantity"), place("price")];
    let fill = |line: &str| {
        let values: Vec<&str> = line.split(',').collect();
        let [time, side, quantity, price] = places.map(|place| values[place].to_owned());
        Fill(time, side, quantity.parse().expect("a number"), price.parse().expect("a number"))
    };
    lines.map(fill).collect()
}

fn last_cash(run: &Path) -> f64 {
    let text = fs::read_to_string(run.join("equity.csv")).expect("the table of sessions");
    let columns: Vec<&str> = text.lines().next().expect("a header").split(',').collect();
    let cash = columns.iter().position(|column| *column == "cash").expect("cash is a column");
    text.lines().last().expect("a session").split(',').nth(cash).expect("a value").parse().expect("a number")
}

/// The package's fills and cash.
fn theirs(name: &str) -> (Vec<Fill>, f64) {
    let path = Path::new(&frozen(name)).to_owned();
    let text = fs::read_to_string(&path).expect("frozen fills");
    let cash = text.lines().find_map(|line| line.strip_prefix("# cash ")).expect("their cash");
    (fills(&path), cash.parse().expect("a number"))
}

/// A fill is learned at its bar's close, there as here. Equal are bar, side and quantity, and the price to a millionth:
/// theirs are binary floats.
fn assert_equal(name: &str, (ours, our_cash): (Vec<Fill>, f64)) {
    let (fills, cash) = theirs(name);
    let same = |our: &Fill, their: &Fill| (&our.0, &our.1, our.2) == (&their.0, &their.1, their.2);
    for (number, (our, their)) in ours.iter().zip(&fills).enumerate() {
        let equal = same(our, their) && (our.3 - their.3).abs() < 1e-6;
        assert!(equal, "{name}, fill {number}: ours {our:?}, theirs {their:?}");
    }
    assert_eq!(ours.len(), fills.len(), "{name}: as many fills");
    assert!((our_cash - cash).abs() < 1e-4, "{name}: cash {our_cash}, theirs {cash}");
}

/// Market, limit, stop, stop-limit and bracket orders on both sides, several of them working at a time.
#[test]
fn bt_28_the_profile_backtrader_fills_as_backtrader_does() {
    let desk = desk();
    assert_equal("backtrader-orders.csv", trade(&desk, "backtrader", "orders.csv", "1000000", &[]));
    assert_equal("backtrader-brackets.csv", trade(&desk, "backtrader", "brackets.csv", "1000000", &[]));
}

/// Orders that the purse does not cover: refused when submitted, or at the fill; shorts bring in cash.
#[test]
fn bt_28_the_profile_backtrader_asks_for_cash_as_backtrader_does() {
    assert_equal("backtrader-short-of-cash.csv", trade(&desk(), "backtrader", "orders.csv", "2600", &[]));
}

/// Market orders at the close of their own bar, cut down to the cash there is; positions with a stop and a target.
#[test]
fn bt_28_the_profile_vectorbt_fills_as_vectorbt_does() {
    let desk = desk();
    assert_equal("vectorbt-market.csv", trade(&desk, "vectorbt", "market-orders.csv", "2600", &[]));
    assert_equal("vectorbt-brackets.csv", trade(&desk, "vectorbt", "entries.csv", "1000000", &[]));
}

/// BT-27: every choice that a profile makes changes fills; with our own in its place they are no longer the package's.
#[test]
fn bt_27_every_choice_of_a_profile_matters() {
    let desk = desk();
    for (profile, list, cash, package, choice) in [
        ("backtrader", "brackets.csv", "1000000", "backtrader-brackets.csv", "exchange.exits_from=fill"),
        ("backtrader", "orders.csv", "1000000", "backtrader-orders.csv", "exchange.sequence=path"),
        ("backtrader", "orders.csv", "2600", "backtrader-short-of-cash.csv", "exchange.buying_power=held"),
        ("vectorbt", "market-orders.csv", "2600", "vectorbt-market.csv", "exchange.buying_power=held"),
        ("vectorbt", "market-orders.csv", "2600", "vectorbt-market.csv", "exchange.fill_bar=next"),
        ("vectorbt", "entries.csv", "1000000", "vectorbt-brackets.csv", "exchange.fill_bar=close"),
        ("vectorbt", "entries.csv", "1000000", "vectorbt-brackets.csv", "exchange.off_tick=round"),
    ] {
        let (ours, _) = trade(&desk, profile, list, cash, &["--set", choice]);
        assert_ne!(ours, theirs(package).0, "{profile} with {choice} on {list}");
    }
}
