//! Secrets: texts that show as `***` wherever they are printed, and the files that hold them.
//!
//! - `Debug` and `Display` never show a secret; [`Secret::expose`] is the one way in, used where it is sent.
//! - What the broker says may echo a token: [`scrub`] takes known secrets out of a foreign text.
//! - What this process says last of all is scrubbed as well: key, secret and token of every client are remembered, and
//!   [`scrub_remembered`] takes them out of error lines, logs and, once [`redact_panics`] was called, panics.
//! - A file with a secret is 0600 from its first byte and replaced atomically.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError, TryLockError};

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes a text under its wing.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the wire and for its own file, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// A foreign text without the secrets.
pub fn scrub(text: &str, secrets: &[&Secret]) -> String {
    let mut clean = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.0.len() >= 4) {
        clean = clean.replace(&secret.0, "***");
    }
    clean
}

/// Secrets that are remembered at most: those of some clients, and the tokens of some days.
const REMEMBERED_MAX: usize = 64;

static REMEMBERED: Mutex<Vec<Secret>> = Mutex::new(Vec::new());

/// Remembers a secret, so that nothing that this process prints holds it.
pub fn remember(secret: &Secret) {
    let mut known = REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner);
    if secret.is_empty() || known.contains(secret) {
        return;
    }
    if known.len() == REMEMBERED_MAX {
        known.remove(0);
    }
    known.push(secret.clone());
}

/// A text of our own without the secrets that are remembered; nothing where they are being remembered just now.
pub fn scrub_remembered(text: &str) -> Option<String> {
    let known = match REMEMBERED.try_lock() {
        Ok(known) => known,
        Err(TryLockError::Poisoned(known)) => known.into_inner(),
        Err(TryLockError::WouldBlock) => return None,
    };
    Some(scrub(text, &known.iter().collect::<Vec<_>>()))
}

/// From now on panics are told without the secrets that are remembered.
pub fn redact_panics() {
    std::panic::set_hook(Box::new(|panicked| {
        let thread = std::thread::current();
        let place = panicked.location().map_or_else(String::new, ToString::to_string);
        let told = scrub_remembered(&panicked.to_string()).unwrap_or_else(|| format!("panicked at {place}"));
        let trace = Backtrace::capture();
        let trace = if trace.status() == BacktraceStatus::Captured { trace.to_string() } else { String::new() };
        // Who cannot be told is not told.
        let _ = writeln!(io::stderr(), "thread '{}' {told}\n{trace}", thread.name().unwrap_or("unnamed"));
    }));
}

/// Writes a file that only its owner can read, whole or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = path.with_file_name(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    // What a killed process left may have other permissions.
    let _ = fs::remove_file(&fresh);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show() {
        let secret = Secret::new("hunter22");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(scrub("token hunter22 is wrong", &[&secret, &Secret::default()]), "token *** is wrong");
    }

    #[test]
    #[cfg(unix)]
    fn files_with_secrets_are_their_owners() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/token.json");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
