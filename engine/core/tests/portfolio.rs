//! Limits on the portfolio as a whole, and the caps beside them, in random worlds against a naive twin.
//!
//! - The twin sees outputs and candles alone and works everything out anew each time, by the textbook and in floats:
//!   betas by deviations from means, quantiles between two sorted losses. What the core rounds differs by 1e-6 at most.
//! - It judges both ways: what was let in keeps every limit or is the way back, what was refused would have broken the
//!   limit that refused it. After every input the account's equity is what cash, fills and last prices add up to.
//! - A failure names its seed: `DAYBOOK_SEED=… cargo test -p daybook-core --test portfolio` runs that world alone.

mod worlds;

use daybook_config::{Settings, Sources};
use daybook_core::risk::{CHECKS, PortfolioLimits, RiskLimits};
use daybook_core::{Conclusion, Core, Output, Request};
use daybook_vocabulary::decimal::SCALE;
use daybook_vocabulary::{InstrumentId, Nanos, OrderId, OrderIntent, OrderState, Side, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use worlds::{Random, Step, World};

const MINUTE: i64 = 60_000_000_000;

/// Settings for a world: each limit in two of three, the caps of the account in one of three.
fn settings(random: &mut Random, world: &World) -> Settings {
    let cash = world.cash.0.max(1_000_000) / i128::from(SCALE);
    let mut overrides = Vec::new();
    let mut set = |key: &str, value: String| overrides.push((format!("risk.{key}"), value));
    let pick = |random: &mut Random, values: &[&str]| random.pick(values).to_owned();
    if !random.one_in(3) {
        set("max_sector_pct", pick(random, &["3", "20", "90"]));
        set("sectors", pick(random, &["S0:x,S1:x,S2:y", "S0:x,S1:y", "S0:a b,S1:a b,S2:a b"]));
    }
    if !random.one_in(3) {
        set("max_factor", pick(random, &["value:0.1", "value:-0.05..0.4,size:0.2", "size:-0.2..-0.1"]));
        let all = "S0:value=1.5;size=-0.3,S1:value=-0.7;size=1,S2:value=0;size=0.1";
        set("factors", pick(random, &[all, all, "S0:value=1;size=1"]));
    }
    if world.instruments.len() > 1 && !random.one_in(3) {
        set("benchmark", format!("S{}", random.range(0, world.instruments.len() as i64 - 1)));
        set("min_beta", pick(random, &["none", "-0.5", "-0.05"]));
        set("max_beta", pick(random, &["1.5", "0.3", "0.05"]));
    }
    if !random.one_in(3) {
        set("max_var_pct", pick(random, &["none", "0.05", "0.5", "5"]));
        set("max_cvar_pct", pick(random, &["none", "0.05", "0.3", "8"]));
        set("var_confidence_pct", pick(random, &["95", "75", "50"]));
    }
    set("history_sessions", pick(random, &["2", "3", "5"]));
    let mut some = |random: &mut Random, key: &str, value: String| {
        if random.one_in(3) {
            set(key, value);
        }
    };
    let share =
        |random: &mut Random, shares: &[i64]| format!("{}", (cash * i128::from(random.pick(shares)) / 100).max(1));
    let gross = share(random, &[10, 60, 120]);
    some(random, "max_gross", gross);
    let net = share(random, &[10, 40, 90]);
    some(random, "max_net", net);
    let value = share(random, &[5, 30, 80]);
    some(random, "max_position_value", value);
    let percent = pick(random, &["4", "25", "70"]);
    some(random, "max_concentration_pct", percent);
    let trades = pick(random, &["1", "2"]);
    some(random, "max_concurrent_trades", trades);
    let rate = pick(random, &["2", "6"]);
    some(random, "max_orders_per_minute", rate);
    Settings::resolve(Sources { overrides, ..Sources::default() }).unwrap().settings
}

#[derive(Clone, Copy)]
struct Working {
    index: usize,
    side: Side,
    remaining: i64,
    reserved: f64,
    reduces: bool,
}

/// The account, and the sessions before it, from outputs and candles alone.
struct Twin<'a> {
    world: &'a World,
    settings: &'a Settings,
    cash: i128,
    held: Vec<i64>,
    last: Vec<i128>,
    orders: BTreeMap<OrderId, Working>,
    traded: Vec<bool>,
    closes: Vec<f64>,
    /// Returns of past sessions, and whether the instrument traded in them.
    sessions: Vec<Vec<(f64, bool)>>,
    /// When orders that enter were let in.
    entries: Vec<Nanos>,
    met: BTreeSet<String>,
}

/// What an order would make of the account: by instrument, the value held and the value with it.
struct Prospect {
    index: usize,
    before: Vec<f64>,
    change: f64,
    entering: Vec<(usize, f64)>,
    equity: f64,
}

impl Prospect {
    /// Instruments that are looked at.
    fn involved(&self) -> BTreeSet<usize> {
        let held = self.before.iter().enumerate().filter(|(_, value)| **value != 0.0).map(|(index, _)| index);
        let entering = self.entering.iter().filter(|(_, value)| *value != 0.0).map(|(index, _)| *index);
        held.chain(entering).chain([self.index]).collect()
    }

    /// Σ value × factor with the order, the least and the most that it can become, and what the order does to it.
    fn weighed(&self, of: impl Fn(usize) -> f64) -> (f64, f64, f64) {
        let change = self.change * of(self.index);
        let sum: f64 = self.involved().iter().map(|index| self.before[*index] * of(*index)).sum::<f64>() + change;
        let working = self.entering.iter().map(|(index, value)| value * of(*index));
        let above: f64 = working.clone().filter(|value| *value > 0.0).sum();
        let below: f64 = working.filter(|value| *value < 0.0).sum();
        (sum + below, sum + above, change)
    }
}

/// How a limit stands: kept, broken, or too near to say in floats.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stands {
    Kept,
    Broken,
    Near,
}

fn stands(over: f64, scale: f64) -> Stands {
    let near = 1e-6 * scale.abs() + 1e-6;
    if over.abs() <= near {
        Stands::Near
    } else if over > 0.0 {
        Stands::Broken
    } else {
        Stands::Kept
    }
}

fn worth(price: i128, quantity: i64) -> i128 {
    let (product, scale) = (price * i128::from(quantity), i128::from(SCALE));
    product.signum() * ((product.abs() * 2 + scale) / (2 * scale))
}

fn closes(held: i64, side: Side, quantity: i64) -> i64 {
    if (held > 0) == (side == Side::Sell) && held != 0 { quantity.min(held.abs()) } else { 0 }
}

fn number(text: impl ToString) -> f64 {
    text.to_string().parse().unwrap()
}

impl<'a> Twin<'a> {
    fn new(world: &'a World, settings: &'a Settings) -> Self {
        let count = world.instruments.len();
        Self {
            world,
            settings,
            cash: world.cash.0,
            held: vec![0; count],
            last: vec![0; count],
            orders: BTreeMap::new(),
            traded: vec![false; count],
            closes: vec![0.0; count],
            sessions: vec![Vec::new(); count],
            entries: Vec::new(),
            met: BTreeSet::new(),
        }
    }

    fn equity(&self) -> i128 {
        self.cash + self.held.iter().zip(&self.last).map(|(held, last)| worth(*last, *held)).sum::<i128>()
    }

    fn close_session(&mut self) {
        for index in 0..self.held.len() {
            let last = self.last[index] as f64;
            let traded = std::mem::take(&mut self.traded[index]);
            if self.closes[index] > 0.0 {
                let step = if traded { (last / self.closes[index] - 1.0).clamp(-100.0, 100.0) } else { 0.0 };
                self.sessions[index].push(((step * 1e8).round() / 1e8, traded));
            }
            if traded {
                self.closes[index] = last;
            }
        }
    }

    fn lookback(&self) -> usize {
        self.settings.risk_history_sessions as usize
    }

    /// Returns of the last sessions, where all are known.
    fn returns(&self, index: usize) -> Option<Vec<f64>> {
        let known = &self.sessions[index];
        let from = known.len().checked_sub(self.lookback())?;
        Some(known[from..].iter().map(|(step, _)| *step).collect())
    }

    fn benchmark(&self) -> Option<usize> {
        let symbol = self.settings.risk_benchmark.as_ref()?;
        self.world.instruments.iter().position(|instrument| instrument.symbol == *symbol)
    }

    /// The textbook's: mean-centred covariance over variance.
    fn beta(&self, index: usize) -> Option<f64> {
        let benchmark = self.benchmark()?;
        let known = &self.sessions[benchmark];
        let (own, other) = (self.returns(index)?, self.returns(benchmark)?);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (mean_own, mean_other) = (mean(&own), mean(&other));
        let covariance: f64 = own.iter().zip(&other).map(|(own, other)| (own - mean_own) * (other - mean_other)).sum();
        let variance: f64 = other.iter().map(|other| (other - mean_other) * (other - mean_other)).sum();
        let whole = known[known.len() - self.lookback()..].iter().all(|(_, traded)| *traded);
        (whole && other.iter().any(|step| *step != other[0])).then(|| ((covariance / variance) * 1e8).round() / 1e8)
    }

    fn prospect(&self, index: usize, side: Side, quantity: i64, price: i128, filling: bool) -> Prospect {
        let closing = closes(self.held[index], side, quantity);
        let moved = worth(price, quantity - closing) + worth(self.last[index], closing);
        let sign = if side == Side::Buy { 1.0 } else { -1.0 };
        let signed = |order: &Working| if order.side == Side::Buy { order.reserved } else { -order.reserved };
        let entering = self.orders.values().filter(|_| !filling).map(|order| (order.index, signed(order)));
        Prospect {
            index,
            before: self.held.iter().zip(&self.last).map(|(held, last)| worth(*last, *held) as f64).collect(),
            change: sign * moved as f64,
            entering: entering.collect(),
            equity: self.equity().max(0) as f64,
        }
    }

    /// How the limit behind a verdict stands. What opens and closes are worked out where sectors need them apart.
    fn limit(&self, verdict: Verdict, prospect: &Prospect, (opened, closed): (f64, f64)) -> Stands {
        let settings = self.settings;
        let missing = |is_missing: bool| if is_missing { Stands::Broken } else { Stands::Kept };
        let looks_back = self.has_beta() || settings.risk_max_var_pct.is_some() || settings.risk_max_cvar_pct.is_some();
        match verdict {
            Verdict::NotTraded => missing(self.benchmark() == Some(prospect.index)),
            Verdict::NoSector => {
                missing(settings.risk_max_sector_pct.is_some() && self.sector(prospect.index).is_none())
            }
            Verdict::Sector => self.sector_stands(prospect, (opened, closed)),
            Verdict::NoLoading => {
                let mut factors = settings.risk_max_factor.symbols();
                missing(
                    factors.any(|name| prospect.involved().iter().any(|index| self.loading(*index, name).is_none())),
                )
            }
            Verdict::FactorExposure => self.factors_stand(prospect),
            Verdict::NoHistory => {
                missing(looks_back && prospect.involved().iter().any(|index| self.returns(*index).is_none()))
            }
            Verdict::NoBenchmark => missing(self.has_beta() && self.beta(self.benchmark().unwrap()).is_none()),
            Verdict::Beta if self.has_beta() => {
                let sums = prospect.weighed(|index| self.beta(index).unwrap());
                let bound = |bound: Option<daybook_vocabulary::Ratio>| bound.map(number);
                self.within(prospect, sums, bound(settings.risk_min_beta), bound(settings.risk_max_beta))
            }
            Verdict::ValueAtRisk | Verdict::ExpectedShortfall => self.losses_stand(verdict, prospect),
            _ => Stands::Kept,
        }
    }

    fn has_beta(&self) -> bool {
        self.settings.risk_min_beta.is_some() || self.settings.risk_max_beta.is_some()
    }

    fn sector(&self, index: usize) -> Option<&str> {
        self.settings.risk_sectors.get(&self.world.instruments[index].symbol).map(|sector| sector.as_str())
    }

    fn loading(&self, index: usize, factor: &str) -> Option<f64> {
        self.settings.risk_factors.get(&self.world.instruments[index].symbol)?.on(factor).map(number)
    }

    fn sector_stands(&self, prospect: &Prospect, (opened, closed): (f64, f64)) -> Stands {
        let Some(most) = self.settings.risk_max_sector_pct else { return Stands::Kept };
        let own = self.sector(prospect.index);
        let mine = |index: usize| own.is_some() && self.sector(index) == own;
        let held: f64 = (0..prospect.before.len()).filter(|at| mine(*at)).map(|at| prospect.before[at].abs()).sum();
        let entering: f64 = prospect.entering.iter().filter(|(at, _)| mine(*at)).map(|(_, value)| value.abs()).sum();
        let whole = held + entering + opened - closed;
        if own.is_none() { Stands::Kept } else { stands(whole - number(most) / 100.0 * prospect.equity, whole) }
    }

    fn factors_stand(&self, prospect: &Prospect) -> Stands {
        let mut worst = Stands::Kept;
        for (name, span) in self.settings.risk_max_factor.iter() {
            let sums = prospect.weighed(|index| self.loading(index, name).unwrap());
            match self.within(prospect, sums, Some(number(span.low)), Some(number(span.high))) {
                Stands::Broken => return Stands::Broken,
                Stands::Near => worst = Stands::Near,
                Stands::Kept => {}
            }
        }
        worst
    }

    /// A sum between bounds, in the direction in which the order moves it.
    fn within(&self, prospect: &Prospect, sums: (f64, f64, f64), low: Option<f64>, high: Option<f64>) -> Stands {
        let ((lowest, highest, change), equity) = (sums, prospect.equity);
        let scale = prospect.before.iter().map(|value| value.abs()).sum::<f64>() + prospect.change.abs();
        let scale = scale + prospect.entering.iter().map(|(_, value)| value.abs()).sum::<f64>();
        match (low, high) {
            (_, Some(high)) if change > 0.0 => stands(highest - high * equity, scale),
            (Some(low), _) if change < 0.0 => stands(low * equity - lowest, scale),
            _ => Stands::Kept,
        }
    }

    fn losses_stand(&self, verdict: Verdict, prospect: &Prospect) -> Stands {
        let is_var = verdict == Verdict::ValueAtRisk;
        let most = if is_var { self.settings.risk_max_var_pct } else { self.settings.risk_max_cvar_pct };
        let Some(most) = most else { return Stands::Kept };
        let measure = |change: f64| {
            let mut losses: Vec<f64> = (0..self.lookback())
                .map(|ago| {
                    let step = |index: usize| self.returns(index).unwrap()[ago];
                    let involved = prospect.involved();
                    let held: f64 = involved.iter().map(|index| -prospect.before[*index] * step(*index)).sum();
                    let entering = prospect.entering.iter().map(|(index, value)| (-value * step(*index)).max(0.0));
                    held + entering.sum::<f64>() - change * step(prospect.index)
                })
                .collect();
            losses.sort_by(|one, other| other.total_cmp(one));
            let beyond = f64::from(100 - self.settings.risk_var_confidence_pct) / 100.0;
            let place = beyond * (losses.len() - 1) as f64;
            let (whole, part) = ((place + 1e-9) as usize, place - ((place + 1e-9) as usize) as f64);
            let next = losses.get(whole + 1).copied().unwrap_or(losses[whole]);
            let mean = losses[..=whole].iter().sum::<f64>() / (whole + 1) as f64;
            if is_var { losses[whole] * (1.0 - part) + next * part } else { mean }
        };
        let (with, without) = (measure(prospect.change), measure(0.0));
        let scale = with.abs() + without.abs() + prospect.equity * 1e-3;
        match (stands(with - without, scale), stands(with - number(most) / 100.0 * prospect.equity, scale)) {
            (Stands::Kept, _) | (_, Stands::Kept) => Stands::Kept,
            (Stands::Broken, Stands::Broken) => Stands::Broken,
            _ => Stands::Near,
        }
    }

    /// Every limit on the portfolio stands as the verdict says.
    fn judge(&mut self, verdict: Verdict, prospect: &Prospect, apart: (f64, f64), context: &str) {
        if verdict != Verdict::Approved && verdict < Verdict::NotTraded {
            // Refused before anybody looked at the portfolio.
            return;
        }
        for check in CHECKS.iter().map(|(check, _)| *check).skip_while(|check| *check != Verdict::NotTraded) {
            let found = self.limit(check, prospect, apart);
            if check == verdict {
                assert_ne!(found, Stands::Kept, "{context}: {check} refused what it allows");
                self.met.insert(check.to_string());
                return;
            }
            assert_ne!(found, Stands::Broken, "{context}: {check} is broken, the verdict was {verdict}");
        }
    }

    fn intent(&mut self, index: usize, intent: &OrderIntent, now: Nanos, context: &str) {
        let quantity = intent.quantity.0;
        let closing = closes(self.held[index], intent.side, quantity.max(0));
        let is_limit = CHECKS.iter().any(|(check, _)| *check == intent.verdict);
        if closing == quantity {
            assert!(!is_limit, "{context}: an exit was refused: {intent:?}");
        }
        let price = intent.limit.or(intent.stop).map_or(self.last[index], |price| i128::from(price.0));
        if closing < quantity && (is_limit || intent.verdict == Verdict::Approved) {
            let prospect = self.prospect(index, intent.side, quantity, price, false);
            let apart = (worth(price, quantity - closing) as f64, worth(self.last[index], closing) as f64);
            self.judge(intent.verdict, &prospect, apart, context);
        }
        if intent.verdict != Verdict::Approved {
            return;
        }
        let reduces = closing == quantity;
        let reserved = if reduces { 0.0 } else { worth(price, quantity - closing) as f64 };
        self.orders.insert(intent.order, Working { index, side: intent.side, remaining: quantity, reserved, reduces });
        if !reduces {
            self.entries.push(now);
            let most = self.settings.risk_max_orders_per_minute;
            let recent = self.entries.iter().filter(|at| now - **at < MINUTE).count();
            assert!(most.is_none_or(|most| recent <= most as usize), "{context}: {recent} entries in a minute");
        }
    }

    /// The caps of the account, after a fill that opened something.
    fn assert_caps(&self, index: usize, price: i128, wider: bool, context: &str) {
        let value = |at: usize| worth(if at == index { price } else { self.last[at] }, self.held[at]);
        let all = || (0..self.held.len()).map(value);
        let (gross, net) = (all().map(i128::abs).sum::<i128>(), all().sum::<i128>().abs());
        let settings = self.settings;
        // A part that was closed on the way was valued at the last price: one unit a name, for rounding.
        let at_most = |value: i128, most: Option<daybook_vocabulary::Money>, what: &str| {
            assert!(most.is_none_or(|most| value <= most.0 + 2), "{context}: {what} {value}");
        };
        at_most(value(index).abs(), settings.risk_max_position_value, "position");
        at_most(gross, settings.risk_max_gross, "gross");
        if wider {
            at_most(net, settings.risk_max_net, "net");
        }
        let open = self.held.iter().filter(|held| **held != 0).count();
        let most = settings.risk_max_concurrent_trades;
        assert!(most.is_none_or(|most| open <= most as usize), "{context}: {open} trades");
    }

    fn fill(&mut self, index: usize, fill: &daybook_vocabulary::Fill, context: &str) {
        let quantity = fill.quantity.0;
        let closing = closes(self.held[index], fill.side, quantity);
        let order = self.orders[&fill.order];
        assert!(!order.reduces || closing == quantity, "{context}: an exit opened something");
        let price = i128::from(fill.price.0);
        let net = |twin: &Self| (twin.equity() - twin.cash).abs();
        let before = net(self);
        if closing < quantity {
            let prospect = self.prospect(index, fill.side, quantity, price, true);
            let apart = (worth(price, quantity - closing) as f64, worth(self.last[index], closing) as f64);
            self.judge(Verdict::Approved, &prospect, apart, context);
        }
        let value = worth(price, quantity);
        self.cash += if fill.side == Side::Buy { -value } else { value } - fill.charges.total().0;
        self.held[index] += fill.side.signed(fill.quantity).0;
        if closing == 0 {
            let last = std::mem::replace(&mut self.last[index], price);
            let wider = net(self) > before;
            self.last[index] = last;
            self.assert_caps(index, price, wider, context);
        }
        let rest = order.remaining - quantity;
        let kept = order.reserved * rest as f64 / order.remaining as f64;
        self.orders.insert(fill.order, Working { remaining: rest, reserved: kept, ..order });
        if fill.state == OrderState::Filled {
            self.orders.remove(&fill.order);
        }
    }

    fn take(&mut self, outputs: &[Output], now: Nanos, context: &str) {
        for (number, output) in outputs.iter().enumerate() {
            let index = output.stream.0 as usize;
            match &output.body {
                Conclusion::Intent(intent) => self.intent(index, intent, now, context),
                Conclusion::Fill(fill) => self.fill(index, fill, context),
                Conclusion::Update(update) if update.state != OrderState::Open => {
                    let limit = CHECKS.iter().find(|(check, _)| check.word() == update.reason.as_str());
                    if let Some((check, _)) = limit {
                        let said = outputs[..number].iter().rev().find_map(|output| match &output.body {
                            Conclusion::Verdict(said) if said.order == update.order => Some(said.verdict),
                            _ => None,
                        });
                        assert_eq!(said, Some(*check), "{context}: a limit that stops a fill gives its numbers");
                        self.met.insert(format!("{check} at the fill"));
                    }
                    self.orders.remove(&update.order);
                }
                Conclusion::Account(account) => {
                    assert_eq!(account.equity.0, self.equity(), "{context}: equity");
                }
                _ => {}
            }
        }
    }
}

fn core(world: &World, settings: &Settings) -> Core {
    let portfolio = PortfolioLimits::of(settings, &world.instruments).unwrap();
    world.core(world.scripted()).with_risk(RiskLimits::of(settings, 0)).with_portfolio(portfolio)
}

fn world(seed: u64) -> World {
    let mut world = World::lasting(seed, 7);
    world.slippage = daybook_config::SlippageModel::None;
    for requests in &mut world.script {
        requests.retain(|request| !matches!(request, Request::Modify(..) | Request::Replace(..)));
        for request in requests {
            if let Request::Place(order) = request {
                order.bracket = None;
                order.trail = None;
            }
        }
    }
    world
}

/// Now and then somebody asks for the benchmark, and in some worlds it does not trade for a session.
fn trouble_the_benchmark(world: &mut World, settings: &Settings, seed: u64) {
    let Some(symbol) = &settings.risk_benchmark else { return };
    let benchmark = world.instruments.iter().position(|instrument| instrument.symbol == *symbol).unwrap();
    for request in world.script.iter_mut().flatten().step_by(9) {
        if let Request::Place(order) = *request {
            *request = Request::PlaceIn(InstrumentId(benchmark as u32), order);
        }
    }
    if seed.is_multiple_of(3) {
        let mut opened = 0;
        world.steps.retain(|step| {
            opened += u32::from(matches!(step, Step::Opened { .. }));
            !(opened == 4 && matches!(step, Step::Candle { instrument, .. } if *instrument == benchmark))
        });
    }
}

/// BT-24, BT-25: whatever happens, what is let in keeps every limit, what is refused would not have, exits pass, and the
/// equity is what it adds up to.
#[test]
fn no_order_of_events_breaks_a_limit_on_the_portfolio() {
    let mut met = BTreeSet::new();
    for seed in worlds::seeds(1_500) {
        let mut world = world(seed);
        let settings = settings(&mut Random::new(seed ^ 0xbe7a), &world);
        trouble_the_benchmark(&mut world, &settings, seed);
        let context = format!("DAYBOOK_SEED={seed}");
        let of_portfolio = PortfolioLimits::of(&settings, &world.instruments).unwrap();
        if of_portfolio.is_none() && !RiskLimits::of(&settings, 0).is_any() {
            // The plain exchange: an exit for more than is held turns the position round.
            continue;
        }
        let mut core = core(&world, &settings);
        let mut twin = Twin::new(&world, &settings);
        for step in &world.steps {
            let outputs = worlds::step(&mut core, step).unwrap();
            if matches!(step, Step::Closed { .. }) {
                twin.close_session();
            }
            twin.take(&outputs, step.time(), &context);
            if let Step::Candle { instrument, candle, .. } = step {
                twin.last[*instrument] = candle.close().0.into();
                twin.traded[*instrument] = true;
            }
            assert_eq!(core.ledger().equity().0, twin.equity(), "{context}");
        }
        assert_eq!(core.ledger().cash.0, twin.cash, "{context}");
        met.extend(twin.met);
    }
    if std::env::var("DAYBOOK_SEED").is_ok() {
        return;
    }
    let of_portfolio = CHECKS.iter().map(|(check, _)| *check).skip_while(|check| *check != Verdict::NotTraded);
    let of_portfolio = of_portfolio.take_while(|check| *check != Verdict::Duplicate);
    let mut expected: Vec<String> = of_portfolio.map(|check| check.to_string()).collect();
    expected.extend(["sector", "beta", "factor-exposure"].map(|word| format!("{word} at the fill")));
    expected.retain(|word| !met.contains(word));
    assert!(expected.is_empty(), "the worlds never met {expected:?}; they met {met:?}");
}

/// P5: from a state on the way the rest follows byte for byte, the sessions that limits look back at included; and a
/// state of a session without them is none of theirs.
#[test]
fn the_sessions_looked_back_at_survive_a_restart() {
    let mut refused_after = 0;
    for seed in worlds::seeds(150) {
        let world = world(seed);
        let random = &mut Random::new(seed ^ 0x5a7e);
        let settings = settings(&mut Random::new(seed ^ 0xbe7a), &world);
        let mut whole = core(&world, &settings);
        let at = random.range(1, world.steps.len() as i64 - 1) as usize;
        for step in &world.steps[..at] {
            worlds::step(&mut whole, step).unwrap();
        }
        let mut saved = Vec::new();
        whole.save(&mut saved);
        let mut restarted = core(&world, &settings);
        restarted.load(&saved).unwrap();
        for step in &world.steps[at..] {
            let (one, other) = (worlds::step(&mut whole, step).unwrap(), worlds::step(&mut restarted, step).unwrap());
            assert_eq!(one, other, "DAYBOOK_SEED={seed}");
            let counts = |output: &&Output| matches!(&output.body, Conclusion::Verdict(said) if said.verdict >= Verdict::NotTraded);
            refused_after += one.iter().filter(counts).count();
        }
        let states = [&whole, &restarted].map(|core| {
            let mut bytes = Vec::new();
            core.save(&mut bytes);
            bytes
        });
        assert_eq!(states[0], states[1], "DAYBOOK_SEED={seed}");
    }
    assert!(std::env::var("DAYBOOK_SEED").is_ok() || refused_after > 100, "{refused_after}");
}

/// A strategy is not asked about the benchmark, and without limits on the portfolio nothing of a session changes.
#[test]
fn the_benchmark_is_heard_and_never_traded() {
    let mut heard = 0;
    for seed in worlds::seeds(60).into_iter().filter(|seed| world(*seed).instruments.len() > 1) {
        let world = world(seed);
        let overrides = vec![("risk.benchmark".to_owned(), "S0".to_owned())];
        let settings = Settings::resolve(Sources { overrides, ..Sources::default() }).unwrap().settings;
        let mut core = core(&world, &settings);
        let mut plain = world.core(world.scripted()).with_portfolio(None);
        let mut bare = world.core(world.scripted());
        for step in &world.steps {
            for output in worlds::step(&mut core, step).unwrap() {
                let traded = matches!(&output.body, Conclusion::Fill(_)) && output.stream.0 == 0;
                assert!(!traded, "DAYBOOK_SEED={seed}");
            }
            assert_eq!(worlds::step(&mut plain, step).unwrap(), worlds::step(&mut bare, step).unwrap());
        }
        heard += core.book(InstrumentId(0)).bars;
    }
    assert!(std::env::var("DAYBOOK_SEED").is_ok() || heard > 500, "{heard}");
}
