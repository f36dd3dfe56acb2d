//! One value of the settings file, changed in place.
//!
//! - Only the bytes of the value change: order, comments, spaces and every other line stay as they were. A key that was
//!   not there is added to its table, or at the end.
//! - The new text is read back before it is written: it must say what the old one said, but for the key.
//! - Written to a sibling, synced and renamed: a crash leaves the old file or the new one.
//! - Must never: write a value that its key does not take.

use crate::error::ConfigError;
use crate::settings::Settings;
use crate::sources::{Sources, entries_of};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Sets a key in a settings file, which is made if it is not there.
pub fn set_in_file(path: &Path, key: &str, value: &str) -> Result<(), ConfigError> {
    let overrides = vec![(key.to_owned(), value.to_owned())];
    Settings::resolve(Sources { overrides, ..Sources::default() })?;
    let failed = |source| ConfigError::Write { path: path.to_owned(), source };
    let old = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
    };
    let new = with_value(&old, key, value);
    if !says_the_same_but(&old, &new, key, value, path)? {
        return Err(ConfigError::Format {
            place: path.display().to_string(),
            reason: format!("{key} stands there in a way that is not rewritten safely: change that line by hand"),
        });
    }
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let sibling = folder.join(format!(".{name}.writing"));
    let mut file = File::create(&sibling).map_err(failed)?;
    file.write_all(new.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&sibling, path).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

fn says_the_same_but(old: &str, new: &str, key: &str, value: &str, path: &Path) -> Result<bool, ConfigError> {
    let said = |text: &str| -> Result<Vec<(String, String)>, ConfigError> {
        let mut entries = Vec::new();
        entries_of(text, path, &mut entries)?;
        Ok(entries.into_iter().map(|entry| (entry.name, entry.value)).collect())
    };
    let mut before = said(old)?;
    let Ok(mut after) = said(new) else { return Ok(false) };
    match before.iter_mut().find(|(name, _)| name == key) {
        Some((_, place)) => value.clone_into(place),
        None => before.push((key.to_owned(), value.to_owned())),
    }
    before.sort();
    after.sort();
    Ok(before == after)
}

/// The text with another value of a key.
fn with_value(text: &str, key: &str, value: &str) -> String {
    let (table, last) = key.rsplit_once('.').unwrap_or(("", key));
    let value = literal(value);
    let mut current = String::new();
    // Where a new line of the key's table would go, and where the first table begins.
    let (mut in_table, mut first_table) = (None, None);
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let begin = at;
        at += line.len();
        let plain = line.trim();
        if plain.starts_with('[') {
            first_table.get_or_insert(begin);
            current = plain.trim_start_matches('[').split(']').next().unwrap_or_default().trim().to_owned();
        } else if let Some((name, _)) = plain.split_once('=').filter(|_| !plain.starts_with('#')) {
            let name: String = name.chars().filter(|letter| !matches!(letter, ' ' | '\t' | '"' | '\'')).collect();
            let whole = if current.is_empty() { name } else { format!("{current}.{name}") };
            if whole == key {
                let value_at = begin + line.find('=').unwrap_or(0) + 1;
                return replaced(text, value_at, at, &value);
            }
        }
        if current == table && !plain.is_empty() {
            in_table = Some(at);
        }
    }
    let added = |at: usize, lines: &str| {
        let gap = if at > 0 && !text[..at].ends_with('\n') { "\n" } else { "" };
        format!("{}{gap}{lines}{}", &text[..at], &text[at..])
    };
    match in_table {
        Some(at) => added(at, &format!("{last} = {value}\n")),
        None if first_table.is_none() => added(text.len(), &format!("{key} = {value}\n")),
        None if table.is_empty() => added(first_table.unwrap_or(0), &format!("{last} = {value}\n\n")),
        None => added(text.len(), &format!("\n[{table}]\n{last} = {value}\n")),
    }
}

/// The text with the value behind `from` replaced; what follows it on its line (a comment) stays.
fn replaced(text: &str, from: usize, line_end: usize, value: &str) -> String {
    let rest = &text[from..line_end];
    let begin = from + rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let old = &text[begin..line_end];
    let length = match old.as_bytes().first() {
        Some(quote @ (b'"' | b'\'')) => {
            let (quote, mut escaped) = (*quote, false);
            let close = old.bytes().enumerate().skip(1).find(|(_, byte)| {
                let found = *byte == quote && !escaped;
                escaped = quote == b'"' && *byte == b'\\' && !escaped;
                found
            });
            close.map_or(old.trim_end().len(), |(at, _)| at + 1)
        }
        _ => old.split('#').next().unwrap_or(old).trim_end().len(),
    };
    format!("{}{value}{}", &text[..begin], &text[begin + length..])
}

/// A whole number as it is, anything else as a text.
fn literal(value: &str) -> String {
    let number = value == "0" || (!value.starts_with('0') && value.len() < 19 && !value.is_empty());
    if number && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.to_owned();
    }
    let escape = |letter: char| match letter {
        '"' | '\\' => format!("\\{letter}"),
        letter if letter.is_control() => format!("\\u{:04X}", letter as u32),
        letter => letter.to_string(),
    };
    format!("\"{}\"", value.chars().map(escape).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "# mine\ncash = 500000   # all of it\n\n[risk]\nsafe_trading_start = \"09:20\"\n  # the end\nsafe_trading_end='15:20' # sharp\n\n[learn]\nlr = 0.001\n";

    /// RL-03: the rewrite keeps the order of keys and every byte that is not the value.
    #[test]
    fn only_the_value_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daybook.toml");
        let after = |key: &str, value: &str| {
            fs::write(&path, FILE).unwrap();
            set_in_file(&path, key, value).unwrap();
            fs::read_to_string(&path).unwrap()
        };
        assert_eq!(after("cash", "750000"), FILE.replace("500000", "750000"));
        assert_eq!(after("risk.safe_trading_end", "15:10"), FILE.replace("'15:20'", "\"15:10\""));
        assert_eq!(after("learn.lr", "0.0003"), FILE.replace("0.001", "\"0.0003\""));
        let added = after("risk.leverage", "2");
        assert_eq!(added, FILE.replace("# sharp\n", "# sharp\nleverage = 2\n"));
        assert!(after("seed", "7").starts_with("# mine\ncash = 500000   # all of it\nseed = 7\n"));
        assert!(after("snapshot.keep", "9").ends_with("lr = 0.001\n\n[snapshot]\nkeep = 9\n"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary stays");
        fs::remove_file(&path).unwrap();
        set_in_file(&path, "risk.leverage", "3").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "risk.leverage = 3\n");
    }

    /// RL-03: an error names the key, and leaves the file alone.
    #[test]
    fn what_cannot_be_set_leaves_the_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daybook.toml");
        let multiline = "[seal]\nkey_file = \"\"\"\na\"\"\"\n";
        for (text, key, value, says) in [
            (FILE, "risk.levrage", "2", "did you mean 'risk.leverage'"),
            (FILE, "risk.leverage", "-2", "risk.leverage"),
            (multiline, "seal.key_file", "b", "by hand"),
            ("cash = [1]\n", "cash", "5", "cash"),
        ] {
            fs::write(&path, text).unwrap();
            let error = set_in_file(&path, key, value).unwrap_err().to_string();
            assert!(error.contains(says), "{key}: {error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    proptest! {
        /// Whatever a file looks like: it is rewritten so that it says the new value, or left alone.
        #[test]
        fn no_file_is_broken(
            lines in proptest::collection::vec("(cash|seed|\\[risk\\]|\\[learn\\]|leverage|lr|#|)[ =\"'a-z0-9#.]{0,14}", 0..8),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("daybook.toml");
            let text = lines.join("\n");
            fs::write(&path, &text).unwrap();
            match set_in_file(&path, "risk.leverage", "2") {
                Ok(()) => {
                    let mut entries = Vec::new();
                    entries_of(&fs::read_to_string(&path).unwrap(), &path, &mut entries).unwrap();
                    prop_assert!(entries.iter().any(|one| one.name == "risk.leverage" && one.value == "2"));
                }
                Err(_) => prop_assert_eq!(fs::read_to_string(&path).unwrap(), text),
            }
        }
    }
}
