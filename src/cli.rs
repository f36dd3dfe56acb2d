//! The command line. Flag names are a contract.

use clap::{Args, Parser, Subcommand, ValueEnum};
use daybook_adapters::kite_server::{Fault, PostbackAddress, Speed};
use daybook_config::{Profile, TimeOfDay, fees::SCHEDULES};
use daybook_vocabulary::{Date, Interval, Kind, Money, Nanos};
use std::path::PathBuf;

mod learning;
mod operations;

pub use operations::{Drill, Operator, Preflight, Status, Trouble};

pub use learning::{Controls, Device, Draws, Evaluate, Phase, Promote, Reward, Train};

/// An event-sourced trading engine: one journal, one core, for backtest, audit, paper trading and learning.
#[derive(Debug, Parser)]
#[command(name = "daybook", version, propagate_version = true)]
pub struct Cli {
    /// Settings file; `daybook.toml` in the working directory when not given.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What is printed on stdout.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Log filter for stderr, such as `info` or `daybook=debug`; `warn` when not given.
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    /// Say what is being done: the log from `info` on. The last of --verbose and --silent wins.
    #[arg(long, global = true, overrides_with = "silent")]
    pub verbose: bool,
    /// Say nothing but results and errors: no progress, no warnings.
    #[arg(long, global = true, overrides_with = "verbose")]
    pub silent: bool,
    /// How log lines are written.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object (`journal cat`: one a line).
    Json,
}

/// How log lines are written on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people: words, then `name=value`.
    Text,
    /// One JSON object a line.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make up a market and run the main job on it: journal, backtest, audit, report.
    Demo(Demo),
    /// Read candles from CSV, Parquet and Arrow files into a journal.
    Ingest(Ingest),
    /// Get history from the broker into a journal: what is missing, and no more.
    Fetch(Fetch),
    /// Trade a live market: on paper, filled by our own exchange, or, armed, with orders at the broker.
    Trade(Trade),
    /// Every gate that `trade` would pass, with what to do about one that blocks; begins and writes nothing.
    Preflight(Preflight),
    /// Tell the daemon of a session: no entry until `resume`; positions stay.
    Halt(Operator),
    /// Tell the daemon of a session: entries are allowed again; a limit of the session that tripped stays.
    Resume(Operator),
    /// Tell the daemon of a session: leave every position and stop.
    Kill(Operator),
    /// Where a live session stands: account, positions, stops, orders, locks, feed; from its journal alone.
    Status(Status),
    /// Rehearse disasters against the simulated broker: kills of the daemon and of the broker, cut wires, dead tokens, a
    /// full disk; after each, what must hold is looked at.
    Drill(Drill),
    /// Replay history through the core with a strategy.
    Backtest(Backtest),
    /// Derive every output of a run again and compare it with what was recorded.
    Audit(Audit),
    /// Why an order was decided, back to the candles, and what became of it.
    Explain(Explain),
    /// Compare two runs trade by trade, order by order, fill by fill.
    Compare(Compare),
    /// What if: take up a run after any event with other settings.
    Fork(Fork),
    /// Compute indicators or features of each bar into a table, to look at, plot and check.
    Features(Features),
    /// A simulated broker: Kite Connect v3 on this machine, with a journal as its market.
    Simulate(Simulate),
    /// Replay history into a memory and train the network that decides.
    Train(Box<Train>),
    /// A trained model on the range held out, beside flat, hold, random and sma-cross.
    Evaluate(Evaluate),
    /// Make an evaluated model the winner, if it is strictly better.
    Promote(Promote),
    /// Is the learner honest? It must find a signal that was planted, and nothing where the same market was shuffled.
    Controls(Controls),
    /// Check every byte of a journal or a run.
    Verify(Verify),
    /// Look inside a journal.
    #[command(subcommand)]
    Journal(Journal),
    /// Settings and where they come from.
    #[command(subcommand)]
    Config(Config),
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Where it goes; replaced each time.
    #[arg(long, value_name = "DIR", default_value = "daybook-demo")]
    pub out: PathBuf,
    /// Seed of the made-up market.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}

/// Arguments of `ingest`.
#[derive(Debug, Args)]
pub struct Ingest {
    /// Files: CSV, CSV.gz, Parquet, Arrow.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The journal; made when it is not there.
    #[arg(long, value_name = "DIR")]
    pub journal: PathBuf,
    /// The market's calendar: `nse`, `generic`, or a calendar file.
    #[arg(long, default_value = "generic", value_name = "NAME|FILE")]
    pub market: String,
    /// Symbol of all rows; else from a column or the file's name.
    #[arg(long)]
    pub symbol: Option<String>,
    /// Interval of all rows; else from the file's name and the spacing of its rows.
    #[arg(long)]
    pub interval: Option<Interval>,
    /// Zone of times without one, such as `Asia/Kolkata`; the market's when not given.
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
    /// Order of day and month in dates such as 03/04/2024 where the file does not decide it.
    #[arg(long, value_enum, value_name = "ORDER")]
    pub date_order: Option<DateOrder>,
    /// Whether a row's time is its bar's start or end.
    #[arg(long, value_enum, default_value_t = Stamp::Start)]
    pub stamp: Stamp,
    /// What becomes of rows with one stamp and different values.
    #[arg(long, value_enum, default_value_t = Duplicates::Quarantine)]
    pub duplicates: Duplicates,
    /// Let these rows supersede what the journal holds.
    #[arg(long)]
    pub revise: bool,
}

/// Arguments of `fetch`. The last of two opposing flags wins.
#[derive(Debug, Args)]
pub struct Fetch {
    /// The index whose members are fetched when no symbols are named: all who belonged to it within the range. Setting
    /// `index.name` when not given; today's list comes from `index.url`.
    #[arg(long, value_name = "INDEX")]
    pub index: Option<String>,
    /// First date, inclusive, in the exchange's zone; the setting `from_dates` has it by interval when not given.
    #[arg(long, value_name = "DATE")]
    pub from: Option<Date>,
    /// Last date, inclusive; today, by the broker's clock, when not given.
    #[arg(long, value_name = "DATE")]
    pub to: Option<Date>,
    /// Interval of the candles: 1m, 3m, 5m, 10m, 15m, 30m, 1h or 1d.
    #[arg(long, default_value = "5m")]
    pub interval: Interval,
    /// Symbols, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "A,B", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub symbols: Vec<String>,
    /// Log in again, even if today's login lives.
    #[arg(long, overrides_with = "no_force_refresh_token")]
    pub force_refresh_token: bool,
    /// Use today's login while it lives (the default).
    #[arg(long, overrides_with = "force_refresh_token")]
    pub no_force_refresh_token: bool,
    /// Pages asked for at the same time; the broker's rate limits hold for all of them together.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub max_workers: u32,
    /// The broker; plain http for a simulated one on this machine.
    #[arg(long, value_name = "URL", default_value = "https://api.kite.trade")]
    pub broker_url: String,
    /// The journal; made when it is not there.
    #[arg(long, value_name = "DIR")]
    pub journal: PathBuf,
}

/// Arguments of `trade`.
#[derive(Debug, Args)]
pub struct Trade {
    /// Fill on our own exchange and send nothing. Without this or `--dry-run` the setting `paper_trading` decides,
    /// which ships yes; of the two flags the last one wins.
    #[arg(long, overrides_with = "dry_run")]
    pub paper: bool,
    /// Go through every gate with the real session, list them, and do nothing else; exit code 1 if one blocks.
    #[arg(long, overrides_with = "paper")]
    pub dry_run: bool,
    /// Let orders go to the broker, in this session only. Elsewhere than on this machine a person types its name.
    #[arg(long)]
    pub arm: bool,
    /// The strategy; `backtest --strategy help` lists them.
    #[arg(long, value_name = "NAME")]
    pub strategy: String,
    /// A parameter of the strategy, or a setting, by its name.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Symbols, separated by commas.
    #[arg(long, required = true, value_delimiter = ',', value_name = "A,B", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub symbols: Vec<String>,
    /// Length of the bars that are decided on.
    #[arg(long, default_value = "5m")]
    pub interval: Interval,
    /// Journals of history that warm the strategy up before the open; without one it begins with the day's first bars.
    #[arg(long, num_args = 1.., value_name = "DIR")]
    pub journal: Vec<PathBuf>,
    /// A session of an earlier day, of the same kind and flat: its equity is the cash, a drawdown goes on from its peak, and
    /// a lock that nobody has resumed holds here too.
    #[arg(long, value_name = "RUN")]
    pub after: Option<PathBuf>,
    /// How fills are simulated, as for `backtest`; `realistic` when neither this nor the settings say otherwise.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// How long stragglers are waited for after the end of a bar.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2_000)]
    pub slice_grace_ms: u32,
    /// By this time every position is left, in Indian time: the earlier of it and `risk.hard_trading_end`.
    #[arg(long, value_name = "HH:MM[:SS]", value_parser = end_of_day)]
    pub end: Option<TimeOfDay>,
    /// How long the daemon sleeps at most between two looks at wires, files and clock; it decides nothing.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub loop_ms: u32,
    /// Whose clock is followed: `broker` (of a simulated one on this machine, the default there) or `system`.
    #[arg(long, value_enum)]
    pub clock: Option<Clock>,
    /// The broker; plain http for a simulated one on this machine.
    #[arg(long, value_name = "URL", default_value = "https://api.kite.trade")]
    pub broker_url: String,
    /// Directory of the session; the same again on the same day takes it up.
    #[arg(long, value_name = "RUN")]
    pub session: PathBuf,
}

/// A clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Clock {
    /// The simulated broker's.
    Broker,
    /// This machine's.
    System,
}

/// Order of day and month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DateOrder {
    /// Day, month, year.
    Dmy,
    /// Month, day, year.
    Mdy,
}

/// What a row's time means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stamp {
    /// The bar's start.
    Start,
    /// The bar's end.
    End,
}

/// What becomes of rows with one stamp and different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Duplicates {
    /// All of them are quarantined.
    Quarantine,
    /// The first is kept.
    First,
    /// They are merged into one bar.
    Merge,
}

/// Arguments of `backtest`.
#[derive(Debug, Args)]
pub struct Backtest {
    /// Journals of history; required without `--like`.
    #[arg(long, num_args = 1.., value_name = "DIR")]
    pub journal: Vec<PathBuf>,
    /// A session of `trade`: its recorded market, under its own strategy and settings, filled by our exchange;
    /// `compare SESSION RUN` then tells how the fills differ.
    #[arg(long, value_name = "SESSION", conflicts_with_all = ["journal", "strategy", "set", "symbols", "interval", "from", "to", "warmup", "cash", "costs", "profile"])]
    pub like: Option<PathBuf>,
    /// The strategy; `--strategy help` alone lists them.
    #[arg(long, value_name = "NAME", required_unless_present = "like")]
    pub strategy: Option<String>,
    /// A parameter of the strategy, or a setting, by its name.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Symbols, separated by commas; all when not given.
    #[arg(long, value_delimiter = ',', value_name = "A,B", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub symbols: Vec<String>,
    /// Interval of the candles.
    #[arg(long)]
    pub interval: Option<Interval>,
    /// First session, inclusive, in the exchange's zone.
    #[arg(long, value_name = "DATE")]
    pub from: Option<Date>,
    /// Last session, inclusive.
    #[arg(long, value_name = "DATE")]
    pub to: Option<Date>,
    /// Bars that decide nothing; what the strategy needs when not given.
    #[arg(long, value_name = "N")]
    pub warmup: Option<u32>,
    /// Cash at the start.
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    pub cash: Option<String>,
    #[arg(long, value_name = "SCHEDULE", help = format!("Fee schedule: {}", SCHEDULES.join(", ")))]
    pub costs: Option<String>,
    #[arg(long, value_name = "NAME", help = format!("How the simulated exchange fills: {}", profiles()))]
    pub profile: Option<String>,
    /// Replace a run that is there.
    #[arg(long)]
    pub force: bool,
    /// Seal the run's journal with this machine's key.
    #[arg(long)]
    pub seal: bool,
    /// Also write `contract_notes`: each session's charges as a broker's note rounds them. The books stay exact.
    #[arg(long)]
    pub contract_note: bool,
    /// Directory of the run; required.
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
}

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// The run.
    pub run: PathBuf,
    /// Places to look for the input journals, after the recorded ones.
    #[arg(long, num_args = 1.., value_name = "DIR")]
    pub journal: Vec<PathBuf>,
    /// Derive the outputs from each of the run's snapshots as well.
    #[arg(long)]
    pub snapshots: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The run.
    pub run: PathBuf,
    /// Number of the order, as in the run's table of orders.
    pub order: u64,
    /// Bars to show that the strategy had seen before the decision.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub candles: u32,
    /// Places to look for the input journals, after the recorded ones.
    #[arg(long, num_args = 1.., value_name = "DIR")]
    pub journal: Vec<PathBuf>,
}

/// Arguments of `compare`. Orders are matched by symbol and by their number within it.
#[derive(Debug, Args)]
pub struct Compare {
    /// A run.
    pub left: PathBuf,
    /// The run to compare it with.
    pub right: PathBuf,
    /// Differences to show of each kind of event, the earliest first.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub limit: u32,
}

/// Arguments of `fork`.
#[derive(Debug, Args)]
pub struct Fork {
    /// The run to take up.
    pub run: PathBuf,
    /// The last event that stays as it is: its number in the run's journal.
    #[arg(long, value_name = "SEQ")]
    pub at: u64,
    /// A parameter of the strategy or a setting, for every decision after that event.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Places to look for the input journals, after the recorded ones.
    #[arg(long, num_args = 1.., value_name = "DIR")]
    pub journal: Vec<PathBuf>,
    /// Differences to show of each kind of event, the earliest first.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub limit: u32,
    /// Replace a run that is there.
    #[arg(long)]
    pub force: bool,
    /// Directory of the fork.
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
}

/// Arguments of `features`.
#[derive(Debug, Args)]
pub struct Features {
    /// Journals of history.
    #[arg(long, num_args = 1.., value_name = "DIR")]
    pub journal: Vec<PathBuf>,
    /// Symbols, separated by commas; all when not given.
    #[arg(long, value_delimiter = ',', value_name = "A,B", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub symbols: Vec<String>,
    /// Interval of the candles.
    #[arg(long)]
    pub interval: Option<Interval>,
    /// First session to show, inclusive; what comes before is read all the same.
    #[arg(long, value_name = "DATE")]
    pub from: Option<Date>,
    /// Last session to show, inclusive.
    #[arg(long, value_name = "DATE")]
    pub to: Option<Date>,
    /// Indicators, such as `rsi(14),atr(14),macd(12,26,9)`; `help` lists them.
    #[arg(long, value_name = "LIST", conflicts_with = "spec")]
    pub indicators: Option<String>,
    /// A feature specification instead: v1, what the learned strategy sees.
    #[arg(long, value_name = "VERSION")]
    pub spec: Option<String>,
    /// The table: a file that ends in .parquet or .arrow.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub struct Simulate {
    /// Journals of history: the market.
    #[arg(long, required = true, num_args = 1.., value_name = "DIR")]
    pub journal: Vec<PathBuf>,
    /// The first day.
    #[arg(long)]
    pub date: Date,
    /// Virtual seconds in a real one, or `max`: the day as fast as clients take it, then one for one.
    #[arg(long, default_value = "1")]
    pub speed: Speed,
    /// Port of 127.0.0.1; 0 for any that is free.
    #[arg(long, default_value_t = 9010)]
    pub port: u16,
    /// When virtual time begins, in Indian time.
    #[arg(long, value_name = "HH:MM", default_value = "09:00", value_parser = time_of_day)]
    pub start: i64,
    /// What goes wrong; --help lists all.
    #[arg(long, value_name = "NAME[:NUMBER[:TIMES]]", long_help = Fault::help())]
    pub fault: Vec<Fault>,
    /// Draw faults with this seed, one in EVERY, instead of counting to EVERY.
    #[arg(long, value_name = "SEED")]
    pub fault_seed: Option<u64>,
    /// Most that a level of a book shows and a tick fills, so that small orders fill in parts; no limit when not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=1_000_000_000))]
    pub fill_at_most: Option<i64>,
    /// The server's own book; what it holds goes on. In `daybook-simulate/` when not given.
    #[arg(long, value_name = "DIR")]
    pub book: Option<PathBuf>,
    /// Begin the book anew.
    #[arg(long)]
    pub fresh: bool,
    /// Cash of the account.
    #[arg(long, value_name = "RUPEES", default_value = "1000000")]
    pub cash: Money,
    /// Quantity above which the exchange refuses an order.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(i64).range(1..=1_000_000_000))]
    pub freeze_quantity: i64,
    /// Where the login page redirects; the server's own page when not given.
    #[arg(long, value_name = "URL")]
    pub redirect: Option<String>,
    /// Where postbacks go: http://HOST:PORT/PATH.
    #[arg(long, value_name = "URL")]
    pub postback: Option<PostbackAddress>,
    /// Do not count requests.
    #[arg(long)]
    pub no_limits: bool,
    /// Take one application only: that of KITE_API_KEY and KITE_API_SECRET in this server's environment. `trade` and
    /// `fetch` then log in with theirs, as at the real broker.
    #[arg(long)]
    pub own_application: bool,
}

/// A time of day.
fn end_of_day(text: &str) -> Result<TimeOfDay, String> {
    text.parse().map_err(|_| format!("'{text}' is not a time of day such as 15:10 or 15:10:30"))
}

/// Seconds since midnight.
fn time_of_day(text: &str) -> Result<i64, String> {
    let wrong = || format!("'{text}' is not a time of day such as 09:00");
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    match (hours.parse::<u32>(), minutes.parse::<u32>()) {
        (Ok(hours @ 0..=23), Ok(minutes @ 0..=59)) => Ok(i64::from(hours * 3600 + minutes * 60)),
        _ => Err(wrong()),
    }
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// A journal or a run.
    pub path: PathBuf,
    /// Accept only seals made with this key.
    #[arg(long, value_name = "FILE")]
    pub public_key: Option<PathBuf>,
}

/// The commands of `journal`.
#[derive(Debug, Subcommand)]
pub enum Journal {
    /// How much there is of what.
    Stat(Stat),
    /// Print events.
    Cat(Cat),
    /// Write events to Parquet files.
    Export(Export),
    /// Move a sealed journal to an archive directory; its chain head and seals stay.
    Archive(Archive),
}

/// Arguments of `journal stat`.
#[derive(Debug, Args)]
pub struct Stat {
    /// A journal or a run.
    pub path: PathBuf,
}

/// Which events.
#[derive(Debug, Args)]
pub struct Choice {
    /// Only this kind, such as `candle` or `fill`.
    #[arg(long)]
    pub kind: Option<Kind>,
    /// Only this symbol.
    #[arg(long)]
    pub symbol: Option<String>,
    /// First sequence number.
    #[arg(long, value_name = "SEQ")]
    pub from_seq: Option<u64>,
    /// Last sequence number.
    #[arg(long, value_name = "SEQ")]
    pub to_seq: Option<u64>,
    /// First time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub from_time: Option<Nanos>,
    /// Last time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub to_time: Option<Nanos>,
}

/// Arguments of `journal cat`.
#[derive(Debug, Args)]
pub struct Cat {
    /// A journal or a run.
    pub path: PathBuf,
    /// Which events.
    #[command(flatten)]
    pub choice: Choice,
    /// At most so many.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// Arguments of `journal export`.
#[derive(Debug, Args)]
pub struct Export {
    /// A journal or a run.
    pub path: PathBuf,
    /// Which events.
    #[command(flatten)]
    pub choice: Choice,
    /// Directory of the files.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
}

/// Arguments of `journal archive`.
#[derive(Debug, Args)]
pub struct Archive {
    /// A journal or a run, sealed to its end. Of a run, `RUN/journal` moves and the other files stay.
    pub path: PathBuf,
    /// The archive directory, made when it is not there. The copy is `DIR/NAME.ID`: the name of the journal's or the
    /// run's directory, and the first 16 digits of the journal's id. It is a journal like any other: to bring it back,
    /// remove what stayed and move the copy to its place.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Accept only seals made with this key.
    #[arg(long, value_name = "FILE")]
    pub public_key: Option<PathBuf>,
}

/// The commands of `config`.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Every effective value and where it came from.
    Show(Show),
    /// Write a value into the settings file; everything else in it stays as it is.
    Set(SetValue),
}

/// Arguments of `config set`.
#[derive(Debug, Args)]
pub struct SetValue {
    /// The setting, by its dotted name.
    pub key: String,
    /// Its value.
    #[arg(allow_hyphen_values = true)]
    pub value: String,
}

/// Arguments of `config show`.
#[derive(Debug, Args)]
pub struct Show {
    /// A setting by its name.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("'{text}' is not KEY=VALUE, such as fast=10")),
    }
}

fn profiles() -> String {
    Profile::ALL.iter().map(|profile| profile.word()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_dates_is_a_flag_of_ingest() {
        let order = |given: &[&str]| {
            let line = ["daybook", "ingest", "a.csv", "--journal", "j"].iter().chain(given);
            match Cli::try_parse_from(line).map(|cli| cli.command) {
                Ok(Command::Ingest(ingest)) => Ok(ingest.date_order),
                Ok(other) => panic!("another command: {other:?}"),
                Err(error) => Err(error.to_string()),
            }
        };
        assert_eq!(order(&[]), Ok(None));
        assert_eq!(order(&["--date-order", "dmy"]), Ok(Some(DateOrder::Dmy)));
        assert_eq!(order(&["--date-order", "mdy"]), Ok(Some(DateOrder::Mdy)));
        assert!(order(&["--date-order", "ymd"]).unwrap_err().contains("[possible values: dmy, mdy]"));
    }
}
