//! Where settings are written: a TOML file, a `.env` file, the environment, the command line.
//!
//! - Each source becomes a list of (name, value, origin); what the names mean is the business of `settings`.
//! - Values are taken as text, digit by digit: no number of a file passes through a float.
//! - A message names file and line and never holds a value, nor the text of a line that could not be read.

use crate::calendar_file::{line_of, toml_error};
use crate::error::ConfigError;
use crate::settings::{KEYS, Origin};
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Prefix of the variables that are ours.
pub(crate) const PREFIX: &str = "DAYBOOK_";

/// What settings are resolved from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The settings file; must exist.
    pub file: Option<PathBuf>,
    /// The `.env` file; must exist. Only its `DAYBOOK_*` lines are read.
    pub dotenv: Option<PathBuf>,
    /// The environment. Of it, `DAYBOOK_*` variables are settings; `XDG_CONFIG_HOME` and `HOME` say where the user's
    /// config directory is.
    pub environment: Vec<(String, String)>,
    /// Keys and values of the command line; a later one wins.
    pub overrides: Vec<(String, String)>,
}

impl Sources {
    /// The sources of a process that runs in `directory`: the file given by flag or else `daybook.toml` there if it
    /// exists, `.env` there if it exists, and the process's environment.
    pub fn ambient(directory: &Path, file: Option<PathBuf>, overrides: Vec<(String, String)>) -> Self {
        let existing = |name: &str| Some(directory.join(name)).filter(|path| path.exists());
        // A variable that is not text cannot be a value of ours; its name alone may still be a misspelt key.
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self {
            file: file.or_else(|| existing("daybook.toml")),
            dotenv: existing(".env"),
            environment: std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect(),
            overrides,
        }
    }
}

/// A value that was written somewhere.
pub(crate) struct Entry {
    /// The name as it was written.
    pub(crate) name: String,
    /// The key of that name, if there is one.
    pub(crate) key: Option<&'static str>,
    /// The value.
    pub(crate) value: String,
    /// Where it was written.
    pub(crate) origin: Origin,
}

/// Everything that was written, weakest source first.
pub(crate) struct Collected {
    pub(crate) entries: Vec<Entry>,
    pub(crate) default_seal_key: Option<PathBuf>,
}

impl Sources {
    /// A variable that is no setting, such as a credential: from the environment, else from the `.env` file. The one
    /// way to a secret; settings hold none.
    pub fn variable(&self, name: &str) -> Option<String> {
        let outside = self.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let inside = || {
            let text = std::fs::read_to_string(self.dotenv.as_deref()?).ok()?;
            let mut lines = text.lines().filter_map(|line| dotenv_line(line).ok().flatten());
            lines.find(|(known, _)| known == name).map(|(_, value)| value)
        };
        outside.or_else(inside).filter(|value| !value.is_empty())
    }

    pub(crate) fn collect(self) -> Result<Collected, ConfigError> {
        let mut entries = Vec::new();
        if let Some(path) = &self.file {
            read_file(path, &mut entries)?;
        }
        if let Some(path) = &self.dotenv {
            read_dotenv(path, &mut entries)?;
        }
        let (mut home, mut config_home) = (None, None);
        let mut variables = Vec::new();
        for (name, value) in self.environment {
            match name.as_str() {
                "HOME" => home = Some(value),
                "XDG_CONFIG_HOME" => config_home = Some(value),
                _ if name.starts_with(PREFIX) => variables.push((name, value)),
                _ => {}
            }
        }
        // The environment has no order of its own; with one, the first error is the same every time.
        variables.sort();
        entries.extend(variables.into_iter().map(|(name, value)| Entry {
            key: key_of_variable(&name),
            origin: Origin::Environment(name.clone()),
            name,
            value,
        }));
        entries.extend(self.overrides.into_iter().map(|(name, value)| Entry {
            key: key_of_name(&name),
            origin: Origin::CommandLine,
            name,
            value,
        }));
        Ok(Collected { entries, default_seal_key: seal_key(config_home, home) })
    }
}

/// The variable of a key: `engine.timeframe` is `DAYBOOK_ENGINE_TIMEFRAME`.
pub(crate) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "_"))
}

/// True for names whose values are never shown. A path to a secret (`..._file`, `..._path`) is not one, and neither is the
/// public half of the key that signed a winner.
pub(crate) fn looks_secret(name: &str) -> bool {
    const SECRET: [&str; 8] =
        ["token", "secret", "password", "passwd", "passphrase", "credential", "credentials", "key"];
    let lower = name.to_ascii_lowercase();
    let mut words = lower.split(['.', '_', '-']);
    let shown = matches!(words.clone().next_back(), Some("file" | "path")) || lower.ends_with("winner_key");
    !shown && words.any(|word| SECRET.contains(&word))
}

fn key_of_name(name: &str) -> Option<&'static str> {
    KEYS.iter().map(|key| key.name).find(|&key| key == name)
}

fn key_of_variable(name: &str) -> Option<&'static str> {
    KEYS.iter().map(|key| key.name).find(|key| variable(key) == name)
}

/// `daybook/seal.key` in the user's config directory, as the XDG base directory rules find it.
fn seal_key(config_home: Option<String>, home: Option<String>) -> Option<PathBuf> {
    let absolute = |text: String| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
    let directory = config_home.and_then(absolute).or_else(|| home.and_then(absolute).map(|home| home.join(".config")));
    directory.map(|directory| directory.join("daybook").join("seal.key"))
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

fn read_file(path: &Path, entries: &mut Vec<Entry>) -> Result<(), ConfigError> {
    entries_of(&read_text(path)?, path, entries)
}

/// What the text of a settings file sets; `path` is for messages and origins.
pub(crate) fn entries_of(text: &str, path: &Path, entries: &mut Vec<Entry>) -> Result<(), ConfigError> {
    let table = DeTable::parse(text).map_err(|error| toml_error(text, &path.display().to_string(), &error))?;
    let mut found = Vec::new();
    flatten(table.get_ref(), "", &mut found);
    found.sort_by_key(|(offset, ..)| *offset);
    for (offset, name, value) in found {
        let line = line_of(text, offset);
        let value = value.ok_or_else(|| ConfigError::Format {
            place: format!("{}:{line}", path.display()),
            reason: format!("{name} is a list or a date: write a text, a number, true or false"),
        })?;
        // TOML itself refuses a key written twice, but not `"engine.timeframe"` beside `[engine] timeframe`.
        if let Some(before) = entries.iter().find(|entry| entry.name == name) {
            return Err(ConfigError::Format {
                place: format!("{}:{line}", path.display()),
                reason: format!("{name} was set before, at {}: keep one of the two lines", before.origin),
            });
        }
        entries.push(Entry { key: key_of_name(&name), name, value, origin: Origin::File(path.to_owned(), line) });
    }
    Ok(())
}

/// Dotted names with the place of their keys and the text of their values (`None` for what cannot be a setting).
fn flatten(table: &DeTable<'_>, prefix: &str, found: &mut Vec<(usize, String, Option<String>)>) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        let text = match value.get_ref() {
            DeValue::Table(inner) => {
                flatten(inner, &format!("{name}."), found);
                continue;
            }
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) if number.radix() == 10 => Some(plain(number.as_str())),
            DeValue::Float(number) => Some(plain(number.as_str())),
            DeValue::Boolean(value) => Some(value.to_string()),
            DeValue::Integer(_) | DeValue::Datetime(_) | DeValue::Array(_) => None,
        };
        found.push((key.span().start, name, text));
    }
}

/// A TOML number without the underscores and the plus sign that TOML allows.
fn plain(number: &str) -> String {
    number.trim_start_matches('+').replace('_', "")
}

fn read_dotenv(path: &Path, entries: &mut Vec<Entry>) -> Result<(), ConfigError> {
    let text = read_text(path)?;
    let first = entries.len();
    for (index, line) in text.lines().enumerate() {
        let place = || format!("{}:{}", path.display(), index + 1);
        let parsed = dotenv_line(line).map_err(|reason| ConfigError::Format { place: place(), reason })?;
        let Some((name, value)) = parsed.filter(|(name, _)| name.starts_with(PREFIX)) else { continue };
        if let Some(before) = entries[first..].iter().find(|entry| entry.name == name) {
            let reason = format!("{name} was set before, at {}: keep one of the two lines", before.origin);
            return Err(ConfigError::Format { place: place(), reason });
        }
        let origin = Origin::Dotenv(path.to_owned(), index + 1);
        entries.push(Entry { key: key_of_variable(&name), name, value, origin });
    }
    Ok(())
}

/// One line: `NAME=value`, `export NAME='value'`, `NAME="value" # comment`, a comment, or nothing. In double quotes
/// `\n`, `\"`, `\\` and `\$` mean what they mean in a shell; nothing is expanded.
fn dotenv_line(line: &str) -> Result<Option<(String, String)>, String> {
    let line = line.trim_start_matches('\u{feff}').trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let (name, rest) = line.split_once('=').ok_or_else(|| "not NAME=value, a comment or an empty line".to_owned())?;
    let name = name.trim_end();
    let valid = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.');
    if !valid {
        return Err("the name before `=` may hold letters, digits and `_` only".to_owned());
    }
    let rest = rest.trim_start();
    let (value, tail) = match rest.as_bytes().first() {
        Some(b'\'') => {
            let (value, tail) =
                rest[1..].split_once('\'').ok_or_else(|| format!("{name}: the quote ' is not closed"))?;
            (value.to_owned(), tail)
        }
        Some(b'"') => double_quoted(&rest[1..]).ok_or_else(|| format!("{name}: the quote \" is not closed"))?,
        _ => (unquoted(rest).to_owned(), ""),
    };
    let tail = tail.trim();
    if !tail.is_empty() && !tail.starts_with('#') {
        return Err(format!("{name}: there is text after the closing quote"));
    }
    Ok(Some((name.to_owned(), value)))
}

/// Up to a `#` that follows a space, without the spaces around it.
fn unquoted(text: &str) -> &str {
    let mut previous_is_space = true;
    let end = text.char_indices().find(|&(_, letter)| {
        let comment = letter == '#' && previous_is_space;
        previous_is_space = letter.is_whitespace();
        comment
    });
    text[..end.map_or(text.len(), |(at, _)| at)].trim_end()
}

fn double_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\' | '$') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(line: &str) -> String {
        dotenv_line(line).unwrap().unwrap().1
    }

    #[test]
    fn lines_of_a_dotenv_file() {
        for empty in ["", "   ", "# A=1", "\u{feff}# A=1"] {
            assert_eq!(dotenv_line(empty), Ok(None), "{empty:?}");
        }
        assert_eq!(value("A=1"), "1");
        assert_eq!(value("  export A = 1  # one"), "1");
        assert_eq!(value("A=a#b"), "a#b");
        assert_eq!(value("A=#b"), "");
        assert_eq!(value("A="), "");
        assert_eq!(value("A='x # \"y\"' # z"), "x # \"y\"");
        assert_eq!(value(r#"A="a\"b\\c\n\$d\q" "#), "a\"b\\c\n$d\\q");
        for bad in ["A", "=1", "1A=2", "A B=2", "A='zq", "A=\"zq", "A=\"zq\\", "A='zq'y"] {
            let reason = dotenv_line(bad).unwrap_err();
            assert!(!reason.contains("zq"), "{reason} shows the value");
        }
    }

    #[test]
    fn a_credential_comes_from_the_environment_or_the_dotenv() {
        let dir = tempfile::tempdir().unwrap();
        let dotenv = dir.path().join(".env");
        std::fs::write(&dotenv, "KITE_API_KEY='one two'\nexport KITE_API_SECRET=three # no\nEMPTY=\n").unwrap();
        let environment = vec![("KITE_API_SECRET".to_owned(), "four".to_owned())];
        let sources = Sources { dotenv: Some(dotenv), environment, ..Sources::default() };
        assert_eq!(sources.variable("KITE_API_KEY").as_deref(), Some("one two"));
        assert_eq!(sources.variable("KITE_API_SECRET").as_deref(), Some("four"), "the environment is stronger");
        assert_eq!((sources.variable("EMPTY"), sources.variable("OTHER")), (None, None));
    }

    #[test]
    fn what_looks_secret() {
        for name in ["kite.token", "DAYBOOK_API_KEY", "api.secret", "password", "db-password", "key"] {
            assert!(looks_secret(name), "{name}");
        }
        for name in ["cash", "seal.key_file", "keyboard", "journal.segment_mib", "monkey.business"] {
            assert!(!looks_secret(name), "{name}");
        }
    }

    #[test]
    fn the_seal_key_lies_in_the_users_config_directory() {
        let text = |text: &str| Some(text.to_owned());
        let path = |config: Option<String>, home: Option<String>| {
            seal_key(config, home).map(|path| path.display().to_string())
        };
        assert_eq!(path(text("/x"), text("/h")), text("/x/daybook/seal.key"));
        assert_eq!(path(None, text("/h")), text("/h/.config/daybook/seal.key"));
        assert_eq!(path(text("relative"), text("/h")), text("/h/.config/daybook/seal.key"), "XDG: must be absolute");
        assert_eq!(path(text(""), None), None);
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "\\PC{0,40}") {
            let _ = dotenv_line(&line);
        }

        #[test]
        fn quoted_values_read_back(plain in "[^'\n\r]{0,20}") {
            prop_assert_eq!(dotenv_line(&format!("A='{plain}'")), Ok(Some(("A".to_owned(), plain))));
        }
    }
}
