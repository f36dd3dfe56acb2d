//! The list behind the strategy `orders`: a CSV file of orders, named in a header by its content hash alone.
//!
//! - On the command line `file` is a path; in the header it is the hash of the file's bytes, so that nothing of this
//!   machine enters a session. A run keeps a copy of its list beside its journal.
//! - The first line names the columns, in any order: `time` and `symbol`, and as far as a row needs them `action` (place,
//!   place-if-flat, modify, cancel, cancel-all), `id`, `side`, `type`, `quantity`, `limit`, `stop`, `trail`, `trail_bps`,
//!   `tif`, `expires`, `bracket_stop`, `bracket_target` (a price, or a percentage such as 3%), `group`, `reason`.
//! - A row that means nothing is refused with its line before anything runs; what an exchange refuses is no such fault.
//! - Must never: trade a list that does not hash to what the header says.

use crate::catalog::Selection;
use crate::error::ReplayError;
use daybook_core::strategy::orders::{Line, Listed};
use daybook_core::strategy::{Parameter, Strategy};
use daybook_core::{Bracket, Level, OrderChange, OrderRequest};
use daybook_vocabulary::{Label, Nanos, OrderType, Price, Quantity, Side, TimeInForce, Trail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use daybook_core::strategy::orders::{ABOUT, NAME};

/// What `--set` takes.
pub const PARAMETERS: &[Parameter] =
    &[Parameter { name: "file", default: "", about: "a CSV file of orders: time, symbol, side, type, quantity, ..." }];
/// The name of a list in a run.
pub const LIST_FILE: &str = "list.csv";

const COLUMNS: [&str; 17] = [
    "time",
    "symbol",
    "action",
    "id",
    "side",
    "type",
    "quantity",
    "limit",
    "stop",
    "trail",
    "trail_bps",
    "tif",
    "expires",
    "bracket_stop",
    "bracket_target",
    "group",
    "reason",
];

/// A list and where it lies.
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// Hash of its bytes.
    pub hash: String,
    text: String,
}

/// A row whose symbol is not looked up yet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    line: usize,
    time: Nanos,
    symbol: String,
    what: Line,
}

/// The list at a path, checked.
pub fn open(value: &str) -> Result<Found, ReplayError> {
    if value.is_empty() {
        return Err(ReplayError::Orders(
            "give --set file=FILE: a CSV file of orders with its columns named".to_owned(),
        ));
    }
    let found = read(Path::new(value))?;
    rows(&found)?;
    Ok(found)
}

/// The list of a hash in one of some places.
pub fn find(hash: &str, places: &[PathBuf]) -> Result<Found, ReplayError> {
    let files = |place: &PathBuf| [place.clone(), place.join(LIST_FILE)];
    for path in places.iter().flat_map(files).filter(|path| path.is_file()) {
        let found = read(&path)?;
        if found.hash == hash {
            return Ok(found);
        }
    }
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    Err(ReplayError::Orders(format!(
        "the session traded the list of orders {hash}, which is not in {}: copy it there as {LIST_FILE}",
        if places.is_empty() { "any known place".to_owned() } else { places.join(", ") }
    )))
}

/// The strategy that trades the list.
pub fn build(found: &Found, selection: &Selection) -> Result<Box<dyn Strategy>, ReplayError> {
    let mut lines = vec![Vec::new(); selection.instruments.len()];
    for row in rows(found)? {
        let place = selection.instruments.iter().position(|instrument| instrument.symbol == row.symbol);
        let Some(place) = place else {
            let known: Vec<_> = selection.instruments.iter().map(|instrument| instrument.symbol.as_str()).collect();
            let nearest = daybook_config::nearest_first(&row.symbol, known);
            return Err(fault(
                &found.path,
                row.line,
                format!(
                    "the session does not trade '{}'; did you mean {}?",
                    row.symbol.escape_debug(),
                    nearest.first().copied().unwrap_or_default()
                ),
            ));
        };
        lines[place].push((row.time, row.what));
    }
    Ok(Box::new(Listed::new(lines)))
}

fn read(path: &Path) -> Result<Found, ReplayError> {
    let bytes = std::fs::read(path).map_err(ReplayError::file(path))?;
    let hash = blake3::hash(&bytes).to_hex().to_string();
    let text = String::from_utf8(bytes).map_err(|_| fault(path, 0, "it is not UTF-8 text".to_owned()))?;
    Ok(Found { path: path.to_owned(), hash, text })
}

fn fault(path: &Path, line: usize, what: String) -> ReplayError {
    ReplayError::Orders(format!("{}:{line}: {what}", path.display()))
}

fn rows(found: &Found) -> Result<Vec<Row>, ReplayError> {
    let text = found.text.strip_prefix('\u{feff}').unwrap_or(&found.text);
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_end()));
    let Some((_, header)) = lines.next() else {
        return Err(fault(
            &found.path,
            1,
            format!("it is empty: the first line names the columns, such as {}", COLUMNS.join(",")),
        ));
    };
    let columns: Vec<&str> = header.split(',').map(str::trim).collect();
    for (index, column) in columns.iter().enumerate() {
        if !COLUMNS.contains(column) || columns[..index].contains(column) {
            let known = COLUMNS.join(", ");
            return Err(fault(
                &found.path,
                1,
                format!("column '{}' is unknown or named twice; the columns are {known}", column.escape_debug()),
            ));
        }
    }
    let mut rows = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let values: Vec<&str> = line.split(',').map(str::trim).collect();
        if values.len() != columns.len() {
            let what = format!("{} values under {} columns", values.len(), columns.len());
            return Err(fault(&found.path, number, what));
        }
        let cells = columns.iter().copied().zip(values).filter(|(_, value)| !value.is_empty()).collect();
        rows.push(row(number, &Cells(cells)).map_err(|what| fault(&found.path, number, what))?);
    }
    Ok(rows)
}

/// The values of a row by column, empty ones left out.
struct Cells<'a>(BTreeMap<&'a str, &'a str>);

impl Cells<'_> {
    fn text(&self, column: &str) -> Option<&str> {
        self.0.get(column).copied()
    }

    fn parsed<T: FromStr>(&self, column: &str, expected: &str) -> Result<Option<T>, String> {
        let parse = |text: &&str| {
            text.parse().map_err(|_| format!("{column} '{}' does not do: expected {expected}", text.escape_debug()))
        };
        self.0.get(column).map(parse).transpose()
    }

    fn wanted<T: FromStr>(&self, column: &str, expected: &str) -> Result<T, String> {
        self.parsed(column, expected)?.ok_or_else(|| format!("{column} is missing: expected {expected}"))
    }

    /// One of several words.
    fn word<T: Copy>(&self, column: &str, known: &[T], word: impl Fn(T) -> &'static str) -> Result<Option<T>, String> {
        let Some(text) = self.text(column) else { return Ok(None) };
        let found = known.iter().copied().find(|value| word(*value).eq_ignore_ascii_case(text));
        let names = || known.iter().map(|value| word(*value)).collect::<Vec<_>>().join(", ");
        found.map(Some).ok_or_else(|| format!("{column} '{}' does not do: expected {}", text.escape_debug(), names()))
    }

    /// A price, or a percentage of the price of the fill.
    fn level(&self, column: &str) -> Result<Option<Level>, String> {
        let expected = || format!("{column}: expected a price, or a percentage such as 3%");
        let level = |text: &str| match text.strip_suffix('%') {
            Some(percent) => percent.parse().map(Level::Percent).map_err(|_| expected()),
            None => text.parse().map(Level::At).map_err(|_| expected()),
        };
        self.text(column).map(level).transpose()
    }
}

fn row(line: usize, cells: &Cells<'_>) -> Result<Row, String> {
    let time = cells.wanted("time", "an RFC 3339 time such as 2025-01-31T09:20:00+05:30")?;
    let symbol = cells.wanted("symbol", "a symbol")?;
    const ACTIONS: [&str; 5] = ["place", "place-if-flat", "modify", "cancel", "cancel-all"];
    let what = match cells.word("action", &ACTIONS, |word| word)?.unwrap_or("place") {
        "cancel-all" => Line::CancelAll,
        "cancel" => Line::Cancel(cells.wanted("id", "the number of the order, from 1")?),
        "modify" => {
            let id = cells.wanted("id", "the number of the order, from 1")?;
            let quantity = cells.parsed("quantity", "a quantity")?;
            let price = "a price";
            let change =
                OrderChange { quantity, limit: cells.parsed("limit", price)?, stop: cells.parsed("stop", price)? };
            Line::Modify(id, change)
        }
        "place-if-flat" => Line::PlaceIfFlat(order(cells)?),
        _ => Line::Place(order(cells)?),
    };
    Ok(Row { line, time, symbol, what })
}

fn order(cells: &Cells<'_>) -> Result<OrderRequest, String> {
    let side = cells.word("side", Side::ALL, Side::word)?.ok_or("side is missing: expected BUY or SELL")?;
    let quantity: Quantity = cells.wanted("quantity", "a quantity")?;
    let order_type = cells.word("type", OrderType::ALL, OrderType::word)?.unwrap_or(OrderType::Market);
    let expires = cells.parsed("expires", "an RFC 3339 time")?;
    let lasting = if expires.is_some() { TimeInForce::Gtd } else { TimeInForce::Gtc };
    let trail =
        match (cells.parsed::<Price>("trail", "a price difference")?, cells.parsed("trail_bps", "basis points")?) {
            (Some(_), Some(_)) => return Err("trail and trail_bps are both given: one distance is enough".to_owned()),
            (Some(distance), None) => Some(Trail::Price(distance)),
            (None, share) => share.map(Trail::Percent),
        };
    let bracket = Bracket { stop: cells.level("bracket_stop")?, target: cells.level("bracket_target")? };
    Ok(OrderRequest {
        order_type,
        time_in_force: cells.word("tif", TimeInForce::ALL, TimeInForce::word)?.unwrap_or(lasting),
        limit: cells.parsed("limit", "a price")?,
        stop: cells.parsed("stop", "a price")?,
        trail,
        expires,
        client: cells.parsed("id", "the order's number, from 1")?.unwrap_or(0),
        group: cells.parsed("group", "a whole number from 1")?.unwrap_or(0),
        bracket: Some(bracket).filter(|bracket| bracket.stop.is_some() || bracket.target.is_some()),
        reason: Label::new(cells.text("reason").unwrap_or("listed")),
        ..OrderRequest::market(side, quantity, "")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Found {
        Found { path: PathBuf::from("list.csv"), hash: String::new(), text: text.to_owned() }
    }

    const HEAD: &str =
        "time,symbol,action,id,side,type,quantity,limit,stop,bracket_stop,bracket_target,tif,expires,trail";

    #[test]
    fn every_kind_of_row_is_read() {
        let text = format!(
            "{HEAD}\n# a remark\n2025-01-31T09:20:00+05:30,X,,7,buy,,10,,,97.5,6%,,,\n\
             2025-01-31T09:25:00+05:30,X,place-if-flat,,SELL,stop-limit,5,99,99.5,,,day,,\n\
             2025-01-31T09:25:00+05:30,X,,,SELL,trailing-stop,5,,,,,,2025-01-31T15:00:00+05:30,1.5\n\
             2025-01-31T09:30:00+05:30,X,modify,7,,,,101.5,,,,,,\n\
             2025-01-31T09:35:00+05:30,X,cancel,7,,,,,,,,,,\n2025-01-31T09:40:00+05:30,X,cancel-all,,,,,,,,,,,\n"
        );
        let rows = rows(&found(&text)).unwrap();
        assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8]);
        let Line::Place(market) = rows[0].what else { panic!("{:?}", rows[0]) };
        let price = |text: &str| text.parse::<Price>().unwrap();
        assert_eq!((market.side, market.client, market.time_in_force), (Side::Buy, 7, TimeInForce::Gtc));
        let bracket = Bracket { stop: Some(Level::At(price("97.5"))), target: Some(Level::Percent(price("6"))) };
        assert_eq!(market.bracket, Some(bracket));
        let Line::PlaceIfFlat(stop_limit) = rows[1].what else { panic!("{:?}", rows[1]) };
        assert_eq!((stop_limit.limit, stop_limit.stop), (Some(price("99")), Some(price("99.5"))));
        let Line::Place(trailing) = rows[2].what else { panic!("{:?}", rows[2]) };
        assert_eq!((trailing.trail, trailing.time_in_force), (Some(Trail::Price(price("1.5"))), TimeInForce::Gtd));
        let change = OrderChange { limit: Some(price("101.5")), ..OrderChange::default() };
        assert_eq!((rows[3].what, rows[4].what), (Line::Modify(7, change), Line::Cancel(7)));
        assert_eq!(rows[5].what, Line::CancelAll);
    }

    #[test]
    fn what_means_nothing_is_refused_with_its_line() {
        let time = "2025-01-31T09:20:00+05:30";
        for (text, line, what) in [
            (String::new(), 1, "empty"),
            ("time,symbol,colour\n".to_owned(), 1, "'colour'"),
            ("time,symbol,time\n".to_owned(), 1, "'time'"),
            (format!("time,symbol\n{time}\n"), 2, "1 values under 2"),
            ("time,symbol\nsoon,X\n".to_owned(), 2, "'soon'"),
            (format!("time,symbol,side\n{time},X,BUY\n"), 2, "quantity is missing"),
            (format!("time,symbol,quantity\n\n{time},X,5\n"), 3, "side is missing"),
            (format!("time,symbol,side,quantity,type\n{time},X,BUY,5,limi\n"), 2, "'limi'"),
            (format!("time,symbol,action\n{time},X,cancel\n"), 2, "id is missing"),
            (format!("time,symbol,action\n{time},X,explode\n"), 2, "'explode'"),
            (format!("time,symbol,side,quantity,bracket_stop\n{time},X,BUY,5,3x\n"), 2, "bracket_stop"),
        ] {
            let message = rows(&found(&text)).unwrap_err().to_string();
            assert!(message.contains(&format!("list.csv:{line}: ")) && message.contains(what), "{text:?}: {message}");
        }
    }

    #[test]
    fn a_symbol_that_is_not_traded_is_refused() {
        let text = "time,symbol,side,quantity\n2025-01-31T09:20:00+05:30,RELIANC,BUY,5\n";
        let instrument = daybook_vocabulary::Instrument {
            market: "nse".to_owned(),
            symbol: "RELIANCE".to_owned(),
            tick: Price(1),
            lot: Quantity(1),
        };
        let selection = Selection { instruments: vec![instrument], interval: daybook_vocabulary::Interval::MINUTE };
        let Err(error) = build(&found(text), &selection) else { panic!("it was taken") };
        assert!(error.to_string().contains("list.csv:2") && error.to_string().contains("RELIANCE?"), "{error}");
    }
}
