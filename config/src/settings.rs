//! Typed settings: every key in one table, resolved from five kinds of source, each value with a known origin.
//!
//! - Rising precedence: built-in default, file, `.env`, environment (`DAYBOOK_*`), command line.
//! - An unknown key or a wrong value is an error wherever it is written, also where a stronger source overrides it: a
//!   misspelt risk limit that is silently ignored is the dearest kind of typo.
//! - The canonical form holds the keys that can change a result, and no path: two people who run the same thing from
//!   different directories get the same hash.
//! - Nothing here reads the ambient environment: it is handed in (see [`Sources::ambient`]).

use crate::contradictions::{Contradiction, contradiction};
use crate::error::ConfigError;
use crate::exchange::{
    BpsRange, BuyingPower, BySymbol, ExitsFrom, FillBar, LimitFill, Liquidity, MarketPrice, Missing, OffTick, Product,
    ProtectiveStop, Rebalance, Reconcile, Sequence, StopBasis, StopFill, Symbols, TradingTime, TrailFrom, TrailTiming,
    Venue, WrongSide,
};
use crate::exposures::{Loadings, Sector, Span};
use crate::fees::FeeSchedule;
use crate::learn::{Dates, Device, Draws, Lookbacks, Reward, Timeframes};
use crate::nearest::nearest;
use crate::profile::Profile;
use crate::slippage::SlippageModel;
use crate::sources::{Entry, PREFIX, Sources, looks_secret};
use crate::time_of_day::TimeOfDay;
use crate::value::Value;
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{BasisPoints, Date, Hash, Interval, Money, Quantity, Ratio};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// More than any account has; with it and the largest positions there are, every sum fits the tables' 38 digits.
const MOST_CASH: i128 = 1_000_000_000_000_000_000 * SCALE as i128;

/// Whether a key can change a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// It can: it is part of the canonical form and of the hash in a run's header.
    Results,
    /// It cannot, or what it points to has its own hash in the header: paths, caches, pictures.
    Surroundings,
}

/// A key, as the table declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its dotted name.
    pub name: &'static str,
    /// Text of its default.
    pub default: &'static str,
    /// What it takes.
    pub expected: &'static str,
    /// Whether it can change a result.
    pub scope: Scope,
    /// One line for people.
    pub doc: &'static str,
}

macro_rules! settings {
    ($(
        $name:literal $field:ident: $type:ty = $default:literal, $scope:ident, $doc:literal,
        expects $expected:literal $(if $check:expr)?;
    )*) => {
        /// Every setting, by type. A field is the key with `_` for `.`.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Settings {
            $(#[doc = $doc] pub $field: $type,)*
        }

        /// Every key, in the order in which they are shown.
        pub const KEYS: &[Key] = &[$(
            Key { name: $name, default: $default, expected: $expected, scope: Scope::$scope, doc: $doc },
        )*];

        impl Default for Settings {
            fn default() -> Self {
                Self {$(
                    $field: <$type>::read($default).expect("a default is a value of its own key: a test reads them all"),
                )*}
            }
        }

        impl Settings {
            /// The canonical text of a key's value; `None` for a key that does not exist.
            pub fn get(&self, key: &str) -> Option<String> {
                match key {
                    $($name => Some(self.$field.print()),)*
                    _ => None,
                }
            }

            /// Sets a key; false when the text is not a value of it, or there is no such key.
            fn set(&mut self, key: &str, text: &str) -> bool {
                match key {
                    $($name => {
                        let value = <$type>::read(text) $(.filter($check))?;
                        value.map(|value| self.$field = value).is_some()
                    })*
                    _ => false,
                }
            }
        }
    };
}

settings! {
    "cash" cash: Money = "1000000", Results,
        "Money in the account when a session begins.",
        expects "an amount above 0 and at most 1e18, such as 1000000" if |cash| *cash > Money::ZERO && cash.0 <= MOST_CASH;
    "costs" costs: ScheduleName = "none", Results,
        "Fee schedule: none, bps:N, per-share:N, flat:N, maker-taker:N:N, tiered:N@0,N@VALUE, asset-class:NAME, units:N@0:N:N, ib-fixed, ib-tiered, zerodha-intraday or zerodha-delivery.",
        expects "a fee schedule: none, bps:N, per-share:N, flat:N, maker-taker:N:N, tiered:N@0,N@VALUE, asset-class:NAME, units:N@0:N:N, ib-fixed, ib-tiered, zerodha-intraday or zerodha-delivery";
    "profile" profile: Profile = "plain", Results,
        "How the simulated exchange fills orders, and by realistic what it costs; a key of its own still overrides.",
        expects "a profile: plain, realistic, backtrader or vectorbt";
    "seed" seed: u64 = "0", Results,
        "Seed of every random choice.",
        expects "a whole number from 0 to 18446744073709551615";
    "engine.timeframe" engine_timeframe: Option<Interval> = "none", Results,
        "Interval of the bars a strategy sees, built in the core from the candles; none: the candles as they are.",
        expects "an interval such as 5m, 1h or 1d, or none";
    "exchange.participation_bps" exchange_participation_bps: Option<u32> = "none", Results,
        "Largest share of a bar's volume that one order may fill, in basis points; none: no limit.",
        expects "a whole number from 1 to 10000, or none" if |share| share.is_none_or(|bps| (1..=10_000).contains(&bps));
    "exchange.slippage" exchange_slippage: SlippageModel = "none", Results,
        "How far each leg fills from its reference price, against the trader: a model and its number, or none.",
        expects "a slippage model: none, bps:N, half-spread:N, volume-share:N, volume-share-squared:N, sqrt-impact:N, percent:N:N, asset-class:NAME, order-type:N:N:N, size-sqrt:N:N, participation:N:N:N, adv-linear:N:N, adv-sqrt:N, adv-power:N:N, spread:N, impact-linear:N:N:S, almgren-chriss:N:N:S, propagator:N:E:G:P or momentum:N:K";
    "exchange.adaptive_cap" exchange_adaptive_cap: Option<BpsRange> = "none", Results,
        "Least and largest participation, in basis points, where the cap follows how busy a candle is; none: it is fixed.",
        expects "LOW:HIGH in basis points such as 200:2500, or none";
    "exchange.adv_sessions" exchange_adv_sessions: u32 = "20", Results,
        "Sessions whose mean volume is an instrument's average daily volume, for models that want one.",
        expects "a whole number from 1 to 250" if |sessions| (1..=250).contains(sessions);
    "exchange.liquidity" exchange_liquidity: Liquidity = "volume", Results,
        "How much a candle has to trade: a share of its volume, or a pool of its own.",
        expects "volume, constant:QUANTITY, or depleting:QUANTITY:BPS (what comes back with each candle)";
    "exchange.liquidity_caps" exchange_liquidity_caps: BySymbol<Quantity> = "none", Results,
        "Most that single symbols have to trade on a candle.",
        expects "SYMBOL:quantity, several with commas, or none";
    "risk.safe_trading_start" risk_safe_trading_start: Option<TimeOfDay> = "none", Results,
        "No entry before this time of day of the exchange; bars of a day know no hour.",
        expects "a time of day such as 09:20, or none";
    "risk.safe_trading_end" risk_safe_trading_end: Option<TimeOfDay> = "none", Results,
        "No entry from this time of day on; a policy leaves its trades.",
        expects "a time of day such as 15:20, or none";
    "risk.hard_trading_end" risk_hard_trading_end: Option<TimeOfDay> = "none", Results,
        "By this time of day every position is left; exits are sent one bar ahead.",
        expects "a time of day such as 15:29:30, or none";
    "risk.max_age_seconds" risk_max_age_seconds: Option<u32> = "none", Results,
        "Oldest last price by which an entry may be judged, in seconds.",
        expects "a whole number, or none";
    "risk.max_deviation_bps" risk_max_deviation_bps: Option<BasisPoints> = "none", Results,
        "Farthest limit or stop price of an entry from the last price, in basis points.",
        expects "basis points above 0, or none" if |bps| bps.is_none_or(|bps| bps.0 > 0);
    "risk.max_slippage_bps" risk_max_slippage_bps: Option<BasisPoints> = "none", Results,
        "Market orders that enter go out as limits so far beyond the last price, in basis points; exits stay market orders.",
        expects "basis points above 0, or none" if |bps| bps.is_none_or(|bps| bps.0 > 0);
    "risk.max_order_quantity" risk_max_order_quantity: Option<Quantity> = "none", Results,
        "Largest quantity of an order that enters.",
        expects "a quantity above 0, or none" if |most| most.is_none_or(|most| most.0 > 0);
    "risk.max_order_value" risk_max_order_value: Option<Money> = "none", Results,
        "Largest value of an order that enters.",
        expects "an amount above 0, or none" if |most| most.is_none_or(|most| most > Money::ZERO);
    "risk.max_position_quantity" risk_max_position_quantity: Option<Quantity> = "none", Results,
        "Largest position in one name, working orders counted as filled.",
        expects "a quantity above 0, or none" if |most| most.is_none_or(|most| most.0 > 0);
    "risk.max_position_value" risk_max_position_value: Option<Money> = "none", Results,
        "Largest value of a position in one name when it is entered, working orders counted as filled.",
        expects "an amount above 0, or none" if |most| most.is_none_or(|most| most > Money::ZERO);
    "risk.max_concentration_pct" risk_max_concentration_pct: Option<Ratio> = "none", Results,
        "Largest share of the equity in one name, in percent.",
        expects "a percentage above 0, or none" if |most| most.is_none_or(|most| most.0 > 0);
    "risk.max_concurrent_trades" risk_max_concurrent_trades: Option<u32> = "none", Results,
        "Most names held or being entered at a time.",
        expects "a whole number, or none";
    "risk.max_gross" risk_max_gross: Option<Money> = "none", Results,
        "Largest sum of longs and shorts, working entries counted as filled.",
        expects "an amount above 0, or none" if |most| most.is_none_or(|most| most > Money::ZERO);
    "risk.max_net" risk_max_net: Option<Money> = "none", Results,
        "Largest difference of longs and shorts, working entries counted as filled.",
        expects "an amount above 0, or none" if |most| most.is_none_or(|most| most > Money::ZERO);
    "risk.max_leverage" risk_max_leverage: Option<Ratio> = "none", Results,
        "Largest sum of longs and shorts in multiples of the equity.",
        expects "a number above 0, or none" if |most| most.is_none_or(|most| most.0 > 0);
    "risk.max_sector_pct" risk_max_sector_pct: Option<Ratio> = "none", Results,
        "Largest share of the equity in one sector, longs and shorts together, in percent; a symbol without sector is refused.",
        expects "a percentage above 0, or none" if |most| most.is_none_or(|most| most.0 > 0);
    "risk.sectors" risk_sectors: BySymbol<Sector> = "none", Results,
        "Sectors of symbols.",
        expects "SYMBOL:sector, several with commas such as TCS:Information Technology, or none";
    "risk.sector_file" risk_sector_file: Option<PathBuf> = "none", Surroundings,
        "The same from a CSV file with columns symbol and sector (or industry); the run's header has the table itself.",
        expects "the path of a CSV file (~ is not expanded), or none";
    "risk.max_factor" risk_max_factor: BySymbol<Span> = "none", Results,
        "Exposures to factors that are allowed: the sum of weights in the equity times loadings.",
        expects "FACTOR:LOW..HIGH or FACTOR:N for -N..N, several with commas such as momentum:-0.5..0.8, or none";
    "risk.factors" risk_factors: BySymbol<Loadings> = "none", Results,
        "Loadings of symbols on factors.",
        expects "SYMBOL:factor=loading;factor=loading, several with commas, or none";
    "risk.factor_file" risk_factor_file: Option<PathBuf> = "none", Surroundings,
        "The same from a CSV file with the column symbol and one column a factor; the run's header has the table itself.",
        expects "the path of a CSV file (~ is not expanded), or none";
    "risk.benchmark" risk_benchmark: Option<String> = "none", Results,
        "Symbol of the journal that betas are measured against: it is heard and never traded.",
        expects "a symbol such as NIFTY50, or none";
    "risk.min_beta" risk_min_beta: Option<Ratio> = "none", Results,
        "Lowest beta of the positions against risk.benchmark, over the last risk.history_sessions.",
        expects "a number, or none";
    "risk.max_beta" risk_max_beta: Option<Ratio> = "none", Results,
        "Highest beta of the positions against risk.benchmark.",
        expects "a number, or none";
    "risk.max_var_pct" risk_max_var_pct: Option<Ratio> = "none", Results,
        "Largest value at risk of a session in percent of the equity, by what the positions would have made in past sessions.",
        expects "a percentage above 0, or none" if |most| most.is_none_or(|most| most.0 > 0);
    "risk.max_cvar_pct" risk_max_cvar_pct: Option<Ratio> = "none", Results,
        "Largest mean of the losses beyond the value at risk, in percent of the equity.",
        expects "a percentage above 0, or none" if |most| most.is_none_or(|most| most.0 > 0);
    "risk.var_confidence_pct" risk_var_confidence_pct: u32 = "95", Results,
        "Confidence of the value at risk, in percent.",
        expects "a whole number from 50 to 99" if |percent| (50..=99).contains(percent);
    "risk.history_sessions" risk_history_sessions: u32 = "20", Results,
        "Past sessions that value at risk and beta are worked out from; entries wait until there are so many.",
        expects "a whole number from 2 to 250" if |sessions| (2..=250).contains(sessions);
    "risk.margin_pct" risk_margin_pct: Option<Ratio> = "none", Results,
        "Margin in percent of what is held, long or short (intraday MIS: 20); none: longs are paid in full.",
        expects "a percentage above 0 and at most 100, or none"
        if |percent| percent.is_none_or(|percent| percent.0 > 0 && percent.0 <= 100 * SCALE);
    "risk.maintenance_pct" risk_maintenance_pct: Option<Ratio> = "none", Results,
        "Margin that longs must keep, in percent; none: risk.margin_pct. Less than that trips the limit `margin`.",
        expects "a percentage above 0 and at most 100, or none"
        if |percent| percent.is_none_or(|percent| percent.0 > 0 && percent.0 <= 100 * SCALE);
    "risk.short_maintenance_pct" risk_short_maintenance_pct: Option<Ratio> = "none", Results,
        "The same of shorts; none: as longs.",
        expects "a percentage above 0 and at most 100, or none"
        if |percent| percent.is_none_or(|percent| percent.0 > 0 && percent.0 <= 100 * SCALE);
    "risk.max_orders_per_minute" risk_max_orders_per_minute: Option<u32> = "none", Results,
        "Most orders, modifications and cancels in any minute; a quarter of a burst is kept for exits.",
        expects "a whole number above 0, or none" if |most| most.is_none_or(|most| most > 0);
    "risk.order_min_interval_ms" risk_order_min_interval_ms: Option<u32> = "none", Results,
        "Least time between two orders that enter, in milliseconds.",
        expects "a whole number, or none";
    "risk.duplicate_ms" risk_duplicate_ms: Option<u32> = "none", Results,
        "Least time until the same entry (side, kind, quantity, prices) may follow one that still works, in milliseconds.",
        expects "a whole number, or none";
    "risk.daily_max_loss" risk_daily_max_loss: Option<Money> = "none", Results,
        "Loss of a session, realised and open, at which entries are locked until the next one.",
        expects "an amount above 0, or none" if |most| most.is_none_or(|most| most > Money::ZERO);
    "risk.daily_max_loss_pct" risk_daily_max_loss_pct: Option<Ratio> = "none", Results,
        "The same in percent of the equity the session began with.",
        expects "a percentage above 0, or none" if |most| most.is_none_or(|most| most.0 > 0);
    "risk.daily_max_loss_r" risk_daily_max_loss_r: Option<Ratio> = "none", Results,
        "The same in R, the risk each trade began with; trades without a stop have none and do not count.",
        expects "a number above 0, or none" if |most| most.is_none_or(|most| most.0 > 0);
    "risk.max_drawdown_pct" risk_max_drawdown_pct: Option<Ratio> = "none", Results,
        "Fall from the peak of the equity, in percent, at which entries are locked until the operator resumes.",
        expects "a percentage above 0, or none" if |most| most.is_none_or(|most| most.0 > 0);
    "risk.equity_peak" risk_equity_peak: Option<Money> = "none", Results,
        "The most the account was worth before, from which a drawdown is counted; none: the cash at the start.",
        expects "an amount above 0, or none" if |peak| peak.is_none_or(|peak| peak.0 > 0);
    "risk.flatten_on_trip" risk_flatten_on_trip: bool = "yes", Results,
        "Whether every position is left when a limit on losses trips.",
        expects "yes or no";
    "risk.capital_per_ticker" risk_capital_per_ticker: Money = "100000", Results,
        "What a policy commits to one trade, before leverage.",
        expects "an amount above 0" if |amount| *amount > Money::ZERO;
    "risk.leverage" risk_leverage: Ratio = "1", Results,
        "How many times its capital a policy buys.",
        expects "a number above 0" if |times| times.0 > 0;
    "risk.trailing_stop_r" risk_trailing_stop_r: Ratio = "1", Results,
        "Distance of a policy's trailing stop from the best price, in R.",
        expects "a number above 0" if |distance| distance.0 > 0;
    "risk.initial_stop_atr" risk_initial_stop_atr: Ratio = "2", Results,
        "Distance of a policy's first stop from the entry, in average true ranges of 14 bars.",
        expects "a number above 0" if |distance| distance.0 > 0;
    "risk.protective_stop" risk_protective_stop: ProtectiveStop = "none", Results,
        "Stop that is kept on every position, where its strategy gives none; a session with a broker is never without (atr:2).",
        expects "none, percent:N or atr:N (average true ranges of 14 bars)";
    "live.venue" live_venue: Venue = "simulated", Results,
        "Who fills the orders: our own exchange, the broker of a live session (daybook trade sets it), or our own in the broker's place (backtest --like and fork set it).",
        expects "simulated, broker or like-broker";
    "live.reconcile" live_reconcile: Reconcile = "halt", Results,
        "What is done where a broker's books differ from ours: take its word, take it and leave, or no new risk.",
        expects "adopt, flatten or halt";
    "live.market_protection" live_market_protection: Option<Ratio> = "none", Surroundings,
        "How far market orders and triggered stops may fill from the last price, in percent; none: as the broker chooses.",
        expects "a percentage above 0 and at most 100, or none"
        if |percent| percent.is_none_or(|percent| percent.0 > 0 && percent.0 <= 100 * SCALE);
    "exchange.limit_fill" exchange_limit_fill: LimitFill = "touch", Results,
        "Whether a limit order fills when the price touches its limit, or only when it trades through it.",
        expects "touch or through";
    "exchange.off_tick" exchange_off_tick: OffTick = "round", Results,
        "What becomes of a strategy's price between two ticks.",
        expects "round, refuse or keep";
    "exchange.fill_bar" exchange_fill_bar: FillBar = "next", Results,
        "Where a market order trades: at the next candle's open, or (which looks back) at the close it was decided on.",
        expects "next, close or close-once";
    "exchange.sequence" exchange_sequence: Sequence = "path", Results,
        "Whether a candle is walked by all orders together, by those that leave first (of all symbols), or by one after the other.",
        expects "path, exits-first or queue";
    "exchange.exits_from" exchange_exits_from: ExitsFrom = "fill", Results,
        "Whether exits of a bracket work inside the candle of their entry, or from the next one on.",
        expects "fill or next";
    "exchange.trail_from" exchange_trail_from: TrailFrom = "extreme", Results,
        "Whether a trailing stop follows the best price of a candle, or its close.",
        expects "extreme or close";
    "exchange.lag_bars" exchange_lag_bars: u32 = "0", Results,
        "Candles of its instrument that an order of a strategy lets pass before it works.",
        expects "a whole number from 0 to 1000" if |bars| *bars <= 1_000;
    "exchange.market_price" exchange_market_price: Option<MarketPrice> = "none", Results,
        "Price of its candle at which a market order trades; none: the open, or where exchange.fill_bar looks back the close.",
        expects "open, close, vwap (the mean of high, low and close), mid (of high and low), or none";
    "exchange.stop_fill" exchange_stop_fill: StopFill = "stop", Results,
        "Where a stop fills that is touched inside a candle; a gap through it fills at the open.",
        expects "stop, close, extreme or next-open";
    "exchange.stop_basis" exchange_stop_basis: StopBasis = "fill", Results,
        "What the distances of a bracket's stop and target are measured from: the fill, or the price of the decision.",
        expects "fill or signal";
    "exchange.trail_timing" exchange_trail_timing: TrailTiming = "after", Results,
        "Whether a trailing stop follows a candle's best price once the candle is over, or before its stop is looked at.",
        expects "after or before";
    "exchange.settlement" exchange_settlement: u32 = "0", Results,
        "Sessions until what a delivered sale brought in may buy again (T+N); 0: at once. Margin and intraday know no settlement.",
        expects "a whole number from 0 to 10" if |sessions| *sessions <= 10;
    "exchange.cash_buffer_pct" exchange_cash_buffer_pct: Option<Ratio> = "none", Results,
        "Part of the equity, in percent, that purchases always leave in cash.",
        expects "a percentage above 0 and below 100, or none"
        if |percent| percent.is_none_or(|percent| percent.0 > 0 && percent.0 < 100 * SCALE);
    "portfolio.rebalance" portfolio_rebalance: Rebalance = "snapshot", Results,
        "How target weights become orders: all sized at one moment, one after the other from what is left, or sales first.",
        expects "snapshot, incremental or hybrid";
    "portfolio.headroom" portfolio_headroom: Ratio = "1", Results,
        "What target weights are multiplied by, so that costs fit beside them, such as 0.998.",
        expects "a number above 0 and at most 1" if |part| (1..=SCALE).contains(&part.0);
    "portfolio.missing" portfolio_missing: Missing = "skip", Results,
        "What a portfolio does about a symbol that has no candle when it decides, or has not begun to trade.",
        expects "skip, wait or error";
    "exchange.buying_power" exchange_buying_power: BuyingPower = "held", Results,
        "What pays for orders: cash that nothing holds back, all cash, or all cash with purchases cut down to it.",
        expects "held, free or shrink";
    "exchange.wrong_side" exchange_wrong_side: WrongSide = "trigger", Results,
        "What becomes of a strategy's stop that the market is already beyond.",
        expects "trigger or refuse";
    "exchange.band_bps" exchange_band_bps: Option<u32> = "none", Results,
        "The day's price band around the previous close, in basis points; orders outside it are refused.",
        expects "a whole number from 1 to 10000, or none" if |band| band.is_none_or(|bps| (1..=10_000).contains(&bps));
    "exchange.bands" exchange_bands: BySymbol<Option<u32>> = "none", Results,
        "Price bands of single symbols, where they differ.",
        expects "SYMBOL:basis points, several with commas such as IDEA:1000,RELIANCE:none, or none";
    "exchange.hours" exchange_hours: TradingTime = "any", Results,
        "Whether orders trade on every candle, or in continuous trading alone.",
        expects "any or continuous";
    "exchange.product" exchange_product: Product = "delivery", Results,
        "Whether positions may stay over night, or the broker squares them off.",
        expects "delivery or intraday";
    "exchange.square_off" exchange_square_off: TimeOfDay = "15:20:00", Results,
        "When the broker squares intraday positions off, on the exchange's clock.",
        expects "a time such as 15:20";
    "exchange.auction_square_off" exchange_auction_square_off: TimeOfDay = "15:12:00", Results,
        "The same for symbols of exchange.closing_auction on days that have one.",
        expects "a time such as 15:12";
    "exchange.closing_auction" exchange_closing_auction: Symbols = "none", Results,
        "Symbols that close in NSE's closing auction (stocks with derivatives, since 2026-08-03).",
        expects "symbols with commas such as RELIANCE,TCS, all, or none";
    "exchange.square_off_fee" exchange_square_off_fee: Money = "50", Results,
        "What the broker charges for each position it squares off, before tax.",
        expects "an amount from 0 such as 50" if |fee| *fee >= Money::ZERO;
    "exchange.latency_ns" exchange_latency_ns: u64 = "0", Results,
        "Nanoseconds from a decision to the exchange: an order works on candles that open no earlier.",
        expects "a whole number to 3600000000000 (an hour)" if |latency| *latency <= 3_600_000_000_000;
    "exchange.answer_ns" exchange_answer_ns: u64 = "0", Results,
        "Nanoseconds from the exchange back: until then a strategy is not asked about an instrument that filled.",
        expects "a whole number to 3600000000000 (an hour)" if |latency| *latency <= 3_600_000_000_000;
    "exchange.expiries" exchange_expiries: BySymbol<Date> = "none", Results,
        "Last trading dates of single symbols.",
        expects "SYMBOL:date, several with commas such as NIFTY26NOVFUT:2026-11-24, or none";
    "learn.steps" learn_steps: u64 = "500000", Surroundings,
        "Updates of the network (a model's own file says what it was trained with, as for every key of learn).",
        expects "a whole number";
    "learn.batch_size" learn_batch_size: u64 = "512", Surroundings,
        "Decision times per update.",
        expects "a whole number from 1 to 1048576" if |count| (1..=1 << 20).contains(count);
    "learn.lr" learn_lr: Ratio = "0.0003", Surroundings,
        "Learning rate of AdamW.",
        expects "a number above 0 and at most 1" if |rate| (1..=SCALE).contains(&rate.0);
    "learn.weight_decay" learn_weight_decay: Ratio = "0.0001", Surroundings,
        "Weight decay of AdamW.",
        expects "a number from 0 to 1" if |rate| (0..=SCALE).contains(&rate.0);
    "learn.gamma" learn_gamma: Ratio = "0.99", Surroundings,
        "Worth of the next decision's value.",
        expects "a number from 0 to 1" if |rate| (0..=SCALE).contains(&rate.0);
    "learn.clip" learn_clip: Ratio = "1", Surroundings,
        "The largest norm of a gradient.",
        expects "a number above 0" if |norm| norm.0 > 0;
    "learn.target_every" learn_target_every: u64 = "1000", Surroundings,
        "Updates between hard copies to the target network.",
        expects "a whole number from 1" if |steps| *steps > 0;
    "learn.epsilon_start" learn_epsilon_start: Ratio = "0.1", Surroundings,
        "Exploration at the start.",
        expects "a number from 0 to 1" if |rate| (0..=SCALE).contains(&rate.0);
    "learn.epsilon_end" learn_epsilon_end: Ratio = "0.01", Surroundings,
        "Exploration at the end.",
        expects "a number from 0 to 1" if |rate| (0..=SCALE).contains(&rate.0);
    "learn.epsilon_steps" learn_epsilon_steps: u64 = "50000", Surroundings,
        "Updates until exploration is at its end.",
        expects "a whole number";
    "paper_trading" paper_trading: bool = "yes", Surroundings,
        "Whether `trade` without a flag fills on our own exchange and sends nothing; no: it trades at the broker.",
        expects "yes or no";
    "winner_min_avg_reward" winner_min_avg_reward: Ratio = "0.05", Surroundings,
        "What a winner must have earned on the range held out, in R a trade, before it may trade at a broker.",
        expects "a number";
    "from_dates" from_dates: BySymbol<Date> = "none", Surroundings,
        "First date of history that `fetch` asks for when it is given no --from, by interval.",
        expects "INTERVAL:date, several with commas such as 5m:2023-01-02,1d:2015-01-01, or none"
        if |dates| dates.symbols().all(|interval| interval.parse::<Interval>().is_ok());
    "index.name" index_name: String = "nifty50", Surroundings,
        "The index whose members `fetch` asks for when it is given neither --symbols nor --index.",
        expects "the name of an index such as nifty50" if |name| !name.is_empty();
    "index.url" index_url: Option<String> = "https://nsearchives.nseindia.com/content/indices/ind_{index}list.csv", Surroundings,
        "Where `fetch` gets today's list of an index, a CSV with the column Symbol; none: the lists that are built in.",
        expects "an address with https://, in which {index} stands for the index's name, or none"
        if |url| url.as_ref().is_none_or(|url| url.starts_with("https://") || url.starts_with("http://"));
    "learn.timeframes" learn_timeframes: Timeframes = "5m,15m", Surroundings,
        "Timeframes that a decision sees; the candles are of the first.",
        expects "intervals such as 5m,15m, the shortest first";
    "learn.lookbacks" learn_lookbacks: Lookbacks = "5m:256,15m:128", Surroundings,
        "Bars of each timeframe that a decision sees.",
        expects "TIMEFRAME:BARS from 8 to 4096 bars, several with commas such as 5m:256,15m:128";
    "learn.holdout" learn_holdout: Option<Dates> = "none", Surroundings,
        "Sessions held out for evaluation; training on them is refused.",
        expects "DATE..DATE, both inclusive, or none";
    "learn.micro_batch" learn_micro_batch: Option<u64> = "8", Surroundings,
        "Decision times that a thread works on at once; none: as many as memory allows.",
        expects "a whole number from 1 to 1048576, or none" if |count| count.is_none_or(|count| (1..=1 << 20).contains(&count));
    "learn.sampling" learn_sampling: Draws = "uniform", Surroundings,
        "How decision times are drawn from the memory.",
        expects "uniform or prioritised";
    "learn.alpha" learn_alpha: Ratio = "0.6", Surroundings,
        "Prioritised sampling: how much surprise counts.",
        expects "a number from 0 to 1" if |rate| (0..=SCALE).contains(&rate.0);
    "learn.beta" learn_beta: Ratio = "0.4", Surroundings,
        "Prioritised sampling: how much of the bias is taken back.",
        expects "a number from 0 to 1" if |rate| (0..=SCALE).contains(&rate.0);
    "learn.reward" learn_reward: Reward = "marked-r", Surroundings,
        "What a transition is rewarded with: the change of its trade's marked-to-market R, or the R when it is closed.",
        expects "marked-r or closed-r";
    "learn.device" learn_device: Device = "cpu", Surroundings,
        "What a network is trained on.",
        expects "cpu or cuda";
    "learn.threads" learn_threads: Option<u32> = "none", Surroundings,
        "Threads of training; none: all cores.",
        expects "a whole number from 1 to 1024, or none" if |count| count.is_none_or(|count| (1..=1024).contains(&count));
    "learn.thermal" learn_thermal: bool = "yes", Surroundings,
        "Whether training pauses while the machine is too hot.",
        expects "yes or no";
    "learn.checkpoint_every" learn_checkpoint_every: u64 = "50", Surroundings,
        "Updates between checkpoints.",
        expects "a whole number from 1" if |steps| *steps > 0;
    "learn.checkpoint" learn_checkpoint: Option<PathBuf> = "none", Surroundings,
        "The checkpoint; none: checkpoint.safetensors in the training's folder.",
        expects "the path of a file (~ is not expanded), or none";
    "learn.winner" learn_winner: Option<PathBuf> = "none", Surroundings,
        "Folder of the model that may trade.",
        expects "the path of a folder (~ is not expanded), or none";
    "learn.winner_key" learn_winner_key: Option<PathBuf> = "none", Surroundings,
        "Public key that a winner must be signed with; none: that of the sealing key (seal.key_file).",
        expects "the path of a public key (~ is not expanded), or none";
    "calendar.file" calendar_file: Option<PathBuf> = "none", Surroundings,
        "Calendar file that adds years to the market's calendar (the run's header has the calendar's own hash).",
        expects "the path of a calendar file, or none (~ is not expanded)";
    "journal.segment_mib" journal_segment_mib: u32 = "64", Surroundings,
        "Size of a journal's segments in MiB.",
        expects "a whole number from 1 to 4096" if |size| (1..=4096).contains(size);
    "snapshot.every" snapshot_every: u64 = "1048576", Surroundings,
        "Inputs between two snapshots of the core; 0: none.",
        expects "a whole number, 0 for none";
    "snapshot.keep" snapshot_keep: u32 = "4", Surroundings,
        "Snapshots kept per session.",
        expects "a whole number";
    "live.snapshot_every" live_snapshot_every: u64 = "65536", Surroundings,
        "Inputs between two snapshots of a live session, a minute of its time at least; 0: none.",
        expects "a whole number, 0 for none";
    "live.segment_kib" live_segment_kib: u32 = "16384", Surroundings,
        "Size of the segments of a live session's journal, and of its reserve for a full disk, in KiB; multiples of 4.",
        expects "a multiple of 4 from 64 to 1048576" if |size| (64..=1_048_576).contains(size) && size.is_multiple_of(4);
    "live.room_kib" live_room_kib: Option<u64> = "none", Surroundings,
        "Most that the journal of a live session may own on the disk, in KiB: beyond it the disk counts as full; none: what there is.",
        expects "a whole number from 256, or none" if |room| room.is_none_or(|room| room >= 256);
    "seal.key_file" seal_key_file: Option<PathBuf> = "none", Surroundings,
        "Key that seals journals; not set: daybook/seal.key in the user's config directory.",
        expects "the path of a key file (~ is not expanded)";
    "report.chart_trades" report_chart_trades: u32 = "30", Surroundings,
        "Trades the report draws on its charts.",
        expects "a whole number";
}

/// Keys younger than the first sessions. They are left out of the canonical form while they have their default, so
/// that a session without them has the header, and the hash, that it always had.
fn is_later(key: &str) -> bool {
    key.starts_with("risk.")
        || key.starts_with("live.")
        || key.starts_with("portfolio.")
        || (key.starts_with("exchange.") && key != "exchange.participation_bps")
}

/// The canonical name of a fee schedule that exists; [`FeeSchedule::parse`] reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleName(String);

impl ScheduleName {
    pub(crate) fn of(schedule: &FeeSchedule) -> Self {
        Self(schedule.name().to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::ops::Deref for ScheduleName {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// Set by the profile in force.
    Profile(Profile),
    /// A line of the settings file.
    File(PathBuf, usize),
    /// A line of the `.env` file.
    Dotenv(PathBuf, usize),
    /// A variable of the environment.
    Environment(String),
    /// A flag, or `--set`.
    CommandLine,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::Profile(profile) => write!(out, "profile {}", profile.word()),
            Self::File(path, line) | Self::Dotenv(path, line) => write!(out, "{}:{line}", path.display()),
            Self::Environment(variable) => write!(out, "environment {variable}"),
            Self::CommandLine => out.write_str("command line"),
        }
    }
}

/// Settings in force, and where each came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The values.
    pub settings: Settings,
    origins: Vec<Origin>,
}

/// A line of `daybook config show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: &'static str,
    /// Its effective value; `none` where it is not set.
    pub value: String,
    /// Where the value came from.
    pub origin: Origin,
    /// What the key is for.
    pub doc: &'static str,
}

impl Settings {
    /// Resolves the sources, weakest first. Fails on the first unknown key or wrong value in that order.
    ///
    /// ```
    /// use daybook_config::{Settings, Sources};
    /// let sources = Sources {
    ///     environment: vec![("DAYBOOK_ENGINE_TIMEFRAME".to_owned(), "15m".to_owned())],
    ///     overrides: vec![("cash".to_owned(), "5000".to_owned())],
    ///     ..Sources::default()
    /// };
    /// let resolved = Settings::resolve(sources).unwrap();
    /// assert_eq!(resolved.settings.engine_timeframe.unwrap().to_string(), "15m");
    /// assert_eq!(resolved.origin("cash").unwrap().to_string(), "command line");
    /// ```
    pub fn resolve(sources: Sources) -> Result<Resolved, ConfigError> {
        let mut settings = Self::default();
        let mut origins = vec![Origin::Default; KEYS.len()];
        let collected = sources.collect()?;
        settings.seal_key_file = collected.default_seal_key;
        for Entry { name, key, value, origin } in collected.entries {
            let Some(index) = key.and_then(|key| KEYS.iter().position(|known| known.name == key)) else {
                return Err(unknown_key(name, &origin));
            };
            let key = &KEYS[index];
            if !settings.set(key.name, &value) {
                return Err(wrong_value(key, &value, &origin.to_string()));
            }
            origins[index] = origin;
        }
        let profile = settings.profile;
        let costs = profile.costs(settings.exchange_product).map(|schedule| ("costs", schedule));
        for (name, value) in profile.sets().iter().copied().chain(costs) {
            let index = KEYS.iter().position(|known| known.name == name).expect("a profile sets keys that exist");
            if origins[index] == Origin::Default {
                assert!(settings.set(name, value), "a profile sets values of its keys");
                origins[index] = Origin::Profile(profile);
            }
        }
        let resolved = Resolved { settings, origins };
        resolved.check()?;
        Ok(resolved)
    }

    /// The keys that can change a result, sorted, as one line of JSON whose values are texts. What a profile set is
    /// written out, so that a header means the same when the profile's numbers have moved on.
    pub fn canonical_json(&self) -> String {
        let values: BTreeMap<&str, String> = KEYS
            .iter()
            .filter(|key| key.scope == Scope::Results)
            .map(|key| (key, self.get(key.name).unwrap_or_default()))
            .filter(|(key, value)| !is_later(key.name) || value != key.default)
            .map(|(key, value)| (key.name, value))
            .collect();
        serde_json::to_string(&values).expect("a map of texts is always JSON")
    }

    /// blake3 of the canonical form.
    pub fn hash(&self) -> Hash {
        Hash(*blake3::hash(self.canonical_json().as_bytes()).as_bytes())
    }

    /// Settings from the canonical form in a run's header. Keys the header does not have keep their defaults.
    pub fn from_canonical_json(text: &str) -> Result<Self, ConfigError> {
        const ORIGIN: &str = "the run's header";
        let values: BTreeMap<String, String> = serde_json::from_str(text).map_err(|error| ConfigError::Format {
            place: ORIGIN.to_owned(),
            reason: format!("its settings are not an object of texts ({error}); was it written by another version?"),
        })?;
        let mut settings = Self::default();
        for (name, value) in values {
            let Some(key) = KEYS.iter().find(|key| key.name == name && key.scope == Scope::Results) else {
                return Err(ConfigError::UnknownKey { key: name, origin: ORIGIN.to_owned(), hint: String::new() });
            };
            if !settings.set(key.name, &value) {
                return Err(wrong_value(key, &value, ORIGIN));
            }
        }
        match contradiction(&settings) {
            Some(Contradiction { key, expected }) => Err(contradicts(&settings, key, expected, ORIGIN.to_owned())),
            None => Ok(settings),
        }
    }
}

impl Resolved {
    /// Refuses values that contradict each other.
    fn check(&self) -> Result<(), ConfigError> {
        let Some(Contradiction { key, expected }) = contradiction(&self.settings) else { return Ok(()) };
        let origin = self.origin(key).map(ToString::to_string).unwrap_or_default();
        Err(contradicts(&self.settings, key, expected, origin))
    }

    /// Every key with its effective value and where it came from.
    pub fn rows(&self) -> Vec<Row> {
        let row = |(key, origin): (&Key, &Origin)| Row {
            key: key.name,
            value: self.settings.get(key.name).unwrap_or_default(),
            origin: origin.clone(),
            doc: key.doc,
        };
        KEYS.iter().zip(&self.origins).map(row).collect()
    }

    /// Where the value of a key came from; `None` for a key that does not exist.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        KEYS.iter().position(|known| known.name == key).map(|index| &self.origins[index])
    }

    /// See [`Settings::canonical_json`].
    pub fn canonical_json(&self) -> String {
        self.settings.canonical_json()
    }

    /// See [`Settings::hash`].
    pub fn hash(&self) -> Hash {
        self.settings.hash()
    }
}

fn contradicts(settings: &Settings, key: &str, expected: String, origin: String) -> ConfigError {
    let value = format!("'{}'", settings.get(key).unwrap_or_default());
    ConfigError::WrongValue { key: key.to_owned(), value, origin, expected }
}

fn unknown_key(name: String, origin: &Origin) -> ConfigError {
    // A key without its table is more often left out than misspelt.
    let bare = name.strip_prefix(PREFIX).unwrap_or(&name).to_ascii_lowercase();
    let whole = KEYS.iter().map(|key| key.name).find(|key| key.split_once('.').is_some_and(|(_, last)| last == bare));
    let hint = match (origin, whole) {
        (Origin::Environment(_) | Origin::Dotenv(..), Some(key)) => Some(crate::sources::variable(key)),
        (Origin::Environment(_) | Origin::Dotenv(..), None) => {
            let variables: Vec<String> = KEYS.iter().map(|key| crate::sources::variable(key.name)).collect();
            nearest(&name, variables.iter().map(String::as_str)).map(str::to_owned)
        }
        (_, Some(key)) => Some(key.to_owned()),
        (_, None) => nearest(&name, KEYS.iter().map(|key| key.name)).map(str::to_owned),
    };
    let hint = hint.map(|known| format!(": did you mean '{known}'?")).unwrap_or_default();
    ConfigError::UnknownKey { key: name, origin: origin.to_string(), hint }
}

fn wrong_value(key: &Key, value: &str, origin: &str) -> ConfigError {
    let shown = if looks_secret(key.name) { "(not shown)".to_owned() } else { format!("'{}'", value.escape_debug()) };
    ConfigError::WrongValue {
        key: key.name.to_owned(),
        value: shown,
        origin: origin.to_owned(),
        expected: key.expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_of_its_key_and_reads_back() {
        let defaults = Settings::default();
        for key in KEYS {
            let mut settings = Settings::default();
            assert!(settings.set(key.name, key.default), "{} = {}", key.name, key.default);
            assert_eq!(defaults.get(key.name).as_deref(), Some(key.default), "{}", key.name);
            assert!(!looks_secret(key.name), "{}: a value that is shown must not look secret", key.name);
        }
    }

    #[test]
    fn every_profile_sets_values_of_keys_that_exist() {
        for profile in Profile::ALL {
            let costs = [Product::Delivery, Product::Intraday].map(|product| profile.costs(product));
            for schedule in costs.into_iter().flatten() {
                assert!(FeeSchedule::parse(schedule).is_ok(), "{}: {schedule}", profile.word());
            }
            for (name, value) in profile.sets() {
                let mut settings = Settings::default();
                assert!(settings.set(name, value), "{} sets {name} = {value}", profile.word());
                assert_eq!(settings.get(name).as_deref(), Some(*value), "written as it is shown");
            }
        }
    }

    #[test]
    fn names_of_keys_are_unique_also_as_variables() {
        let mut names: Vec<String> = KEYS.iter().map(|key| crate::sources::variable(key.name)).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), KEYS.len());
    }
}
