//! Everyone who listens: WebSockets and the postback address.
//!
//! - Ticks are snapshots: a socket that is slow gets the latest of each instrument, never a queue of old ones.
//! - Order messages are never left out: a socket that cannot take them is closed. Faults on request aside.
//! - Memory of a socket: its subscriptions, and queues with ends.

use super::board::Board;
use super::fault::{FaultKind, Faults};
use super::world::Update;
use crate::kite_wire::orders::OrderRow;
use crate::kite_wire::packet::{FrameBuilder, Mode};
use crate::kite_wire::sign::checksum;
use crate::kite_wire::words::Status;
use daybook_vocabulary::Nanos;
use hyper::body::Bytes;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tokio::sync::mpsc;

/// Sockets of one application.
pub const SOCKETS_MAX: usize = 3;
/// Instruments of one socket.
pub const SUBSCRIPTIONS_MAX: usize = 3_000;
/// Messages on their way to a socket's task.
pub const QUEUE: usize = 64;
/// Order messages that wait for a slow socket.
const MESSAGES_MAX: usize = 10_000;
/// A message that is late, and that no other one follows, comes after so many virtual nanoseconds.
const LATE_BY: i64 = 2_000_000_000;

/// What goes to a socket.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// Packets.
    Binary(Bytes),
    /// A JSON message.
    Text(String),
}

struct Listener {
    queue: mpsc::Sender<Outgoing>,
    modes: BTreeMap<usize, Mode>,
    /// Instruments that moved since their last packet.
    moved: BTreeSet<usize>,
    messages: VecDeque<String>,
    token: String,
    /// From when on it says nothing, and when it is closed, where that was asked for.
    silent_from: Option<Nanos>,
    closes_at: Option<Nanos>,
}

/// A message that is late: it comes after the next one, or then.
struct Late {
    until: Nanos,
    text: String,
    postback: Option<String>,
}

/// All listeners.
#[derive(Default)]
pub struct Hub {
    listeners: BTreeMap<u64, Listener>,
    last: u64,
    postback: Option<mpsc::Sender<String>>,
    late: VecDeque<Late>,
}

impl Hub {
    /// With postbacks to whoever takes them from there.
    pub fn new(postback: Option<mpsc::Sender<String>>) -> Self {
        Self { postback, ..Self::default() }
    }

    /// A new socket; `None` when there are too many.
    pub fn join(&mut self, token: &str, faults: &mut Faults, now: Nanos) -> Option<(u64, mpsc::Receiver<Outgoing>)> {
        self.listeners.retain(|_, listener| !listener.queue.is_closed());
        if self.listeners.len() >= SOCKETS_MAX {
            return None;
        }
        let (queue, receiver) = mpsc::channel(QUEUE);
        self.last += 1;
        let listener = Listener {
            queue,
            modes: BTreeMap::new(),
            moved: BTreeSet::new(),
            messages: VecDeque::new(),
            token: token.to_owned(),
            silent_from: faults.fate(FaultKind::SilentSocket, now),
            closes_at: faults.fate(FaultKind::DroppedSocket, now),
        };
        self.listeners.insert(self.last, listener);
        Some((self.last, receiver))
    }

    /// A socket is gone.
    pub fn leave(&mut self, id: u64) {
        self.listeners.remove(&id);
    }

    /// The token of a socket; `None` for one that was closed.
    pub fn token(&self, id: u64) -> Option<&str> {
        self.listeners.get(&id).map(|listener| listener.token.as_str())
    }

    /// Does a socket say nothing any more, as it was asked for?
    pub fn is_silent(&self, id: u64, now: Nanos) -> bool {
        self.listeners.get(&id).is_some_and(|listener| listener.is_silent(now))
    }

    /// Subscribes to instruments in a mode; `None` keeps the mode of those that have one. False when there are too many.
    pub fn subscribe(&mut self, id: u64, places: &[usize], mode: Option<Mode>) -> bool {
        let Some(listener) = self.listeners.get_mut(&id) else { return true };
        for place in places {
            match (mode, listener.modes.contains_key(place)) {
                // A mode alone does not subscribe.
                (Some(mode), true) => {
                    listener.modes.insert(*place, mode);
                }
                (Some(_), false) => continue,
                (None, true) => {}
                (None, false) if listener.modes.len() >= SUBSCRIPTIONS_MAX => return false,
                (None, false) => {
                    listener.modes.insert(*place, Mode::Quote);
                }
            }
            listener.moved.insert(*place);
        }
        true
    }

    /// No packets of these any more.
    pub fn unsubscribe(&mut self, id: u64, places: &[usize]) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        for place in places {
            listener.modes.remove(place);
            listener.moved.remove(place);
        }
    }

    /// A text for one socket.
    pub fn say(&mut self, id: u64, text: String) {
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.messages.push_back(text);
        }
    }

    /// Instruments ticked.
    pub fn ticked(&mut self, places: &[usize]) {
        for listener in self.listeners.values_mut() {
            listener.moved.extend(places.iter().filter(|place| listener.modes.contains_key(place)));
        }
    }

    /// Orders changed.
    pub fn updated(&mut self, updates: Vec<Update>, faults: &mut Faults, secret: &str, now: Nanos) {
        for update in updates {
            let postback = (self.postback.is_some() && update.postback).then(|| postback_body(&update.row, secret));
            if faults.strikes(FaultKind::LostMessage) {
                tracing::info!(order = update.row.order_id, "fault: an order message is lost");
                continue;
            }
            let text = order_message(&update.row);
            let copies = if faults.strikes(FaultKind::Duplicate) { 2 } else { 1 };
            if faults.strikes(FaultKind::LateMessage) {
                tracing::info!(order = update.row.order_id, "fault: an order message is late");
                self.late.extend((0..copies).map(|_| Late {
                    until: now + LATE_BY,
                    text: text.clone(),
                    postback: postback.clone(),
                }));
                continue;
            }
            (0..copies).for_each(|_| self.tell(&text, postback.as_deref()));
            self.tell_late(Nanos(i64::MAX));
        }
    }

    fn tell(&mut self, text: &str, postback: Option<&str>) {
        for listener in self.listeners.values_mut() {
            listener.messages.push_back(text.to_owned());
        }
        if let (Some(queue), Some(body)) = (&self.postback, postback)
            && queue.try_send(body.to_owned()).is_err()
        {
            tracing::warn!("the postback address is too slow: one is left out");
        }
    }

    /// What was late until then.
    fn tell_late(&mut self, until: Nanos) {
        while let Some(late) = self.late.pop_front_if(|late| late.until <= until) {
            self.tell(&late.text, late.postback.as_deref());
        }
    }

    /// Hands everything on that the sockets' queues can take.
    pub fn flush(&mut self, board: &Board, now: Nanos) {
        self.tell_late(now);
        self.listeners.retain(|_, listener| {
            if listener.is_silent(now) {
                listener.messages.clear();
                listener.moved.clear();
            }
            listener.closes_at.is_none_or(|at| now < at) && listener.flush(board)
        });
    }

    /// True once somebody wants ticks.
    pub fn is_wanted(&self) -> bool {
        self.listeners.values().any(|listener| !listener.modes.is_empty())
    }

    /// A socket that has more for it than its queue can take.
    pub fn fullest(&self) -> Option<mpsc::Sender<Outgoing>> {
        let waits = |listener: &&Listener| !listener.moved.is_empty() || !listener.messages.is_empty();
        self.listeners.values().find(waits).map(|listener| listener.queue.clone())
    }
}

impl Listener {
    fn is_silent(&self, now: Nanos) -> bool {
        self.silent_from.is_some_and(|from| from <= now)
    }

    /// False when it is to be closed.
    fn flush(&mut self, board: &Board) -> bool {
        while let Some(text) = self.messages.pop_front() {
            match self.queue.try_send(Outgoing::Text(text)) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
                Err(mpsc::error::TrySendError::Full(unsent)) => {
                    if let Outgoing::Text(text) = unsent {
                        self.messages.push_front(text);
                    }
                    return self.messages.len() <= MESSAGES_MAX;
                }
            }
        }
        if self.moved.is_empty() {
            return true;
        }
        match self.queue.try_reserve() {
            Ok(place) => {
                let mut frame = FrameBuilder::default();
                for listed in std::mem::take(&mut self.moved) {
                    if let Some(mode) = self.modes.get(&listed) {
                        frame.push(&board.quote(listed).snapshot, *mode);
                    }
                }
                place.send(Outgoing::Binary(frame.finish().into()));
                true
            }
            Err(mpsc::error::TrySendError::Closed(())) => false,
            Err(mpsc::error::TrySendError::Full(())) => true,
        }
    }
}

fn order_message(row: &OrderRow) -> String {
    #[derive(Serialize)]
    struct Message<'a> {
        r#type: &'static str,
        data: &'a OrderRow,
    }
    serde_json::to_string(&Message { r#type: "order", data: row }).unwrap_or_default()
}

/// The body of a postback: the row, and what proves where it comes from.
pub fn postback_body(row: &OrderRow, secret: &str) -> String {
    let mut row = row.clone();
    // A fill in part, a change: not one of the three states that have a word of their own.
    if !row.status.is_final() {
        row.status = Status::Update;
    }
    let time = row.order_timestamp.clone().unwrap_or_default();
    let sum = checksum(&[&row.order_id, &time, secret]);
    let text = serde_json::to_string(&row).unwrap_or_default();
    let unfilled = row.quantity - row.filled_quantity;
    let open = text.strip_suffix('}').unwrap_or(&text);
    format!("{open},\"app_id\":1,\"checksum\":\"{sum}\",\"unfilled_quantity\":{unfilled}}}")
}
