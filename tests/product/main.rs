//! The product as its users run it: the real binary, in a folder of the test's own.
//!
//! - One program for all of these tests: each would otherwise link the whole engine once more.
//! - Every module works on markets it makes itself; none needs network, accounts or data from outside, and they run in
//!   any order, side by side.

mod archive;
mod books;
mod broker;
mod broker_world;
mod damaged_files;
mod desk;
mod drill;
mod explain;
mod features;
mod fetch;
mod gates;
mod help;
mod knobs;
mod learner;
mod limits;
mod parity;
mod refusals;
mod scores;
mod sessions;
mod simulate;
mod spine;
mod winner;
