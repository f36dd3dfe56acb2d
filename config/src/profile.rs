//! Profiles: several settings under one name.
//!
//! - A profile sets keys that nobody else has set, and nothing that has no key of its own.
//! - What it sets is written out in a run's header: a profile whose numbers move on changes no old run.

use crate::exchange::Product;

/// How the simulated exchange fills orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Market orders at the next bar's open at the bar's own price: no slippage, no cap, no gate but cash.
    Plain,
    /// An order takes at most a tenth of a bar's volume and pays for the share it takes, up to 10 basis points a leg;
    /// limits fill when traded through, stops on the wrong side and prices outside the day's band are refused, auctions
    /// fill only what wants them; entries far off the market or by stale prices are refused, and a session that loses 5 % is
    /// over. Charges are the dated schedule of the product.
    Realistic,
    /// As the package backtrader fills: orders one after the other, each with the whole bar; exits of a bracket from the
    /// bar after their entry; all cash, shorts' proceeds included, asked at submission and at the fill; no ticks.
    Backtrader,
    /// As the package vectorbt fills signals: at the close of their own bar, one order a bar and symbol; stop before
    /// target, from the bar after the entry; purchases cut down to the cash there is; no ticks.
    Vectorbt,
}

impl Profile {
    /// Every profile.
    pub const ALL: &'static [Self] = &[Self::Plain, Self::Realistic, Self::Backtrader, Self::Vectorbt];

    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Realistic => "realistic",
            Self::Backtrader => "backtrader",
            Self::Vectorbt => "vectorbt",
        }
    }

    /// The fee schedule it sets where nobody else does: rates by date, of the product that is traded.
    pub const fn costs(self, product: Product) -> Option<&'static str> {
        match (self, product) {
            (Self::Realistic, Product::Intraday) => Some("zerodha-intraday"),
            (Self::Realistic, Product::Delivery) => Some("zerodha-delivery"),
            _ => None,
        }
    }

    /// The keys it sets where nobody else does, fee schedule aside.
    pub const fn sets(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Plain => &[],
            Self::Realistic => &[
                ("exchange.participation_bps", "1000"),
                ("exchange.slippage", "volume-share:100"),
                ("exchange.limit_fill", "through"),
                ("exchange.wrong_side", "refuse"),
                ("exchange.band_bps", "2000"),
                ("exchange.hours", "continuous"),
                ("risk.max_age_seconds", "60"),
                ("risk.max_deviation_bps", "2000"),
                ("risk.daily_max_loss_pct", "5"),
            ],
            Self::Backtrader => &[
                ("exchange.off_tick", "keep"),
                ("exchange.sequence", "queue"),
                ("exchange.exits_from", "next"),
                ("exchange.trail_from", "close"),
                ("exchange.buying_power", "free"),
            ],
            Self::Vectorbt => &[
                ("exchange.off_tick", "keep"),
                ("exchange.fill_bar", "close-once"),
                ("exchange.sequence", "queue"),
                ("exchange.exits_from", "next"),
                ("exchange.buying_power", "shrink"),
            ],
        }
    }
}
