//! Tables that limits on a portfolio look things up in: sectors of symbols, and their loadings on factors.
//!
//! - On the command line a table may be a file; what goes into a run's header is the table itself (`risk.sectors`,
//!   `risk.factors`), canonical and whole: a session is audited elsewhere with nothing but its journals.
//! - A file is CSV with its columns named. Sectors: a column `symbol` and a column `sector` (or `industry`, as the
//!   exchange's index lists have it); further columns are passed over. Factors: a column `symbol`, every other column is
//!   a factor with one number a row; an empty cell is no loading.
//! - Must never: guess. A symbol twice with two sectors, a number that is none, a table without rows: an error with its
//!   line.

use crate::error::ConfigError;
use crate::exchange::BySymbol;
use crate::settings::Settings;
use crate::value::Value;
use daybook_vocabulary::Ratio;
use std::collections::BTreeMap;
use std::path::Path;

/// A sector's name: some text without commas. Words are parted by one space.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sector(String);

impl Sector {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for Sector {
    fn read(text: &str) -> Option<Self> {
        let plain = !text.is_empty() && !text.contains(',') && text.split(' ').all(|word| !word.is_empty());
        (plain && !text.contains(|sign: char| sign.is_control())).then(|| Self(text.to_owned()))
    }
    fn print(&self) -> String {
        self.0.clone()
    }
}

/// What a symbol loads on factors, written `momentum=0.5;value=-0.2`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loadings(BTreeMap<String, Ratio>);

impl Loadings {
    /// The loading on a factor, where there is one.
    pub fn on(&self, factor: &str) -> Option<Ratio> {
        self.0.get(factor).copied()
    }

    /// The factors it has.
    pub fn factors(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Value for Loadings {
    fn read(text: &str) -> Option<Self> {
        let mut loadings = BTreeMap::new();
        for pair in text.split(';') {
            let (factor, loading) = pair.split_once('=').filter(|(factor, _)| is_factor(factor))?;
            if loadings.insert(factor.to_owned(), loading.parse().ok()?).is_some() {
                return None;
            }
        }
        Some(Self(loadings))
    }
    fn print(&self) -> String {
        let pairs: Vec<_> = self.0.iter().map(|(factor, loading)| format!("{factor}={loading}")).collect();
        pairs.join(";")
    }
}

fn is_factor(name: &str) -> bool {
    !name.is_empty() && !name.contains([',', ';', ':', '=']) && !name.contains(char::is_whitespace)
}

/// What an exposure may be, both ends allowed: written `LOW..HIGH`, or `N` for `-N..N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The lowest.
    pub low: Ratio,
    /// The highest.
    pub high: Ratio,
}

impl Value for Span {
    fn read(text: &str) -> Option<Self> {
        let span = match text.split_once("..") {
            Some((low, high)) => Self { low: low.parse().ok()?, high: high.parse().ok()? },
            None => {
                let most: Ratio = text.parse().ok()?;
                Self { low: Ratio(most.0.checked_neg()?), high: most }
            }
        };
        (span.low <= span.high).then_some(span)
    }
    fn print(&self) -> String {
        if self.low.0.checked_neg() == Some(self.high.0) {
            return self.high.to_string();
        }
        format!("{}..{}", self.low, self.high)
    }
}

/// The setting that a file's table becomes, and its text there; nothing for a key that names no such file.
pub fn inlined(key: &str, path: &Path) -> Result<Option<(&'static str, String)>, ConfigError> {
    Ok(match key {
        "risk.sector_file" => Some(("risk.sectors", sectors(path)?.print())),
        "risk.factor_file" => Some(("risk.factors", factors(path)?.print())),
        _ => None,
    })
}

impl Settings {
    /// Reads the tables that are named as files into the settings that hold them, so that the canonical form has all of
    /// them and no path. A table that is given both ways is an error: nobody could say which one is meant.
    pub fn take_in_tables(&mut self) -> Result<(), ConfigError> {
        if let Some(path) = self.risk_sector_file.take() {
            given_once("risk.sectors", self.risk_sectors.is_empty(), &path)?;
            self.risk_sectors = sectors(&path)?;
        }
        if let Some(path) = self.risk_factor_file.take() {
            given_once("risk.factors", self.risk_factors.is_empty(), &path)?;
            self.risk_factors = factors(&path)?;
        }
        Ok(())
    }
}

fn given_once(key: &str, is_free: bool, path: &Path) -> Result<(), ConfigError> {
    if is_free {
        return Ok(());
    }
    Err(fault(path, 0, format!("{key} is set too: give the table once, as a file or as a value")))
}

fn sectors(path: &Path) -> Result<BySymbol<Sector>, ConfigError> {
    let text = read(path)?;
    let (columns, rows) = table(path, &text)?;
    let symbol = column(path, &columns, &["symbol"])?;
    let sector = column(path, &columns, &["sector", "industry"])?;
    let mut known: BTreeMap<String, Sector> = BTreeMap::new();
    for (line, cells) in rows {
        // A comma parts the values of a setting, so a name does without.
        let words: Vec<_> = cells[sector].split([' ', '\t', ',']).filter(|word| !word.is_empty()).collect();
        let name = Sector::read(&words.join(" "))
            .ok_or_else(|| fault(path, line, "the sector is empty: leave the row out instead".to_owned()))?;
        let key = symbol_of(path, line, &cells[symbol])?;
        if let Some(other) = known.insert(key.clone(), name.clone())
            && other != name
        {
            let what = format!("'{key}' is in the sector '{}' above and in '{}' here", other.0, name.0);
            return Err(fault(path, line, what));
        }
    }
    Ok(BySymbol::of(known))
}

fn factors(path: &Path) -> Result<BySymbol<Loadings>, ConfigError> {
    let text = read(path)?;
    let (columns, rows) = table(path, &text)?;
    let symbol = column(path, &columns, &["symbol"])?;
    if let Some(name) = columns.iter().enumerate().find(|(place, name)| *place != symbol && !is_factor(name)) {
        let what = format!("'{}' is no name of a factor: no spaces, and none of , ; : =", name.1.escape_debug());
        return Err(fault(path, 1, what));
    }
    let mut known = BTreeMap::new();
    for (line, cells) in rows {
        let mut loadings = BTreeMap::new();
        for (place, name) in columns.iter().enumerate() {
            if place == symbol || cells[place].is_empty() {
                continue;
            }
            let loading: Ratio = cells[place].parse().map_err(|_| {
                let cell = cells[place].escape_debug();
                fault(path, line, format!("'{cell}' under {name} is no number with up to 8 decimal places"))
            })?;
            loadings.insert(name.clone(), loading);
        }
        let key = symbol_of(path, line, &cells[symbol])?;
        if loadings.is_empty() {
            continue;
        }
        if known.insert(key.clone(), Loadings(loadings)).is_some() {
            return Err(fault(path, line, format!("'{key}' has a row above")));
        }
    }
    Ok(BySymbol::of(known))
}

fn symbol_of(path: &Path, line: usize, cell: &str) -> Result<String, ConfigError> {
    if cell.is_empty() || cell.contains([',', ':']) {
        return Err(fault(path, line, format!("'{}' is no symbol", cell.escape_debug())));
    }
    Ok(cell.to_owned())
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let bytes = std::fs::read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    String::from_utf8(bytes).map_err(|_| fault(path, 0, "it is not UTF-8 text".to_owned()))
}

fn fault(path: &Path, line: usize, reason: String) -> ConfigError {
    let place = if line == 0 { path.display().to_string() } else { format!("{}:{line}", path.display()) };
    ConfigError::Format { place, reason }
}

type Rows = Vec<(usize, Vec<String>)>;

/// The names of the columns in lower case, and the rows that are not empty, each as wide as the first.
fn table(path: &Path, text: &str) -> Result<(Vec<String>, Rows), ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_end()));
    let (_, header) = lines.next().unwrap_or((1, ""));
    let columns: Vec<_> = cells(path, 1, header)?.iter().map(|name| name.to_lowercase()).collect();
    let mut rows = Vec::new();
    for (line, text) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let cells = cells(path, line, text)?;
        if cells.len() != columns.len() {
            let what = format!("{} values under {} columns", cells.len(), columns.len());
            return Err(fault(path, line, what));
        }
        rows.push((line, cells));
    }
    if rows.is_empty() {
        return Err(fault(path, 0, "it has no rows below its columns".to_owned()));
    }
    Ok((columns, rows))
}

/// The one column that has one of these names.
fn column(path: &Path, columns: &[String], names: &[&str]) -> Result<usize, ConfigError> {
    let mut found = columns.iter().enumerate().filter(|(_, name)| names.contains(&name.as_str()));
    match (found.next(), found.next()) {
        (Some((place, _)), None) => Ok(place),
        (None, _) => Err(fault(path, 1, format!("there is no column '{}'", names.join("' or '")))),
        _ => Err(fault(path, 1, format!("there are several columns '{}'", names.join("' or '")))),
    }
}

/// The cells of a line; a cell in quotes may hold commas, and two quotes for one.
fn cells(path: &Path, line: usize, text: &str) -> Result<Vec<String>, ConfigError> {
    let (mut cells, mut cell, mut quoted, mut signs) = (Vec::new(), String::new(), false, text.chars().peekable());
    while let Some(sign) = signs.next() {
        match sign {
            '"' if quoted && signs.peek() == Some(&'"') => {
                cell.push('"');
                signs.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            other => cell.push(other),
        }
    }
    if quoted {
        return Err(fault(path, line, "a quote is opened and never closed".to_owned()));
    }
    cells.push(cell.trim().to_owned());
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn values_read_back() {
        for (text, printed) in [("-0.5..0.8", "-0.5..0.8"), ("0.5", "0.5"), ("-1..1", "1"), ("0..0", "0")] {
            assert_eq!(Span::read(text).unwrap().print(), printed);
        }
        assert_eq!(Span::read("0.3").unwrap().low.to_string(), "-0.3");
        for bad in ["", "-0.5", "1..0", "a..b", "1...2", ".."] {
            assert!(Span::read(bad).is_none(), "{bad}");
        }
        let loadings = Loadings::read("value=-0.2;momentum=0.5").unwrap();
        assert_eq!(loadings.print(), "momentum=0.5;value=-0.2");
        assert_eq!((loadings.on("value").unwrap().to_string(), loadings.on("size")), ("-0.2".to_owned(), None));
        for bad in ["", "value", "=1", "value=x", "value=1;value=2", "a b=1"] {
            assert!(Loadings::read(bad).is_none(), "{bad}");
        }
        let table = BySymbol::<Sector>::read("INFY:Information Technology,TCS:Information Technology").unwrap();
        assert_eq!(table.print(), "INFY:Information Technology,TCS:Information Technology");
        for bad in ["", " A", "A  B", "A,B", "A\n"] {
            assert!(Sector::read(bad).is_none(), "{bad:?}");
        }
    }

    /// The exchange's index lists have a column Industry beside others.
    #[test]
    fn a_list_of_an_index_is_a_table_of_sectors() {
        let file = file(
            "\u{feff}Company Name,Industry,Symbol,Series,ISIN Code\nSun TV,\"Media, Entertainment\",SUNTV,EQ,X\n\
             Infosys,Information  Technology,INFY,EQ,Y\n",
        );
        assert_eq!(
            inlined("risk.sector_file", file.path()).unwrap().unwrap(),
            ("risk.sectors", "INFY:Information Technology,SUNTV:Media Entertainment".to_owned())
        );
        let mut settings = Settings { risk_sector_file: Some(file.path().to_owned()), ..Settings::default() };
        settings.take_in_tables().unwrap();
        assert!(settings.canonical_json().contains("INFY:Information Technology"));
        assert!(!settings.canonical_json().contains(&file.path().display().to_string()), "no path");
        assert_eq!(Settings::from_canonical_json(&settings.canonical_json()).unwrap(), settings);
        settings.risk_sector_file = Some(file.path().to_owned());
        assert!(settings.take_in_tables().unwrap_err().to_string().contains("give the table once"));
    }

    #[test]
    fn a_table_of_factors_is_read() {
        let file = file("symbol,Momentum,value\nTCS,0.5,-0.25\nINFY,,1\nIDEA,,\n");
        let (key, text) = inlined("risk.factor_file", file.path()).unwrap().unwrap();
        assert_eq!((key, text.as_str()), ("risk.factors", "INFY:value=1,TCS:momentum=0.5;value=-0.25"));
        assert!(inlined("risk.max_gross", file.path()).unwrap().is_none());
    }

    proptest::proptest! {
        /// Whatever a file holds, it is a table or it is refused; what is taken reads back from a header.
        #[test]
        fn any_file_is_taken_or_refused(text in "(symbol|sector|value|,|\"|\n|A|B|-?[0-9.]{1,4}|[ -~₹]){0,60}") {
            let file = file(&text);
            for key in ["risk.sector_file", "risk.factor_file"] {
                if let Ok(Some((name, printed))) = inlined(key, file.path()) {
                    let json = serde_json::json!({ name: printed }).to_string();
                    let read = Settings::from_canonical_json(&json).unwrap();
                    proptest::prop_assert_eq!(read.get(name), Some(printed));
                }
            }
        }
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_line() {
        for (key, text, line, what) in [
            ("risk.sector_file", "", "", "no rows"),
            ("risk.sector_file", "symbol,sector\n", "", "no rows"),
            ("risk.sector_file", "symbol,colour\nA,red\n", ":1", "'sector' or 'industry'"),
            ("risk.sector_file", "symbol,sector,industry\nA,x,y\n", ":1", "several columns"),
            ("risk.sector_file", "symbol,sector\nA,x\nA,y\n", ":3", "'x' above and in 'y'"),
            ("risk.sector_file", "symbol,sector\nA,\n", ":2", "empty"),
            ("risk.sector_file", "symbol,sector\nA,x,y\n", ":2", "3 values under 2"),
            ("risk.sector_file", "symbol,sector\nA,\"x\n", ":2", "never closed"),
            ("risk.sector_file", "symbol,sector\n,x\n", ":2", "no symbol"),
            ("risk.factor_file", "symbol,value\nA,much\n", ":2", "'much' under value"),
            ("risk.factor_file", "symbol,value\nA,1\nA,2\n", ":3", "row above"),
            ("risk.factor_file", "symbol,the value\nA,1\n", ":1", "'the value'"),
        ] {
            let file = file(text);
            let message = inlined(key, file.path()).unwrap_err().to_string();
            let place = format!("{}{line}: ", file.path().display());
            assert!(message.starts_with(&place) && message.contains(what), "{text:?}: {message}");
        }
    }
}
