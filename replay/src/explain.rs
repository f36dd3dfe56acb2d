//! `explain`: from an order of a finished run back to the candles it was decided on, and on to what became of it.
//!
//! - It derives nothing and decides nothing: every line of it is a frame of the session or of a journal it read.
//! - Candles are looked up in the journals the run's header names, checked by id and content as an audit checks them.
//! - Memory does not grow with the journals: one order's own frames and the bars asked for are all that is kept.
//! - The index in `cache/` only finds a frame sooner. Where it cannot be had, or says what is not so, the journal is
//!   read instead; it must never be believed without the frame it names.

use crate::audit::find_inputs;
use crate::catalog::{History, Selection, decode};
use crate::error::ReplayError;
use crate::history::{Range, known_candles_of};
use crate::plan::Plan;
use crate::recorded::Recorded;
use daybook_journal::{Entries, Frame, Index, JournalError, SledIndex, catch_up};
use daybook_vocabulary::{
    Candle, Cause, Decision, Event, Hash, InputJournal, Instrument, Interval, Kind, Money, Nanos, OrderId, OrderIntent,
    OrderState, Payload, Quantity, RiskVerdict, SessionMode, Side, TradeClosed, Verdict,
};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

/// Version of what [`feed`] puts into the index: raise it with every change there.
const INDEX_VERSION: u64 = 1;

/// Name of the entries (order number, big-endian) → seq of the intent.
const ORDER: &str = "order";

/// An order, what it was decided on, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The order.
    pub order: OrderId,
    /// Market of its instrument.
    pub market: String,
    /// Symbol of its instrument.
    pub symbol: String,
    /// Sequence number of the intent in the session's journal.
    pub seq: u64,
    /// When it was decided.
    pub time: Nanos,
    /// The intent, with the gate's verdict.
    pub intent: OrderIntent,
    /// Why the gate refused it, with the numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<RiskVerdict>,
    /// The policy's decision it came of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecidedBy>,
    /// The candle it was decided on; on a live market the last bar that was built, none before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candle: Option<SeenCandle>,
    /// What it followed from, where that is no candle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<SeenEvent>,
    /// The last bars the strategy had seen of the instrument.
    pub seen: BarsSeen,
    /// Updates, changes and fills, in order.
    pub steps: Vec<Step>,
    /// Where the order stands at the end of the run.
    pub state: OrderState,
    /// How much of it filled.
    pub filled: Quantity,
    /// Charges of all its fills.
    pub charges: Money,
    /// Round trips it belongs to; none while the position it opened is still held at the end.
    pub trades: Vec<TradeOf>,
    /// What the whole session depends on.
    pub run: RunFacts,
}

/// A policy's decision, and where it lies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecidedBy {
    /// Sequence number in the session's journal.
    pub seq: u64,
    /// The decision: the policy's raw values, the hashes of its model and features, and what the rules made of them.
    pub decision: Decision,
}

/// What the header of the run says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunFacts {
    /// Kind of session.
    pub mode: SessionMode,
    /// Name of the strategy.
    pub strategy: String,
    /// Its parameters, defaults filled in.
    pub parameters: BTreeMap<String, String>,
    /// Every setting that changes results.
    pub settings: serde_json::Value,
    /// Seed of every random choice.
    pub seed: u64,
    /// Hash of the executable that wrote it.
    pub binary: Hash,
    /// Hash of parameters and settings.
    pub config: Hash,
    /// Hash of the calendar.
    pub calendar: Hash,
    /// The journals it read, by rank.
    pub inputs: Vec<InputJournal>,
}

/// A candle, and where it lies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenCandle {
    /// Rank of the journal in the header's list; 0 is the session itself, which holds the bars built from candles.
    pub rank: u32,
    /// Sequence number in that journal.
    pub seq: u64,
    /// The journal's place on this machine.
    pub journal: PathBuf,
    /// When it was known.
    pub known: Nanos,
    /// The candle.
    pub candle: Candle,
}

/// Something a session on a live market was told, and where it lies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenEvent {
    /// Rank of the journal; 0 is the session on the live market.
    pub rank: u32,
    /// Sequence number in that journal.
    pub seq: u64,
    /// The journal's place on this machine.
    pub journal: PathBuf,
    /// When it was known.
    pub known: Nanos,
    /// Its kind, such as `trade-print`.
    pub kind: &'static str,
    /// The event.
    pub event: Event,
}

/// What a strategy had seen before a decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BarsSeen {
    /// `candle` of a journal, or `bar` built from candles in the session.
    pub kind: &'static str,
    /// Their length.
    pub interval: Interval,
    /// Bars the strategy needs before a decision is meant: it depends on at least so many.
    pub needed: u32,
    /// The last of them, oldest first.
    pub bars: Vec<SeenCandle>,
}

/// Something that happened to the order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Sequence number in the session's journal.
    pub seq: u64,
    /// When it was learned.
    pub time: Nanos,
    /// `order-update`, `fill`, `order-modified`, `stop-tightened` or `request-refused`.
    pub kind: &'static str,
    /// The event itself; a fill itemises its charges and says the position after it.
    pub event: Event,
    /// Sum of the charges of a fill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charges: Option<Money>,
    /// The candle that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candle: Option<SeenCandle>,
    /// What caused it, where that is no candle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<SeenEvent>,
}

/// A round trip, and the order's part in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TradeOf {
    /// Sequence number in the session's journal.
    pub seq: u64,
    /// What the order did in it.
    pub part: Part,
    /// The round trip.
    pub trade: TradeClosed,
    /// Profit or loss after charges.
    pub net: Money,
}

/// What an order did in a round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// It opened it.
    Entry,
    /// It closed it.
    Exit,
    /// It added to the position, or took a part off.
    Within,
}

/// Explains an order with the last `bars` bars the strategy had seen. Inputs are looked up by id at `candidates`.
pub fn explain(
    recorded: &Recorded,
    candidates: &[PathBuf],
    calendar_file: Option<PathBuf>,
    order: OrderId,
    bars: usize,
) -> Result<Explanation, ReplayError> {
    let header = &recorded.header;
    let mut plan = Plan::read(&header.strategy, &header.settings)?;
    plan.settings.calendar_file = calendar_file;
    plan.model_places.extend(recorded.path.parent().map(Path::to_owned));
    let found = find(recorded, order)?;
    let read = find_inputs(header, candidates)?;
    let session = if recorded.holds_its_inputs() { Some(recorded) } else { read.session.as_ref() };
    let inputs = Inputs { recorded, histories: &read.histories, session };
    let (mut candle, event) = inputs.cause(found.seq, found.intent.cause)?;
    let seen = inputs.seen(&found, &plan, bars)?;
    if candle.is_none() {
        candle = inputs.built_bars(&found, 1)?.pop_back();
    }
    let mut story = Story::new(&found);
    let mut cursor = recorded.journal.cursor(found.seq + 1);
    while !story.is_told()
        && let Some(frame) = cursor.next()?
    {
        if frame.stream == found.stream {
            story.take(&recorded.path, &frame)?;
        }
    }
    let steps = story.happened.into_iter().map(|(seq, time, event)| inputs.step(seq, time, event));
    let steps = steps.collect::<Result<Vec<_>, _>>()?;
    let instrument = recorded.instrument(found.seq, found.stream)?;
    let settings: serde_json::Value = serde_json::from_str(&plan.settings.canonical_json()).unwrap_or_default();
    Ok(Explanation {
        order,
        market: instrument.market.clone(),
        symbol: instrument.symbol.clone(),
        seq: found.seq,
        time: found.time,
        refusal: found.refusal(recorded)?,
        decision: found.decision(recorded)?,
        candle,
        event,
        seen,
        charges: steps.iter().filter_map(|step| step.charges).sum(),
        steps,
        state: story.state,
        filled: story.filled,
        trades: story.trades,
        intent: found.intent,
        run: RunFacts {
            mode: header.mode,
            strategy: header.strategy.clone(),
            parameters: plan.parameters.values().clone(),
            settings,
            seed: header.seed,
            binary: header.binary,
            config: header.config,
            calendar: header.calendar,
            inputs: header.inputs.clone(),
        },
    })
}

/// An intent, and its frame.
struct Found {
    seq: u64,
    time: Nanos,
    stream: u32,
    intent: OrderIntent,
}

impl Found {
    /// The numbers of a refusal: the frame behind the intent.
    fn refusal(&self, recorded: &Recorded) -> Result<Option<RiskVerdict>, ReplayError> {
        if self.intent.verdict == Verdict::Approved || self.seq + 1 >= recorded.journal.head().frames {
            return Ok(None);
        }
        let frame = recorded.journal.frame(self.seq + 1)?;
        let frame = frame.frame();
        if frame.kind != Kind::RiskVerdict.number() {
            return Ok(None);
        }
        match decode(&recorded.path, frame)? {
            Event::RiskVerdict(verdict) if verdict.order == self.intent.order => Ok(Some(verdict)),
            _ => Ok(None),
        }
    }

    /// The decision of the same slice about the same instrument, looked for backwards in doubling steps as far as the
    /// slice reaches: all of its decisions come before its first intent.
    fn decision(&self, recorded: &Recorded) -> Result<Option<DecidedBy>, ReplayError> {
        let mut back = 64;
        loop {
            let from = self.seq.saturating_sub(back).max(recorded.outputs);
            let mut found = None;
            let mut cursor = recorded.journal.cursor(from).until(self.seq);
            let mut first = None;
            while let Some(frame) = cursor.next()? {
                first.get_or_insert(frame.time);
                let same = frame.time == self.time.0 && frame.stream == self.stream;
                if same
                    && frame.kind == Kind::Decision.number()
                    && let Event::Decision(decision) = decode(&recorded.path, frame)?
                {
                    found = Some(DecidedBy { seq: frame.seq, decision });
                }
            }
            let slice_is_whole = from == recorded.outputs || first.is_none_or(|time| time < self.time.0);
            if found.is_some() || slice_is_whole {
                return Ok(found);
            }
            back *= 2;
        }
    }
}

/// Finds the intent of an order: in the index where there is one, else by reading.
fn find(recorded: &Recorded, order: OrderId) -> Result<Found, ReplayError> {
    match indexed(recorded, order) {
        Ok(Some(found)) => return Ok(found),
        // An order the index does not have may stand in a frame that it could not read: the journal decides.
        Ok(None) => {}
        Err(error) => tracing::warn!("the index is done without: {error}"),
    }
    let mut cursor = recorded.journal.cursor(recorded.outputs);
    let mut range = None;
    while let Some(frame) = cursor.next()? {
        if frame.kind != Kind::OrderIntent.number() {
            continue;
        }
        let found = intent_of(&recorded.path, &frame)?;
        if found.intent.order == order {
            return Ok(found);
        }
        let first = range.map_or(found.intent.order, |(first, _)| first);
        range = Some((first, found.intent.order));
    }
    let known = match range {
        // A live session has no tables of its own.
        Some((first, last)) => {
            let run = recorded.path.parent().unwrap_or(&recorded.path);
            let listed = match run.join("orders.csv").exists() {
                true => "listed in orders.csv of the run".to_owned(),
                false => format!(
                    "`daybook status {0}` shows those that work, `daybook journal export {0} --to DIR` gives all",
                    run.display()
                ),
            };
            format!("its orders are {first} to {last}, {listed}")
        }
        None => "it decided no order at all".to_owned(),
    };
    Err(ReplayError::NoOrder { run: recorded.path.clone(), order: order.0, known })
}

/// Asks the index, after it has taken in what it lacks.
fn indexed(recorded: &Recorded, order: OrderId) -> Result<Option<Found>, JournalError> {
    let mut index = SledIndex::open(&recorded.journal.cache_dir())?;
    catch_up(&mut index, &recorded.journal, INDEX_VERSION, feed)?;
    let Some(seq) = index.get(ORDER, &order.0.to_be_bytes())? else { return Ok(None) };
    let frame = recorded.journal.frame(seq)?;
    let found = intent_of(&recorded.path, &frame.frame()).ok();
    Ok(found.filter(|found| found.intent.order == order))
}

/// Puts an intent under its order. A frame that does not decode is not put: the reading that follows names it.
fn feed(frame: &Frame<'_>, entries: &mut Entries) {
    if frame.kind == Kind::OrderIntent.number()
        && let Ok(Event::OrderIntent(intent)) = Event::decode(frame.kind, frame.schema, frame.payload)
    {
        entries.put(ORDER, &intent.order.0.to_be_bytes());
    }
}

fn intent_of(path: &Path, frame: &Frame<'_>) -> Result<Found, ReplayError> {
    match decode(path, *frame)? {
        Event::OrderIntent(intent) => {
            Ok(Found { seq: frame.seq, time: Nanos(frame.time), stream: frame.stream, intent })
        }
        event => Err(ReplayError::Header(format!(
            "{}, seq {}: an order was looked for and a {} found; delete cache/ beside it",
            path.display(),
            frame.seq,
            event.kind()
        ))),
    }
}

impl Recorded {
    /// The instrument of a stream of the session.
    pub(crate) fn instrument(&self, seq: u64, stream: u32) -> Result<&Instrument, ReplayError> {
        let undefined = || ReplayError::UndefinedInstrument { journal: self.path.clone(), seq };
        self.instruments.get(stream as usize).ok_or_else(undefined)
    }
}

/// The journals the session read.
struct Inputs<'a> {
    recorded: &'a Recorded,
    histories: &'a [History],
    /// The session whose frames causes of rank 0 are.
    session: Option<&'a Recorded>,
}

impl Inputs<'_> {
    /// What an output of the session names as its cause: a candle, or else something a live market brought.
    fn cause(&self, output: u64, cause: Cause) -> Result<(Option<SeenCandle>, Option<SeenEvent>), ReplayError> {
        let Some(session) = self.session.filter(|_| cause.rank == 0) else {
            return match self.tick(cause)? {
                Some(tick) => Ok((None, Some(tick))),
                None => Ok((Some(self.candle(output, cause)?), None)),
            };
        };
        if cause.seq >= session.until {
            return Err(ReplayError::NoCandle { run: self.recorded.path.clone(), seq: output, cause });
        }
        let frame = session.journal.frame(cause.seq)?;
        let frame = frame.frame();
        let (rank, seq, journal, known) = (0, cause.seq, session.path.clone(), Nanos(frame.time));
        Ok(match decode(&session.path, frame)? {
            Event::Candle(candle) => (Some(SeenCandle { rank, seq, journal, known, candle }), None),
            event => (None, Some(SeenEvent { rank, seq, journal, known, kind: event.kind().word(), event })),
        })
    }

    /// The quote, book or trade of a journal that a cause names; nothing where it names something else.
    fn tick(&self, cause: Cause) -> Result<Option<SeenEvent>, ReplayError> {
        let history = (cause.rank as usize).checked_sub(1).and_then(|rank| self.histories.get(rank));
        let Some(history) = history.filter(|history| cause.seq < history.until) else { return Ok(None) };
        let frame = history.journal.frame(cause.seq)?;
        let frame = frame.frame();
        let ticks = [Kind::Quote, Kind::Depth, Kind::TradePrint];
        if !ticks.iter().any(|kind| kind.number() == frame.kind) {
            return Ok(None);
        }
        let (journal, known) = (history.path.clone(), Nanos(frame.time));
        let event = decode(&history.path, frame)?;
        let Cause { rank, seq } = cause;
        Ok(Some(SeenEvent { rank, seq, journal, known, kind: event.kind().word(), event }))
    }

    /// The candle that an output of the session names as its cause.
    fn candle(&self, output: u64, cause: Cause) -> Result<SeenCandle, ReplayError> {
        let none = || ReplayError::NoCandle { run: self.recorded.path.clone(), seq: output, cause };
        let rank = (cause.rank as usize).checked_sub(1).ok_or_else(none)?;
        let history = self.histories.get(rank).filter(|history| cause.seq < history.until).ok_or_else(none)?;
        let frame = history.journal.frame(cause.seq)?;
        let frame = frame.frame();
        if frame.kind != Kind::Candle.number() {
            return Err(none());
        }
        let bad = |source| ReplayError::Frame { journal: history.path.clone(), seq: cause.seq, source };
        let candle = Candle::decode(frame.payload).map_err(bad)?;
        let journal = history.path.clone();
        Ok(SeenCandle { rank: cause.rank, seq: cause.seq, journal, known: Nanos(frame.time), candle })
    }

    fn step(&self, seq: u64, time: Nanos, event: Event) -> Result<Step, ReplayError> {
        let (cause, charges) = match &event {
            Event::Fill(fill) => (fill.cause, Some(fill.charges.total())),
            Event::OrderUpdate(update) => (update.cause, None),
            Event::OrderModified(modified) => (modified.cause, None),
            Event::StopTightened(tightened) => (tightened.cause, None),
            Event::RequestRefused(refused) => (refused.cause, None),
            Event::RiskVerdict(verdict) => (verdict.cause, None),
            _ => unreachable!("a story keeps what happens to its order"),
        };
        let (candle, cause) = self.cause(seq, cause)?;
        Ok(Step { seq, time, kind: event.kind().word(), event, charges, candle, cause })
    }

    /// The last bars of the instrument that the strategy had learned when it decided.
    fn seen(&self, found: &Found, plan: &Plan, bars: usize) -> Result<BarsSeen, ReplayError> {
        let interval = self.recorded.header.filter.interval;
        let selection = Selection { instruments: self.recorded.instruments.clone(), interval };
        let needed = plan.build(&selection, 1)?.warmup().saturating_add(1);
        let timeframe = plan.settings.engine_timeframe.filter(|timeframe| *timeframe != interval);
        // On a live market bars are built from trades, whatever their length.
        match timeframe.or(self.session.map(|_| interval)) {
            Some(timeframe) => {
                let bars = self.built_bars(found, bars)?.into();
                Ok(BarsSeen { kind: Kind::Bar.word(), interval: timeframe, needed, bars })
            }
            None => {
                let bars = self.candles_before(found, plan, bars)?.into();
                Ok(BarsSeen { kind: Kind::Candle.word(), interval, needed, bars })
            }
        }
    }

    /// Bars built in the session, or in the session on a live market that it took up.
    fn built_bars(&self, found: &Found, bars: usize) -> Result<VecDeque<SeenCandle>, ReplayError> {
        let is_like = !self.recorded.holds_its_inputs() && self.recorded.header.parent.is_none();
        if let Some(session) = self.session.filter(|_| is_like) {
            // The same market: its bars are the session's.
            return bars_built_in(session, found.stream, found.intent.cause.seq + 1, bars);
        }
        let mut built = bars_built_in(self.recorded, found.stream, found.seq, bars)?;
        // Candles that warmed the strategy up, and bars of before a fork, stand in the session on the live market.
        let parent = self.recorded.header.lineage().next().map(|parent| parent.seq + 1);
        if let Some((session, until)) = self.session.zip(parent)
            && built.len() < bars
        {
            for bar in bars_built_in(session, found.stream, until, bars - built.len())?.into_iter().rev() {
                built.push_front(bar);
            }
        }
        Ok(built)
    }

    /// Candles of the journals, looked for backwards in doubling steps; those the session left out are left out.
    fn candles_before(&self, found: &Found, plan: &Plan, bars: usize) -> Result<VecDeque<SeenCandle>, ReplayError> {
        let filter = &self.recorded.header.filter;
        let instrument = self.recorded.instrument(found.seq, found.stream)?;
        let begin = self.begin(instrument, filter.interval);
        let mut back = filter.interval.nanos().saturating_mul(bars.clamp(1, 1 << 30) as i64).saturating_mul(8);
        loop {
            let from = found.time + -back;
            let range = Range { from, until: found.time };
            let mut last = Last::new(bars);
            let mut take = |known, cause: Cause, candle: &Candle| {
                let history = (cause.rank as usize).checked_sub(1).and_then(|rank| self.histories.get(rank));
                let journal = history.map(|history| history.path.clone()).unwrap_or_default();
                last.push(SeenCandle { rank: cause.rank, seq: cause.seq, journal, known, candle: *candle });
            };
            known_candles_of(self.histories, instrument, filter.interval, range, &mut take)?;
            if last.is_full() || from <= begin {
                return self.delivered(last.kept, plan);
            }
            back = back.saturating_mul(2);
        }
    }

    /// When the first candle of an instrument opened; the end of time where there is none.
    fn begin(&self, instrument: &Instrument, interval: Interval) -> Nanos {
        let every = self.histories.iter().flat_map(|history| &history.series);
        let same = every.filter(|series| {
            series.interval == interval
                && (&series.definition.market, &series.definition.symbol) == (&instrument.market, &instrument.symbol)
        });
        same.map(|series| series.first).min().unwrap_or(Nanos::MAX)
    }

    /// Leaves out what lies before the warm-up of a bounded range: the strategy never saw it.
    fn delivered(&self, mut kept: VecDeque<SeenCandle>, plan: &Plan) -> Result<VecDeque<SeenCandle>, ReplayError> {
        let filter = &self.recorded.header.filter;
        if filter.from.is_some() {
            let interval = filter.interval;
            let selection = crate::catalog::Selection { instruments: self.recorded.instruments.clone(), interval };
            let from = Range::of_dates(&plan.calendar(&selection)?, filter.from, filter.to).from;
            let before = kept.iter().filter(|seen| seen.candle.open_time() < from).count() as u64;
            let unseen = before.saturating_sub(plan.warmup_candles(&selection, filter));
            kept.drain(..unseen as usize);
        }
        Ok(kept)
    }
}

/// Bars built in a session before a frame, and the candles it was told of, looked for backwards in doubling steps: the
/// cost follows the number of bars.
fn bars_built_in(
    recorded: &Recorded,
    stream: u32,
    until: u64,
    bars: usize,
) -> Result<VecDeque<SeenCandle>, ReplayError> {
    const KINDS: [u16; 2] = [Kind::Bar.number(), Kind::Candle.number()];
    let mut back = 1_024;
    loop {
        let from = until.saturating_sub(back).max(recorded.outputs);
        let mut last = Last::new(bars);
        let mut cursor = recorded.journal.cursor(from).until(until);
        while let Some(frame) = cursor.next()? {
            if !KINDS.contains(&frame.kind) || frame.stream != stream {
                continue;
            }
            let (seq, known, journal) = (frame.seq, Nanos(frame.time), recorded.path.clone());
            let candle = match decode(&recorded.path, frame)? {
                Event::Bar(bar) => *bar.candle(),
                Event::Candle(candle) => candle,
                _ => continue,
            };
            last.push(SeenCandle { rank: 0, seq, journal, known, candle });
        }
        if last.is_full() || from == recorded.outputs {
            return Ok(last.kept);
        }
        back *= 2;
    }
}

/// The last few of many.
struct Last {
    most: usize,
    kept: VecDeque<SeenCandle>,
}

impl Last {
    fn new(most: usize) -> Self {
        Self { most, kept: VecDeque::new() }
    }

    fn push(&mut self, candle: SeenCandle) {
        self.kept.push_back(candle);
        if self.kept.len() > self.most {
            self.kept.pop_front();
        }
    }

    fn is_full(&self) -> bool {
        self.kept.len() >= self.most
    }
}

/// What became of an order: its updates, its fills, the round trips they belong to.
struct Story {
    order: OrderId,
    happened: Vec<(u64, Nanos, Event)>,
    state: OrderState,
    filled: Quantity,
    /// Position after the last fill.
    position: Quantity,
    /// A fill was seen whose round trip has not been seen to close.
    awaits_trade: bool,
    trades: Vec<TradeOf>,
}

impl Story {
    fn new(found: &Found) -> Self {
        let refused = found.intent.verdict != Verdict::Approved;
        Self {
            order: found.intent.order,
            happened: Vec::new(),
            state: if refused { OrderState::Refused } else { OrderState::Intended },
            filled: Quantity::ZERO,
            position: Quantity::ZERO,
            awaits_trade: false,
            trades: Vec::new(),
        }
    }

    /// Nothing that follows can belong to it.
    fn is_told(&self) -> bool {
        use OrderState::{Cancelled, Expired, Filled, Refused, Rejected};
        matches!(self.state, Cancelled | Expired | Filled | Refused | Rejected) && !self.awaits_trade
    }

    /// Takes a frame of the order's instrument that came after the intent.
    fn take(&mut self, path: &Path, frame: &Frame<'_>) -> Result<(), ReplayError> {
        const KINDS: [u16; 7] = [
            Kind::OrderUpdate.number(),
            Kind::Fill.number(),
            Kind::TradeClosed.number(),
            Kind::OrderModified.number(),
            Kind::StopTightened.number(),
            Kind::RequestRefused.number(),
            Kind::RiskVerdict.number(),
        ];
        if !KINDS.contains(&frame.kind) {
            return Ok(());
        }
        let event = decode(path, *frame)?;
        match &event {
            Event::OrderUpdate(update) if update.order == self.order => {
                self.state = update.state;
                self.happened.push((frame.seq, Nanos(frame.time), event));
            }
            Event::Fill(fill) if fill.order == self.order => {
                self.state = fill.state;
                self.filled += fill.quantity;
                self.position = fill.position;
                self.awaits_trade = true;
                self.happened.push((frame.seq, Nanos(frame.time), event));
            }
            Event::OrderModified(modified) if modified.order == self.order => {
                self.state = modified.state;
                self.happened.push((frame.seq, Nanos(frame.time), event));
            }
            Event::StopTightened(tightened) if tightened.order == self.order => {
                self.happened.push((frame.seq, Nanos(frame.time), event));
            }
            Event::RequestRefused(refused) if refused.order == self.order => {
                self.happened.push((frame.seq, Nanos(frame.time), event));
            }
            // What a limit says when the order fills; what it says to the intent is told there.
            Event::RiskVerdict(verdict) if verdict.order == self.order && self.state != OrderState::Refused => {
                self.happened.push((frame.seq, Nanos(frame.time), event));
            }
            Event::TradeClosed(trade) if self.awaits_trade => self.closed(frame.seq, trade),
            _ => {}
        }
        Ok(())
    }

    /// A round trip of the instrument closed after a fill of the order: the fill was part of it.
    fn closed(&mut self, seq: u64, trade: &TradeClosed) {
        let part = match self.order {
            order if order == trade.exit_order => Part::Exit,
            order if order == trade.entry_order => Part::Entry,
            _ => Part::Within,
        };
        // A fill through zero closes one round trip and opens the next, which is still to come.
        let held = if self.position.0 > 0 { Some(Side::Buy) } else { Some(Side::Sell) };
        let through_zero = part == Part::Exit && !self.position.is_zero() && held != Some(trade.side);
        self.awaits_trade = through_zero;
        self.trades.push(TradeOf { seq, part, net: trade.net(), trade: trade.clone() });
    }
}
