//! `halt`, `resume`, `kill`: what an operator says to the daemon of a session.
//!
//! - A word in a file of the session's directory, which the daemon takes within a moment, journals, and obeys. Without a
//!   daemon it waits for the next start.
//! - A kill leaves every position and stops the daemon, as the kill-switch file and the signals do; after it, entries stay
//!   locked until a resume.
//! - Must never: say that something was done before the daemon took it.

use super::Verdict;
use crate::cli::{Cli, Format, Operator};
use crate::output;
use daybook_journal::Journal;
use daybook_vocabulary::Command;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The file of a word that was not taken yet.
const FILE: &str = ".command";
/// How long a daemon may take to take it, looked at so often.
const LOOKS: u32 = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// What can be said.
const WORDS: [Command; 3] = [Command::Kill, Command::Halt, Command::Resume];

/// Says a word to a session.
pub fn say(cli: &Cli, arguments: &Operator, command: Command) -> Verdict {
    let run = &arguments.session;
    let journal = Journal::open(&super::journal_of(run))?;
    if run.join("manifest.json").exists() {
        return Err(format!("{}: the session is over; there is nobody to tell", run.display()).into());
    }
    let running = journal.is_being_written();
    let file = write(run, command)?;
    let mut taken = false;
    for _ in 0..if running { LOOKS } else { 0 } {
        taken = !file.exists();
        if taken {
            break;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    let session = run.display();
    if cli.format == Format::Json {
        let word = command.word();
        output::json(&serde_json::json!({ "command": word, "daemon": running, "taken": taken }))?;
    } else {
        output::line(match (running, taken) {
            (_, true) => {
                format!("{command}: the daemon of {session} took it; `daybook status {session}` shows what follows")
            }
            (true, false) => format!("{command}: the daemon of {session} has not taken it yet; the word stays"),
            (false, _) => format!("{command}: no daemon is at work on {session}; the next one takes it first"),
        });
    }
    Ok(if running && !taken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn write(run: &Path, command: Command) -> Result<PathBuf, String> {
    let (file, partial) = (run.join(FILE), run.join(".command.partial"));
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| format!("{path}: {error}")
    };
    std::fs::write(&partial, command.word()).map_err(failed(&partial))?;
    std::fs::rename(&partial, &file).map_err(failed(&file))?;
    Ok(file)
}

/// Takes the word that was said to a session, if one was. A file that holds something else is warned of and
/// removed, or it would be warned of again and again.
pub fn take(run: &Path) -> Option<Command> {
    let file = run.join(FILE);
    let text = std::fs::read_to_string(&file).ok()?;
    let command = WORDS.into_iter().find(|command| command.word() == text.trim());
    if command.is_none() {
        tracing::warn!(file = %file.display(), "holds no command; it is removed");
    }
    if let Err(error) = std::fs::remove_file(&file) {
        // A word that cannot be removed would be heard again and again.
        tracing::error!(file = %file.display(), %error, "cannot be removed: its word is not heard");
        return None;
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_taken_once() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(take(run.path()), None);
        for command in WORDS {
            write(run.path(), command).unwrap();
            assert_eq!((take(run.path()), take(run.path())), (Some(command), None));
        }
        std::fs::write(run.path().join(FILE), "sell everything").unwrap();
        assert_eq!(take(run.path()), None);
        assert!(!run.path().join(FILE).exists());
    }
}
