//! The command line of the learner: `train`, `evaluate`, `promote`. Flag names are a contract.

use super::key_value;
use clap::{Args, ValueEnum};
use daybook_vocabulary::Date;
use std::path::PathBuf;

/// Arguments of `train`.
#[derive(Debug, Args)]
pub struct Train {
    /// Journals of history.
    #[arg(long, required = true, num_args = 1.., value_name = "DIR")]
    pub journal: Vec<PathBuf>,
    /// Symbols, separated by commas; all when not given.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub symbols: Vec<String>,
    /// First session of the training range, inclusive, in the exchange's zone.
    #[arg(long, value_name = "DATE")]
    pub from: Option<Date>,
    /// Last session of the training range, inclusive.
    #[arg(long, value_name = "DATE")]
    pub to: Option<Date>,
    /// Sessions that are held out for evaluation, both inclusive; training on them is refused.
    #[arg(long, value_name = "DATE..DATE", value_parser = dates)]
    pub holdout: Option<(Date, Date)>,
    /// Timeframes and how many bars of each a decision sees, the shortest first.
    #[arg(long, default_value = "5m:256,15m:128", value_delimiter = ',', value_name = "T:L", value_parser = lookback)]
    pub timeframes: Vec<(String, usize)>,
    /// Updates of the network, those of earlier sittings included; the setting `learn.steps` when not given.
    #[arg(long)]
    pub steps: Option<u64>,
    /// Decision times per update; the setting `learn.batch_size` when not given.
    #[arg(long)]
    pub batch_size: Option<usize>,
    /// Decision times that a thread works on at once, or `auto`: as many as memory allows.
    #[arg(long, default_value = "8", value_name = "N|auto")]
    pub micro_batch: String,
    /// Learning rate of AdamW; the setting `learn.lr` when not given.
    #[arg(long, allow_hyphen_values = true)]
    pub lr: Option<f64>,
    /// Weight decay of AdamW; the setting `learn.weight_decay` when not given.
    #[arg(long, allow_hyphen_values = true)]
    pub weight_decay: Option<f64>,
    /// Worth of the next decision's value; the setting `learn.gamma` when not given.
    #[arg(long, allow_hyphen_values = true)]
    pub gamma: Option<f64>,
    /// The largest norm of a gradient; the setting `learn.clip` when not given.
    #[arg(long, allow_hyphen_values = true)]
    pub clip: Option<f64>,
    /// Updates between hard copies to the target network; the setting `learn.target_every` when not given.
    #[arg(long, value_name = "N")]
    pub target_every: Option<u64>,
    /// Exploration at the start; the setting `learn.epsilon_start` when not given.
    #[arg(long, allow_hyphen_values = true)]
    pub epsilon_start: Option<f64>,
    /// Exploration at the end; the setting `learn.epsilon_end` when not given.
    #[arg(long, allow_hyphen_values = true)]
    pub epsilon_end: Option<f64>,
    /// Steps until exploration is at its end; the setting `learn.epsilon_steps` when not given.
    #[arg(long, value_name = "N")]
    pub epsilon_steps: Option<u64>,
    /// How decision times are drawn from the memory.
    #[arg(long, value_enum, default_value_t = Draws::Uniform)]
    pub sampling: Draws,
    /// A model to explore around, by the course of epsilon; without one the memory is of random actions.
    #[arg(long, value_name = "DIR")]
    pub explore: Option<PathBuf>,
    /// Seed of initialisation, sampling and exploration.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Threads; all cores when not given.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// The checkpoint; `checkpoint.safetensors` in --out when not given. A run goes on from it.
    #[arg(long, value_name = "FILE")]
    pub checkpoint_path: Option<PathBuf>,
    /// Updates between checkpoints.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub checkpoint_every: u64,
    /// How far to go: everything up to this phase is done.
    #[arg(long, value_enum, default_value_t = Phase::Train)]
    pub phase: Phase,
    /// The winner's folder, for the phases `promote` and `all`.
    #[arg(long, value_name = "DIR")]
    pub winner: Option<PathBuf>,
    /// A setting by its dotted name.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Do not ask the machine how hot it is.
    #[arg(long)]
    pub no_thermal: bool,
    /// Where checkpoint, model, journal and report go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// The training's folder.
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Journals of history.
    #[arg(long, required = true, num_args = 1.., value_name = "DIR")]
    pub journal: Vec<PathBuf>,
    /// Sessions to evaluate on; those held out from training when not given.
    #[arg(long, value_name = "DATE..DATE", value_parser = dates)]
    pub holdout: Option<(Date, Date)>,
    /// Symbols; those of the training when not given.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub symbols: Vec<String>,
    /// A setting by its dotted name.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Instead of evaluating, write the first N decisions of the range: inputs `x.TIMEFRAME`, outputs `q`.
    #[arg(long, value_name = "N", requires = "out")]
    pub dump_decisions: Option<usize>,
    /// The file of dumped decisions.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Arguments of `promote`.
#[derive(Debug, Args)]
pub struct Promote {
    /// The training's folder, evaluated before.
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// The winner's folder.
    #[arg(long, value_name = "DIR")]
    pub winner: PathBuf,
}

/// How decision times are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Draws {
    /// All alike.
    Uniform,
    /// Those that the network is most wrong about more often.
    Prioritised,
}

/// A phase of the learner; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Phase {
    /// Features of the training range, and their scaler.
    Features,
    /// Replay the training range into the memory.
    PopulateTrain,
    /// Trade metrics and rewards of the memory.
    BacktraceTrain,
    /// Train the network.
    Train,
    /// Replay the held-out range with the network.
    PopulateHoldout,
    /// Trade metrics and rewards of the held-out range.
    BacktraceHoldout,
    /// Compare the network with flat, hold, random and sma-cross.
    Evaluate,
    /// Make it the winner if it is strictly better.
    Promote,
    /// Everything.
    All,
}

fn dates(text: &str) -> Result<(Date, Date), String> {
    let (from, to) = text.split_once("..").ok_or_else(|| format!("'{text}' is not DATE..DATE"))?;
    let date = |part: &str| part.parse::<Date>().map_err(|error| error.to_string());
    let (from, to) = (date(from)?, date(to)?);
    if from > to { Err(format!("{from} is after {to}")) } else { Ok((from, to)) }
}

fn lookback(text: &str) -> Result<(String, usize), String> {
    let (name, bars) = text.split_once(':').ok_or_else(|| format!("'{text}' is not TIMEFRAME:BARS, such as 5m:256"))?;
    let interval: daybook_vocabulary::Interval = name.parse().map_err(|error| format!("{error}"))?;
    let bars = bars.parse().map_err(|_| format!("'{bars}' is not a number of bars"))?;
    Ok((interval.to_string(), bars))
}
