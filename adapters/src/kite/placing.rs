//! Placing, changing and cancelling: the calls that are never resent blindly.
//!
//! *Crash story.* The intent is on disk (its type says so) and the request goes out. If the process dies now, or the
//! wire does, nobody here knows whether the broker took the order: the journal holds the intent and no answer, so the
//! next start finds an order of unknown fate and looks for its tag. It never sends it again.
//!
//! - 429 was not let in: it goes again, through its bucket. Any other 4xx is a refusal. A failure before the first byte
//!   left is [`Outcome::NotSent`]. Everything else, a 5xx and an unreadable answer too, is [`Outcome::Unknown`].
//! - Exits and stops take their turn before entries.

use super::buckets::{Class, Urgency};
use super::client::{BACKOFF, Call, JITTER, Kite, path_part};
use super::error::{ErrorKind, KiteError, Refused};
use super::http::{Method, encode_form};
use super::orders::{AsOrder, NewOrder, Outcome, protection_of};
use super::secret::Secret;
use super::session::SessionEvent;
use super::values::{Pricing, Units, Variety};
use daybook_journal::Durable;
use daybook_vocabulary::{Price, Quantity};
use serde::Deserialize;

/// What changes about an order; the pricing is repeated, the rest only where it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The order's number.
    pub order_id: String,
    /// What kind of order it is.
    pub variety: Variety,
    /// How it is priced.
    pub pricing: Pricing,
    /// Its new total quantity, what is filled included.
    pub quantity: Option<Quantity>,
    /// Its new limit.
    pub price: Option<Price>,
    /// Its new trigger.
    pub trigger: Option<Price>,
    /// How far a market order may slip, in hundredths of a percent; none: as the broker chooses.
    pub protection: Option<u32>,
    /// True when it lowers risk.
    pub is_exit: bool,
}

/// Anything that changes orders: what a session hands to its wires, once it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderCommand {
    /// Place it.
    Place(NewOrder),
    /// Give it new terms.
    Modify(Change),
    /// End it.
    Cancel {
        /// What kind of order it is.
        variety: Variety,
        /// The order's number.
        order_id: String,
    },
}

#[derive(Deserialize)]
struct Numbered {
    order_id: String,
}

impl Kite {
    /// Sends an order whose intent is on disk. It consumes the proof: the same intent cannot be sent twice.
    ///
    /// ```compile_fail
    /// # async fn place(kite: daybook_adapters::kite::Kite, order: daybook_adapters::kite::orders::NewOrder) {
    /// kite.place(order).await; // an order alone is no proof that anything was written
    /// # }
    /// ```
    pub async fn place<T: AsOrder>(&self, intent: Durable<T>) -> Outcome {
        self.place_order(&intent.into_inner().order()).await
    }

    /// Does what is on disk, once.
    pub async fn send(&self, command: Durable<OrderCommand>) -> Outcome {
        match command.into_inner() {
            OrderCommand::Place(order) => self.place_order(&order).await,
            OrderCommand::Modify(change) => self.modify_order(&change).await,
            OrderCommand::Cancel { variety, order_id } => self.cancel(&variety, &order_id).await,
        }
    }

    async fn place_order(&self, order: &NewOrder) -> Outcome {
        let fields = match order.fields() {
            Ok(fields) => fields,
            Err(reason) => return impossible(reason),
        };
        let path = format!("/orders/{}", order.variety);
        self.change_something(Method::Post, path, Some(form_of(&fields)), urgency(order.is_exit)).await
    }

    /// Changes an order.
    pub async fn modify(&self, change: Durable<Change>) -> Outcome {
        self.modify_order(&change.into_inner()).await
    }

    async fn modify_order(&self, change: &Change) -> Outcome {
        let mut fields = vec![("order_type", change.pricing.text().to_owned())];
        if let Some(quantity) = change.quantity {
            let units = quantity.0 / daybook_vocabulary::decimal::SCALE;
            if quantity.0 <= 0 || Quantity::from_units(units) != quantity {
                return impossible("the quantity is not a whole number above 0");
            }
            fields.push(("quantity", units.to_string()));
        }
        for (name, price) in [("price", change.price), ("trigger_price", change.trigger)] {
            fields.extend(price.map(|price| (name, Units(price.0).text())));
        }
        fields.extend(protection_of(&change.pricing, change.protection));
        let path = format!("/orders/{}/{}", change.variety, path_part(&change.order_id));
        self.change_something(Method::Put, path, Some(form_of(&fields)), urgency(change.is_exit)).await
    }

    /// Cancels an order. Cancels lower risk: they take their turn with the exits.
    pub async fn cancel(&self, variety: &Variety, order_id: &str) -> Outcome {
        let path = format!("/orders/{variety}/{}", path_part(order_id));
        self.change_something(Method::Delete, path, None, Urgency::Exit).await
    }

    async fn change_something(&self, method: Method, path: String, form: Option<Secret>, urgency: Urgency) -> Outcome {
        let call = Call { method, form, ..Call::get(path, Class::Orders(urgency)) };
        let mut tries = 0;
        loop {
            let request = match self.request(&call) {
                Ok(request) => request,
                Err(KiteError::SessionOver { message, .. }) => return Outcome::SessionOver(message),
                Err(error) => return Outcome::NotSent(error.to_string()),
            };
            if let Err(error) = self.turn(call.class).await {
                return Outcome::NotSent(error.to_string());
            }
            let answer = match self.transport.send(&request).await {
                Ok(answer) => answer,
                Err(error) => return Outcome::of_transport(&error),
            };
            let code = answer.code;
            let Some(refused) = self.refusal(&answer) else { return self.registered(&call, &answer.body) };
            match code {
                429 => {
                    let Some(backoff) = BACKOFF.get(tries) else { return Outcome::Refused(refused) };
                    tries += 1;
                    let jitter = self.pace.chance(JITTER.cast_unsigned() + 1).cast_signed();
                    self.pace.sleep(backoff + jitter).await;
                }
                403 if refused.kind == ErrorKind::Token => {
                    self.tell(SessionEvent::Refused(refused.message.clone()));
                    return Outcome::SessionOver(refused.message);
                }
                400..500 => return Outcome::Refused(refused),
                _ => return Outcome::Unknown(refused.to_string()),
            }
        }
    }

    fn registered(&self, call: &Call, body: &[u8]) -> Outcome {
        let read = self.raw_data(call, body).ok().and_then(|data| serde_json::from_str::<Numbered>(data).ok());
        match read {
            Some(numbered) => Outcome::Registered(numbered.order_id),
            None => Outcome::Unknown("the answer has no order_id".to_owned()),
        }
    }
}

fn form_of(fields: &[(&'static str, String)]) -> Secret {
    Secret::new(encode_form(fields.iter().map(|(name, value)| (*name, value.as_str()))))
}

const fn urgency(is_exit: bool) -> Urgency {
    if is_exit { Urgency::Exit } else { Urgency::Entry }
}

/// Refused by ourselves: the broker would not read it.
fn impossible(reason: &str) -> Outcome {
    Outcome::Refused(Refused { code: 0, kind: ErrorKind::Input, message: reason.to_owned() })
}
