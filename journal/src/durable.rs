//! `Durable<T>`: the type that says "this is on disk" (P1).
//!
//! - Only [`crate::Writer::commit_durable`] makes one, after the sync that covers it returned.
//! - It is not `Clone` and not `Copy`: what consumes it, such as a broker's `place`, does so once.
//! - Recovery never makes one: an intent found after a crash has an unknown fate.
//! - Must never: get a public constructor.

use std::ops::Deref;

/// A value whose frame is on disk.
///
/// There is no way to make one but the writer's sync:
/// ```compile_fail
/// let durable = daybook_journal::Durable { value: 1 };
/// ```
/// ```compile_fail
/// let durable = daybook_journal::Durable::new(1);
/// ```
/// ```compile_fail
/// let durable: daybook_journal::Durable<u32> = 1.into();
/// ```
/// It cannot be copied, so it is used once:
/// ```compile_fail
/// fn twice(intent: daybook_journal::Durable<u32>) {
///     let copy = intent.clone();
///     place(copy);
///     place(intent);
/// }
/// fn place(_: daybook_journal::Durable<u32>) {}
/// ```
/// What takes one is reached only through the writer:
/// ```
/// # use daybook_journal::{Draft, Durable, Options, Writer};
/// fn place(intent: Durable<&str>) -> String {
///     format!("placed {}", intent.into_inner())
/// }
/// # let dir = tempfile::tempdir().unwrap();
/// let mut writer = Writer::create(&dir.path().join("journal"), Options::default())?;
/// writer.append(Draft { time: 1, kind: 7, ..Draft::default() }, b"buy 10")?;
/// for intent in writer.commit_durable(vec!["buy 10"])? {
///     assert_eq!(place(intent), "placed buy 10");
/// }
/// # Ok::<(), daybook_journal::JournalError>(())
/// ```
#[must_use = "it was made durable in order to be handed on"]
#[derive(Debug, PartialEq, Eq)]
pub struct Durable<T> {
    value: T,
}

impl<T> Durable<T> {
    /// To be called after a successful sync only.
    pub(crate) fn after_sync(value: T) -> Durable<T> {
        Durable { value }
    }

    /// Gives up the proof.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Durable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
