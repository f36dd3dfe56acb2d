//! Refusals: an HTTP code, a kind and a text for people.
//!
//! - Every refusal has the broker's envelope: clients look at `error_type` before anything else.

use crate::kite_wire::words::ErrorType;
use serde::Serialize;

/// A request that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP code.
    pub code: u16,
    /// Its kind.
    pub kind: ErrorType,
    /// For people.
    pub message: String,
}

/// What was done, or why it was not.
pub type Answer<T> = Result<T, Refusal>;

#[derive(Serialize)]
struct Envelope<'a> {
    status: &'static str,
    message: &'a str,
    data: Option<()>,
    error_type: &'a ErrorType,
}

impl Refusal {
    fn new(code: u16, kind: ErrorType, message: impl Into<String>) -> Self {
        Self { code, kind, message: message.into() }
    }

    /// A parameter is missing or wrong.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(400, ErrorType::Input, message)
    }

    /// The session is not valid.
    pub fn token(message: impl Into<String>) -> Self {
        Self::new(403, ErrorType::Token, message)
    }

    /// An order was refused.
    pub fn order(message: impl Into<String>) -> Self {
        Self::new(400, ErrorType::Order, message)
    }

    /// Not enough money.
    pub fn margin(message: impl Into<String>) -> Self {
        Self::new(400, ErrorType::Margin, message)
    }

    /// Not enough holdings.
    pub fn holding(message: impl Into<String>) -> Self {
        Self::new(400, ErrorType::Holding, message)
    }

    /// Not allowed to this account.
    pub fn permission(message: impl Into<String>) -> Self {
        Self::new(403, ErrorType::Permission, message)
    }

    /// Too many requests.
    pub fn too_many() -> Self {
        Self::new(429, ErrorType::Network, "Too many requests")
    }

    /// The order system cannot be reached.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(503, ErrorType::Network, message)
    }

    /// The order system answered with something that is no answer.
    pub fn unreadable(message: impl Into<String>) -> Self {
        Self::new(502, ErrorType::Data, message)
    }

    /// More than an account may do in a day.
    pub fn too_many_today(message: impl Into<String>) -> Self {
        Self::new(429, ErrorType::Network, message)
    }

    /// Nothing is there.
    pub fn no_route(message: impl Into<String>) -> Self {
        Self::new(404, ErrorType::General, message)
    }

    /// Not that way.
    pub fn no_method() -> Self {
        Self::new(405, ErrorType::General, "Method not allowed")
    }

    /// Anything else.
    pub fn general(message: impl Into<String>) -> Self {
        Self::new(500, ErrorType::General, message)
    }

    /// The body of the answer.
    pub fn body(&self) -> String {
        let envelope = Envelope { status: "error", message: &self.message, data: None, error_type: &self.kind };
        serde_json::to_string(&envelope).unwrap_or_default()
    }
}

/// The body of an answer that worked.
pub fn success<T: Serialize + ?Sized>(data: &T) -> Answer<String> {
    #[derive(Serialize)]
    struct Envelope<'a, T: ?Sized> {
        status: &'static str,
        data: &'a T,
    }
    serde_json::to_string(&Envelope { status: "success", data })
        .map_err(|error| Refusal::general(format!("the answer cannot be written: {error}")))
}
