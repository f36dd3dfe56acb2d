//! A wall round readers of foreign bytes: a panic inside becomes an error of the file.
//!
//! - The panic's message goes into the error, not to the terminal: a damaged file is an everyday thing.
//! - Only code that owns its state runs inside; after a panic that state is dropped.

use super::FileError;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Runs `work`; a panic in it is a [`FileError::Damaged`] of `path`.
pub(crate) fn contained<T>(path: &Path, work: impl FnOnce() -> Result<T, FileError>) -> Result<T, FileError> {
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !INSIDE.get() {
                previous(info);
            }
        }));
    });
    let before = INSIDE.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(before);
    outcome.unwrap_or_else(|payload| {
        let message = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(FileError::damaged(path, format_args!("its reader gave up: {message}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_inside_is_an_error_of_the_file() {
        let outcome: Result<(), _> = contained(Path::new("x.parquet"), || panic!("index 7 of {}", 3));
        assert_eq!(
            outcome.unwrap_err().to_string(),
            "x.parquet: damaged (its reader gave up: index 7 of 3); get the file again from its source"
        );
        assert_eq!(contained(Path::new("x"), || Ok(5)).unwrap(), 5);
    }
}
