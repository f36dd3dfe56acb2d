//! `journal export`: every kind of event as one Parquet file, for everyone's tools.
//!
//! - One streaming pass; a file exists only when the journal holds an event of its kind: `candle.parquet`,
//!   `fill.parquet`, and so on, named like the kinds.
//! - Rows are in the order of the journal. Instruments appear by market and symbol, never by number.
//! - Nothing is left out or rounded: money is decimal, each charge has its column, causes are `rank` and `seq`.
//!   (A built bar has the columns of a candle; the candle that closed it is in `journal cat`.)

use super::measures::{MEASURES, broken, joined, measures};
use super::{EventAt, ReportError};
use super::{export_broker, export_risk};
use daybook_features::columns::{CandleRow, CandleTable, Cell, Column, ColumnType, ColumnWriter, Format, Written};
use daybook_vocabulary::{Cause, Event, Fill, Kind, OrderIntent, OrderUpdate, TradeClosed};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ColumnType::{Decimal, Timestamp, U64, Utf8};

/// An export in progress.
pub struct Export {
    folder: PathBuf,
    format: Format,
    instruments: BTreeMap<u32, (String, String)>,
    candles: BTreeMap<Kind, CandleTable>,
    tables: BTreeMap<Kind, ColumnWriter>,
    requests: export_broker::Requests,
}

impl Export {
    /// Begins an export into `folder`, which exists.
    pub fn create(folder: &Path, format: Format) -> Self {
        Self {
            folder: folder.to_owned(),
            format,
            instruments: BTreeMap::new(),
            candles: BTreeMap::new(),
            tables: BTreeMap::new(),
            requests: export_broker::Requests::default(),
        }
    }

    /// Defines an instrument that the pass will not show, as when only a range of the journal is exported.
    pub fn define(&mut self, stream: u32, market: &str, symbol: &str) {
        self.instruments.insert(stream, (market.to_owned(), symbol.to_owned()));
    }

    /// Adds an event to its kind's file.
    pub fn take(&mut self, at: EventAt<'_>) -> Result<(), ReportError> {
        self.requests.note(at.seq, at.time, at.event);
        match at.event {
            Event::Candle(candle) => self.candle(at, candle),
            Event::Bar(bar) => self.candle(at, bar.candle()),
            Event::Instrument(instrument) => {
                self.define(at.stream, &instrument.market, &instrument.symbol);
                self.row(
                    at,
                    &[
                        Cell::U64(at.stream.into()),
                        Cell::Text(&instrument.market),
                        Cell::Text(&instrument.symbol),
                        instrument.tick.into(),
                        instrument.lot.into(),
                    ],
                )
            }
            Event::OrderIntent(intent) => self.intent(at, intent),
            Event::OrderUpdate(update) => self.update(at, update),
            Event::Fill(fill) => self.fill(at, fill),
            Event::TradeClosed(trade) => self.trade(at, trade),
            Event::RiskVerdict(verdict) => self.instrument_row(at, &export_risk::verdict(verdict)),
            Event::Decision(decision) => {
                let texts = export_risk::texts(decision);
                self.instrument_row(at, &export_risk::decision(decision, &texts))
            }
            Event::BrokerAnswer(answer) => {
                let request = self.requests.answered(at.time, answer);
                self.instrument_row(at, &export_broker::answer(answer, request))
            }
            Event::BrokerFill(fill) => self.instrument_row(at, &export_broker::fill(fill)),
            _ => self.about_the_session(at),
        }
    }

    /// Completes the files.
    pub fn finish(self) -> Result<Vec<Written>, ReportError> {
        let mut files = Vec::new();
        for table in self.candles.into_values() {
            files.push(table.finish()?);
        }
        for table in self.tables.into_values() {
            files.push(table.finish()?);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    fn candle(&mut self, at: EventAt<'_>, candle: &daybook_vocabulary::Candle) -> Result<(), ReportError> {
        let kind = at.event.kind();
        if !self.candles.contains_key(&kind) {
            self.candles.insert(kind, CandleTable::create(&self.path(kind), self.format)?);
        }
        let (market, symbol) = known(&self.instruments, at)?;
        let table = self.candles.get_mut(&kind).expect("the table was just made");
        Ok(table.append(&CandleRow { time: at.time, market, symbol, candle, seq: at.seq })?)
    }

    fn intent(&mut self, at: EventAt<'_>, intent: &OrderIntent) -> Result<(), ReportError> {
        let [rank, cause] = cause_cells(intent.cause);
        self.instrument_row(
            at,
            &[
                rank,
                cause,
                Cell::U64(intent.order.0),
                Cell::Text(intent.side.word()),
                Cell::Text(intent.order_type.word()),
                Cell::Text(intent.time_in_force.word()),
                Cell::Text(intent.verdict.word()),
                intent.quantity.into(),
                intent.limit.into(),
                intent.stop.into(),
                intent.reference.into(),
                Cell::Text(&intent.reason),
                Cell::Text(&intent.trail.map(|trail| trail.to_string()).unwrap_or_default()),
                Cell::Text(&intent.expires.map(|expires| expires.to_string()).unwrap_or_default()),
                Cell::U64(intent.client),
            ],
        )
    }

    fn update(&mut self, at: EventAt<'_>, update: &OrderUpdate) -> Result<(), ReportError> {
        let [rank, cause] = cause_cells(update.cause);
        self.instrument_row(
            at,
            &[
                rank,
                cause,
                Cell::U64(update.order.0),
                Cell::Text(update.event.word()),
                Cell::Text(update.state.word()),
                update.filled.into(),
                Cell::Text(&update.reason),
            ],
        )
    }

    fn fill(&mut self, at: EventAt<'_>, fill: &Fill) -> Result<(), ReportError> {
        let [rank, cause] = cause_cells(fill.cause);
        let charges = &fill.charges;
        self.instrument_row(
            at,
            &[
                rank,
                cause,
                Cell::U64(fill.order.0),
                Cell::Text(fill.side.word()),
                Cell::Text(fill.state.word()),
                fill.quantity.into(),
                fill.price.into(),
                fill.reference_price.into(),
                fill.slippage_bps.into(),
                Cell::Text(&fill.model),
                Cell::Time(fill.exchange_time),
                fill.position.into(),
                charges.brokerage.into(),
                charges.transaction_tax.into(),
                charges.exchange_fee.into(),
                charges.regulator_fee.into(),
                charges.stamp_duty.into(),
                charges.service_tax.into(),
                charges.depository_fee.into(),
            ],
        )
    }

    fn trade(&mut self, at: EventAt<'_>, trade: &TradeClosed) -> Result<(), ReportError> {
        let [rank, cause] = cause_cells(trade.cause);
        let broken = broken(trade);
        let happened = [
            rank,
            cause,
            Cell::U64(trade.trade),
            Cell::Text(trade.side.word()),
            trade.quantity.into(),
            Cell::U64(trade.entry_order.0),
            Cell::U64(trade.exit_order.0),
            Cell::Time(trade.entry_time),
            Cell::Time(trade.exit_time),
            trade.entry_price.into(),
            trade.exit_price.into(),
            trade.gross.into(),
            trade.fees.into(),
            Cell::U64(trade.bars),
            Cell::Text(&trade.entry_reason),
            Cell::Text(&trade.exit_reason),
        ];
        let cells: Vec<Cell<'_>> = happened.into_iter().chain(measures(trade, &broken)).collect();
        self.instrument_row(at, &cells)
    }

    fn about_the_session(&mut self, at: EventAt<'_>) -> Result<(), ReportError> {
        let json = |value: serde_json::Result<String>| value.expect("an event is plain data");
        match at.event {
            Event::Account(account) => {
                let [rank, cause] = cause_cells(account.cause);
                self.row(
                    at,
                    &[
                        rank,
                        cause,
                        Cell::Text(&account.session.to_string()),
                        account.cash.into(),
                        account.equity.into(),
                        account.long_value.into(),
                        account.short_value.into(),
                        account.realised.into(),
                        account.unrealised.into(),
                        account.fees.into(),
                        Cell::U64(account.positions.into()),
                    ],
                )
            }
            Event::StateDigest(state) => {
                let [rank, cause] = cause_cells(state.cause);
                self.row(at, &[rank, cause, Cell::U64(state.inputs), Cell::Text(&state.digest.to_string())])
            }
            Event::Alarm(alarm) => {
                let [rank, cause] = cause_cells(alarm.cause);
                self.row(at, &[rank, cause, Cell::Text(&alarm.code), Cell::Text(&alarm.text)])
            }
            Event::VenueEntry(entry) => self.row(at, &[Cell::Text(&entry.venue), Cell::Text(&entry.text)]),
            Event::SessionOpened(session) => {
                let date = session.date.to_string();
                self.row(at, &[Cell::Text(&date), Cell::Time(session.open), Cell::Time(session.close)])
            }
            Event::SessionClosed(session) => self.row(at, &[Cell::Text(&session.date.to_string())]),
            Event::SliceTaken(slice) => self.row(at, &[Cell::Text(&slice.interval.to_string()), Cell::Time(slice.at)]),
            Event::OperatorCommand(command) => self.row(at, &export_risk::command(command)),
            Event::LimitMoved(moved) => {
                let session = moved.session.to_string();
                self.row(at, &export_risk::moved(moved, &session))
            }
            Event::Quarantine(row) => self.row(
                at,
                &[
                    Cell::Text(&row.file.to_string()),
                    Cell::U64(row.line),
                    Cell::Text(&row.reason),
                    Cell::Text(&row.row),
                ],
            ),
            other => self.row(at, &[Cell::Text(&json(serde_json::to_string(other)))]),
        }
    }

    fn instrument_row(&mut self, at: EventAt<'_>, cells: &[Cell<'_>]) -> Result<(), ReportError> {
        let (market, symbol) = known(&self.instruments, at)?;
        let (market, symbol) = (market.to_owned(), symbol.to_owned());
        let mut row = vec![Cell::Text(&market), Cell::Text(&symbol)];
        row.extend_from_slice(cells);
        self.row(at, &row)
    }

    fn row(&mut self, at: EventAt<'_>, cells: &[Cell<'_>]) -> Result<(), ReportError> {
        let kind = at.event.kind();
        if !self.tables.contains_key(&kind) {
            let columns: Vec<_> = [("seq", U64), ("time", Timestamp)]
                .iter()
                .chain(columns(kind))
                .map(|(name, column_type)| Column::new(name, *column_type))
                .collect();
            self.tables.insert(kind, ColumnWriter::create(&self.path(kind), &columns, self.format)?);
        }
        let mut row = vec![Cell::U64(at.seq), Cell::Time(at.time)];
        row.extend_from_slice(cells);
        let table = self.tables.get_mut(&kind).expect("the table was just made");
        Ok(table.append(&row)?)
    }

    fn path(&self, kind: Kind) -> PathBuf {
        let extension = match self.format {
            Format::Parquet => "parquet",
            Format::Arrow => "arrow",
        };
        self.folder.join(format!("{kind}.{extension}"))
    }
}

fn known<'a>(
    instruments: &'a BTreeMap<u32, (String, String)>,
    at: EventAt<'_>,
) -> Result<(&'a str, &'a str), ReportError> {
    let unknown = ReportError::UnknownInstrument { seq: at.seq, kind: at.event.kind(), stream: at.stream };
    instruments.get(&at.stream).map(|(market, symbol)| (market.as_str(), symbol.as_str())).ok_or(unknown)
}

pub(super) const fn cause_cells(cause: Cause) -> [Cell<'static>; 2] {
    [Cell::U64(cause.rank as u64), Cell::U64(cause.seq)]
}

/// The columns of a kind after `seq` and `time`.
const fn columns(kind: Kind) -> &'static [(&'static str, ColumnType)] {
    match kind {
        Kind::Candle | Kind::Bar => &[],
        Kind::SessionHeader | Kind::RunStarted | Kind::RunEnded | Kind::Fetched | Kind::FeedState => &[("json", Utf8)],
        Kind::Quote | Kind::TradePrint | Kind::Depth => &[("json", Utf8)],
        Kind::TrainingStarted | Kind::TrainingStep | Kind::CheckpointWritten => &[("json", Utf8)],
        Kind::Evaluation | Kind::Promotion => &[("json", Utf8)],
        Kind::OrderModified | Kind::StopTightened | Kind::RequestRefused => &[("json", Utf8)],
        Kind::BrokerAnswer => &export_broker::BROKER_ANSWER,
        Kind::BrokerFill => &export_broker::BROKER_FILL,
        Kind::BrokerOrder | Kind::BrokerBook => &[("json", Utf8)],
        Kind::TakenUp | Kind::ClockJumped | Kind::BookDifference | Kind::BooksReconciled => &[("json", Utf8)],
        Kind::Instrument => &[("stream", U64), ("market", Utf8), ("symbol", Utf8), ("tick", Decimal), ("lot", Decimal)],
        Kind::Quarantine => &[("file", Utf8), ("line", U64), ("reason", Utf8), ("row", Utf8)],
        Kind::OrderIntent => &ORDER_INTENT,
        Kind::OrderUpdate => &[
            ("market", Utf8),
            ("symbol", Utf8),
            ("cause_rank", U64),
            ("cause_seq", U64),
            ("order_id", U64),
            ("event", Utf8),
            ("state", Utf8),
            ("filled", Decimal),
            ("reason", Utf8),
        ],
        Kind::Fill => &FILL,
        Kind::TradeClosed => &TRADE_CLOSED,
        Kind::Account => &ACCOUNT,
        Kind::StateDigest => &[("cause_rank", U64), ("cause_seq", U64), ("inputs", U64), ("digest", Utf8)],
        Kind::Alarm => &[("cause_rank", U64), ("cause_seq", U64), ("code", Utf8), ("text", Utf8)],
        Kind::VenueEntry => &[("venue", Utf8), ("text", Utf8)],
        Kind::SessionOpened => &[("session", Utf8), ("open", Timestamp), ("close", Timestamp)],
        Kind::SessionClosed => &[("session", Utf8)],
        Kind::SliceTaken => &[("interval", Utf8), ("at", Timestamp)],
        Kind::OperatorCommand => &export_risk::OPERATOR_COMMAND,
        Kind::RiskVerdict => &export_risk::RISK_VERDICT,
        Kind::LimitMoved => &export_risk::LIMIT_MOVED,
        Kind::Decision => &export_risk::DECISION,
    }
}

const ORDER_INTENT: [(&str, ColumnType); 17] = [
    ("market", Utf8),
    ("symbol", Utf8),
    ("cause_rank", U64),
    ("cause_seq", U64),
    ("order_id", U64),
    ("side", Utf8),
    ("order_type", Utf8),
    ("time_in_force", Utf8),
    ("verdict", Utf8),
    ("quantity", Decimal),
    ("limit_price", Decimal),
    ("stop_price", Decimal),
    ("reference_price", Decimal),
    ("reason", Utf8),
    ("trail", Utf8),
    ("expires", Utf8),
    ("client_id", U64),
];

const FILL: [(&str, ColumnType); 21] = [
    ("market", Utf8),
    ("symbol", Utf8),
    ("cause_rank", U64),
    ("cause_seq", U64),
    ("order_id", U64),
    ("side", Utf8),
    ("state", Utf8),
    ("quantity", Decimal),
    ("price", Decimal),
    ("reference_price", Decimal),
    ("slippage_bps", Decimal),
    ("model", Utf8),
    ("exchange_time", Timestamp),
    ("position", Decimal),
    ("brokerage", Decimal),
    ("transaction_tax", Decimal),
    ("exchange_fee", Decimal),
    ("regulator_fee", Decimal),
    ("stamp_duty", Decimal),
    ("service_tax", Decimal),
    ("depository_fee", Decimal),
];

const TRADE_CLOSED: [(&str, ColumnType); 34] = joined(TRADE, MEASURES);

const TRADE: [(&str, ColumnType); 18] = [
    ("market", Utf8),
    ("symbol", Utf8),
    ("cause_rank", U64),
    ("cause_seq", U64),
    ("trade", U64),
    ("side", Utf8),
    ("quantity", Decimal),
    ("entry_order_id", U64),
    ("exit_order_id", U64),
    ("entry_time", Timestamp),
    ("exit_time", Timestamp),
    ("entry_price", Decimal),
    ("exit_price", Decimal),
    ("gross", Decimal),
    ("fees", Decimal),
    ("bars", U64),
    ("entry_reason", Utf8),
    ("exit_reason", Utf8),
];

const ACCOUNT: [(&str, ColumnType); 11] = [
    ("cause_rank", U64),
    ("cause_seq", U64),
    ("session", Utf8),
    ("cash", Decimal),
    ("equity", Decimal),
    ("long_value", Decimal),
    ("short_value", Decimal),
    ("realised", Decimal),
    ("unrealised", Decimal),
    ("fees", Decimal),
    ("positions", U64),
];
