//! `hold`: buy once, keep. The yardstick every other strategy is measured against.

use super::{Parameter, ParameterError, Parameters, Rule, View};
use crate::orders::{OrderRequest, Requests};
use daybook_vocabulary::{Candle, Quantity, Side};
use serde::{Deserialize, Serialize};

/// Buys at the first chance and never sells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hold {
    quantity: Quantity,
    bought: bool,
}

impl Rule for Hold {
    const NAME: &'static str = "hold";
    const ABOUT: &'static str = "buy once at the first chance and keep";
    const PARAMETERS: &'static [Parameter] =
        &[Parameter { name: "quantity", default: "1", about: "how much to buy of each symbol" }];

    fn new(parameters: &Parameters) -> Result<Self, ParameterError> {
        Ok(Self { quantity: parameters.quantity("quantity")?, bought: false })
    }

    fn warmup(&self) -> u32 {
        0
    }

    fn on_bar(&mut self, _: &Candle) {}

    fn decide(&mut self, _: &View<'_>, requests: &mut Requests) {
        if !self.bought {
            self.bought = true;
            requests.place(OrderRequest::market(Side::Buy, self.quantity, "hold"));
        }
    }
}
