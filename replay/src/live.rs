//! A session on a live market: what the core is told is journaled before the core hears it.
//!
//! ```text
//! wires ─► prints.rs ─► queue ─► flight.rs (the core's thread) ─►
//!         pilot.rs: sessions, slices ─►
//!         recorder.rs: append input ─► core.step ─► append outputs ─► batch, or sync where something is to be sent
//! restart: recorded.rs ─► core.step ─► compare with what stands there ─► go on
//! ```
//!
//! - The journal of a live session is the session: restarting is replaying it, auditing is replaying it and comparing.
//! - The core passes on nothing that is not appended.

mod flight;
mod official;
mod orders;
mod paper;
mod pen;
mod pilot;
mod prints;
mod recorder;
mod snapshots;
mod warm_up;
mod wires;

pub use flight::{Flight, Flown, QUEUE_WORDS, Word};
pub use official::{OfficialReport, Unlike, compare_with_official};
pub use orders::{About, Names, answer_of};
pub use paper::{LIVE_COSTS, PaperOptions, PaperSession, live_settings};
pub use pilot::{Course, Ear, Pilot, Stage};
pub use prints::Prints;
pub use recorder::{Heard, Recorder};
pub use snapshots::Saver;
pub(crate) use snapshots::believed;
pub use warm_up::{WarmUp, Warmed};
pub use wires::{OrderDesk, Rows, Wires};
