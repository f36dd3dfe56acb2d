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
    #[arg(long, value_delimiter = ',', value_name = "A,B", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub symbols: Vec<String>,
    /// First session of the training range, inclusive, in the exchange's zone.
    #[arg(long, value_name = "DATE")]
    pub from: Option<Date>,
    /// Last session of the training range, inclusive.
    #[arg(long, value_name = "DATE")]
    pub to: Option<Date>,
    /// Sessions held out for evaluation, both inclusive; training on them is refused. Else the setting `learn.holdout`.
    #[arg(long, value_name = "DATE..DATE", value_parser = dates)]
    pub holdout: Option<(Date, Date)>,
    /// Timeframes and how many bars of each a decision sees, the shortest first, such as 5m:256,15m:128. Else the settings
    /// `learn.timeframes` and `learn.lookbacks`.
    #[arg(long, value_delimiter = ',', value_name = "T:L", value_parser = lookback)]
    pub timeframes: Vec<(String, usize)>,
    /// Updates of the network, those of earlier sittings included. Else the setting `learn.steps`.
    #[arg(long)]
    pub steps: Option<u64>,
    /// Decision times per update. Else the setting `learn.batch_size`.
    #[arg(long)]
    pub batch_size: Option<usize>,
    /// Decision times that a thread works on at once, or `auto`: as many as memory allows. Else `learn.micro_batch`.
    #[arg(long, value_name = "N|auto")]
    pub micro_batch: Option<String>,
    /// Learning rate of AdamW. Else the setting `learn.lr`.
    #[arg(long, allow_hyphen_values = true)]
    pub lr: Option<f64>,
    /// Weight decay of AdamW. Else the setting `learn.weight_decay`.
    #[arg(long, allow_hyphen_values = true)]
    pub weight_decay: Option<f64>,
    /// Worth of the next decision's value. Else the setting `learn.gamma`.
    #[arg(long, allow_hyphen_values = true)]
    pub gamma: Option<f64>,
    /// The largest norm of a gradient. Else the setting `learn.clip`.
    #[arg(long, allow_hyphen_values = true)]
    pub clip: Option<f64>,
    /// Updates between hard copies to the target network. Else the setting `learn.target_every`.
    #[arg(long, value_name = "N")]
    pub target_every: Option<u64>,
    /// Exploration at the start. Else the setting `learn.epsilon_start`.
    #[arg(long, allow_hyphen_values = true)]
    pub epsilon_start: Option<f64>,
    /// Exploration at the end. Else the setting `learn.epsilon_end`.
    #[arg(long, allow_hyphen_values = true)]
    pub epsilon_end: Option<f64>,
    /// Steps until exploration is at its end. Else the setting `learn.epsilon_steps`.
    #[arg(long, value_name = "N")]
    pub epsilon_steps: Option<u64>,
    /// How decision times are drawn from the memory. Else the setting `learn.sampling`.
    #[arg(long, value_enum)]
    pub sampling: Option<Draws>,
    /// What a transition is rewarded with. Else the setting `learn.reward`.
    #[arg(long, value_enum)]
    pub reward: Option<Reward>,
    /// A model to explore around, by the course of epsilon; without one the memory is of random actions.
    #[arg(long, value_name = "DIR")]
    pub explore: Option<PathBuf>,
    /// Seed of initialisation, sampling and exploration. Else the setting `seed`.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Threads. Else the setting `learn.threads`, or all cores.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// What the network is trained on; `cuda` needs a binary that was built with `--features cuda`. Else `learn.device`.
    #[arg(long, value_enum)]
    pub device: Option<Device>,
    /// The checkpoint; a run goes on from it. Else `learn.checkpoint`, or `checkpoint.safetensors` in --out.
    #[arg(long, value_name = "FILE")]
    pub checkpoint_path: Option<PathBuf>,
    /// Updates between checkpoints. Else the setting `learn.checkpoint_every`.
    #[arg(long, value_name = "N")]
    pub checkpoint_every: Option<u64>,
    /// How far to go. What an earlier phase left in --out is used, not made again.
    #[arg(long, value_enum, default_value_t = Phase::Train)]
    pub phase: Phase,
    /// The winner's folder, for the phases `promote` and `all`. Else the setting `learn.winner`.
    #[arg(long, value_name = "DIR")]
    pub winner: Option<PathBuf>,
    /// A setting by its name.
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
    #[arg(long, value_delimiter = ',', value_name = "A,B", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub symbols: Vec<String>,
    /// A setting by its name.
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
    /// The winner's folder. Else the setting `learn.winner`.
    #[arg(long, value_name = "DIR")]
    pub winner: Option<PathBuf>,
    /// A setting by its name.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
}

/// Arguments of `controls`.
#[derive(Debug, Args)]
pub struct Controls {
    /// Where markets, models and runs go; a market's folder is replaced each time.
    #[arg(long, value_name = "DIR", default_value = "daybook-controls")]
    pub out: PathBuf,
    /// How many seeds are tried, each in both markets.
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Updates of the network for each market.
    #[arg(long, default_value_t = 500)]
    pub steps: u64,
    /// Threads of training; all cores when not given.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// How decision times are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Draws {
    /// All alike.
    Uniform,
    /// Those that the network is most wrong about more often.
    Prioritised,
}

/// What a transition is rewarded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reward {
    /// The change of the open trade's marked-to-market R, net of charges.
    MarkedR,
    /// Nothing until the trade is closed, then its R.
    ClosedR,
}

/// What a network is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Device {
    /// The processor.
    Cpu,
    /// A graphics card of NVIDIA.
    Cuda,
}

/// A phase of the learner; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Phase {
    /// Fold the training range into the memory, and tell of its features.
    Features,
    /// The same, and tell of its transitions.
    PopulateTrain,
    /// The trade metrics and rewards of the memory.
    BacktraceTrain,
    /// Train the network.
    Train,
    /// Replay the held-out range with the network into a memory of its own.
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
