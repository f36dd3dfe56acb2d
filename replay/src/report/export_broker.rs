//! What was asked of a broker and what it said, as tables: RL-38's record of requests and answers with their latency.
//!
//! - A request is the frame that decided it (an intent, a change, a cancel); its answer names it and says how long it took,
//!   from the frame that was made durable to the frame of the answer. Both are times of the journal.
//! - Nothing here is a second source: the tables follow from the frames alone.

use daybook_features::columns::{Cell, ColumnType};
use daybook_vocabulary::{
    BrokerAnswer, BrokerFill, BrokerRequest, DifferenceKind, Event, Nanos, OrderEvent, OrderId, Remedy, Verdict,
};
use std::collections::BTreeMap;

use ColumnType::{Decimal, Timestamp, U64, Utf8};

pub(super) const BROKER_ANSWER: [(&str, ColumnType); 10] = [
    ("market", Utf8),
    ("symbol", Utf8),
    ("order_id", U64),
    ("request", Utf8),
    ("request_seq", U64),
    ("latency_ns", U64),
    ("answer", Utf8),
    ("broker_order_id", Utf8),
    ("kind", Utf8),
    ("message", Utf8),
];

pub(super) const BROKER_FILL: [(&str, ColumnType); 8] = [
    ("market", Utf8),
    ("symbol", Utf8),
    ("trade_id", Utf8),
    ("broker_order_id", Utf8),
    ("side", Utf8),
    ("quantity", Decimal),
    ("price", Decimal),
    ("exchange_time", Timestamp),
];

/// Requests that were decided and have no answer yet.
#[derive(Debug, Default)]
pub(super) struct Requests(BTreeMap<(OrderId, BrokerRequest), (u64, Nanos)>);

impl Requests {
    /// Notes an event that is a request.
    pub(super) fn note(&mut self, seq: u64, time: Nanos, event: &Event) {
        let request = match event {
            Event::OrderIntent(intent) if intent.verdict == Verdict::Approved => (intent.order, BrokerRequest::Place),
            Event::OrderModified(terms) if terms.event == OrderEvent::ModifyRequested => {
                (terms.order, BrokerRequest::Modify)
            }
            Event::OrderUpdate(update) if update.event == OrderEvent::CancelRequested => {
                (update.order, BrokerRequest::Cancel)
            }
            Event::BookDifference(told)
                if told.remedy == Remedy::Cancel
                    && matches!(told.what, DifferenceKind::ForeignOrder | DifferenceKind::EndedOrder) =>
            {
                (told.order, BrokerRequest::Cancel)
            }
            _ => return,
        };
        self.0.insert(request, (seq, time));
    }

    /// The request that an answer is to: its frame, and how long the answer took. Nothing of either where the export begins
    /// behind it.
    pub(super) fn answered(&mut self, time: Nanos, answer: &BrokerAnswer) -> (Option<u64>, Option<u64>) {
        let asked = self.0.remove(&(answer.order, answer.request));
        asked.map_or((None, None), |(seq, since)| (Some(seq), u64::try_from(time - since).ok()))
    }
}

/// The cells of an answer.
pub(super) fn answer(event: &BrokerAnswer, (seq, latency): (Option<u64>, Option<u64>)) -> [Cell<'_>; 8] {
    [
        Cell::U64(event.order.0),
        Cell::Text(event.request.word()),
        seq.map_or(Cell::Null, Cell::U64),
        latency.map_or(Cell::Null, Cell::U64),
        Cell::Text(event.answer.word()),
        Cell::Text(&event.broker_order),
        Cell::Text(&event.kind),
        Cell::Text(&event.message),
    ]
}

/// The cells of a trade of the account.
pub(super) fn fill(event: &BrokerFill) -> [Cell<'_>; 6] {
    [
        Cell::Text(&event.trade),
        Cell::Text(&event.broker_order),
        Cell::Text(event.side.word()),
        event.quantity.into(),
        event.price.into(),
        Cell::Time(event.exchange_time),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use daybook_vocabulary::{Answered, Cause, Label, OrderState, OrderUpdate, Quantity};

    #[test]
    fn an_answer_names_its_request_and_how_long_it_took() {
        let mut requests = Requests::default();
        let cancel = |order| {
            Event::OrderUpdate(OrderUpdate {
                cause: Cause::default(),
                order: OrderId(order),
                event: OrderEvent::CancelRequested,
                state: OrderState::PendingCancel,
                filled: Quantity::ZERO,
                reason: Label::NONE,
            })
        };
        requests.note(7, Nanos(1_000), &cancel(3));
        requests.note(9, Nanos(1_500), &cancel(4));
        let answer = |order, request| BrokerAnswer {
            order: OrderId(order),
            request,
            answer: Answered::Accepted,
            broker_order: "19".to_owned(),
            kind: Label::NONE,
            message: String::new(),
        };
        let mut answered = |time, order, request| requests.answered(Nanos(time), &answer(order, request));
        assert_eq!(answered(1_700, 3, BrokerRequest::Place), (None, None), "it was not asked for that");
        assert_eq!(answered(1_700, 3, BrokerRequest::Cancel), (Some(7), Some(700)));
        assert_eq!(answered(1_800, 3, BrokerRequest::Cancel), (None, None), "each request has one answer");
        assert_eq!(answered(1_800, 4, BrokerRequest::Cancel), (Some(9), Some(300)));
    }
}
