//! The words of the protocol.
//!
//! - Unknown words are kept as they came: a new status of the broker's must not stop anyone from reading a row.
//! - A status is final only when it is one of the four that are; everything else, unknown ones too, is not.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$item])* $variant,)*
            /// A word that is not known here.
            Other(String),
        }

        impl $name {
            /// Every known one.
            pub const ALL: &'static [&'static str] = &[$($word),*];

            /// As it stands on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }

            /// False for a word that is not known here.
            pub fn is_known(&self) -> bool {
                !matches!(self, Self::Other(_))
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                Ok(Self::from(word.as_ref()))
            }
        }
    };
}

words!(
    /// Which way.
    Transaction {
        /// Buys.
        Buy = "BUY",
        /// Sells.
        Sell = "SELL",
    }
);
words!(
    /// What becomes of the position.
    Product {
        /// Delivery.
        Cnc = "CNC",
        /// Intraday; squared off by the broker.
        Mis = "MIS",
        /// Derivatives carried overnight.
        Nrml = "NRML",
        /// Delivery funded by the broker.
        Mtf = "MTF",
        /// Cover order, as rows of it may show.
        Co = "CO",
    }
);
words!(
    /// How an order is priced.
    OrderType {
        /// At the market, within its protection.
        Market = "MARKET",
        /// At a price or better.
        Limit = "LIMIT",
        /// A limit behind a trigger.
        Sl = "SL",
        /// A market order behind a trigger.
        SlM = "SL-M",
    }
);
words!(
    /// How long an order works.
    Validity {
        /// Until the end of the session.
        Day = "DAY",
        /// At once or not at all.
        Ioc = "IOC",
        /// So many minutes.
        Ttl = "TTL",
    }
);
words!(
    /// The kind of order.
    Variety {
        /// Ordinary.
        Regular = "regular",
        /// Collected while the market is closed.
        Amo = "amo",
        /// With a stop of its own.
        Co = "co",
        /// In legs.
        Iceberg = "iceberg",
        /// In the broker's auction of short deliveries.
        Auction = "auction",
    }
);
words!(
    /// Where an order stands.
    Status {
        /// The API has it.
        PutOrderReqReceived = "PUT ORDER REQ RECEIVED",
        /// Risk management looks at it.
        ValidationPending = "VALIDATION PENDING",
        /// On its way to the exchange.
        OpenPending = "OPEN PENDING",
        /// At the exchange, filled in part or not at all.
        Open = "OPEN",
        /// At the exchange, waiting for its trigger.
        TriggerPending = "TRIGGER PENDING",
        /// A change is being looked at.
        ModifyValidationPending = "MODIFY VALIDATION PENDING",
        /// A change is on its way to the exchange.
        ModifyPending = "MODIFY PENDING",
        /// Changed.
        Modified = "MODIFIED",
        /// A cancel is on its way to the exchange.
        CancelPending = "CANCEL PENDING",
        /// Collected for the next session.
        AmoReqReceived = "AMO REQ RECEIVED",
        /// Filled whole.
        Complete = "COMPLETE",
        /// Ended, perhaps after a part was filled.
        Cancelled = "CANCELLED",
        /// Refused.
        Rejected = "REJECTED",
        /// A collected order that was withdrawn.
        CancelledAmo = "CANCELLED AMO",
        /// In postbacks: a partial fill or a change.
        Update = "UPDATE",
    }
);
words!(
    /// What kind of refusal.
    ErrorType {
        /// The session is not valid.
        Token = "TokenException",
        /// Not allowed to this application or account.
        Permission = "PermissionException",
        /// A problem of the account.
        User = "UserException",
        /// Second factor.
        TwoFa = "TwoFAException",
        /// A parameter is missing or wrong.
        Input = "InputException",
        /// An order was refused.
        Order = "OrderException",
        /// Not enough money.
        Margin = "MarginException",
        /// Not enough holdings.
        Holding = "HoldingException",
        /// The broker could not reach its order system, or too many requests.
        Network = "NetworkException",
        /// The order system answered something unreadable.
        Data = "DataException",
        /// Anything else.
        General = "GeneralException",
    }
);

impl Status {
    /// True when nothing more will happen to the order.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Complete | Self::Cancelled | Self::Rejected | Self::CancelledAmo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_are_kept_and_are_not_final() {
        let status: Status = serde_json::from_str("\"NOT CANCELLED\"").unwrap();
        assert_eq!(status, Status::Other("NOT CANCELLED".to_owned()));
        assert!(!status.is_final() && !status.is_known());
        assert_eq!(serde_json::to_string(&status).unwrap(), "\"NOT CANCELLED\"");
        assert!(Status::from("CANCELLED AMO").is_final());
        for word in Status::ALL {
            assert!(Status::from(*word).is_known(), "{word}");
        }
    }
}
