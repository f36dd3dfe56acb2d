//! The order wires of a session with a broker: begun beside its feed, ended with it.
//!
//! - On paper there are none: nothing here is reached, so nothing can be sent.
//! - Must never: hand a command on that is not on disk; the type of what the wires take says so.

use daybook_adapters::kite::BlockingKite;
use daybook_replay::live::{PaperOptions, PaperSession, Wires, Word};
use std::error::Error;
use std::sync::Arc;

/// Begins the wires where the session has a broker. Its books are asked for at once, then `every` so many nanoseconds of
/// the session's time.
pub fn begin(
    kite: &Arc<BlockingKite>,
    session: &mut PaperSession,
    options: &PaperOptions,
    words: crossbeam::channel::Sender<Word>,
    every: i64,
) -> Result<Option<Wires>, Box<dyn Error>> {
    if !session.pilot.recorder().core().is_brokered() {
        return Ok(None);
    }
    let names = Arc::new(session.names(options)?);
    session.arm(kite.now(), "arm")?;
    Ok(Some(Wires::begin(kite.clone(), names, words, every)))
}
