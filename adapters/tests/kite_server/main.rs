//! The simulated broker, tried as its clients meet it: the world by itself, then over sockets.
//!
//! - A market of three shares and an index, whose every tick a test names.
//! - No test reads the network, a journal or the time of day.

mod accounts;
mod faults;
mod http;
mod market;
mod nights;
mod orders;
mod refusals;
mod restart;
mod socket;
mod strange;
