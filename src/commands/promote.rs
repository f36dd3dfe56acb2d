//! `promote`: make an evaluated model the winner, if it is strictly better than the one there.

use super::Verdict;
use super::evaluate::{EVALUATION, Evaluated};
use crate::cli::{Cli, Format, Promote};
use crate::learning::record::TrainingJournal;
use crate::output;
use daybook_train::winner::{Promoted, WinnerRecord, promote};
use daybook_vocabulary::{Event, Hash, ModelNumber, Promotion};
use std::error::Error;
use std::process::ExitCode;

pub fn run(cli: &Cli, arguments: &Promote) -> Verdict {
    let promoted = promoted(cli, arguments)?;
    if cli.format == Format::Json {
        output::json(&promoted)?;
    } else {
        print(&promoted);
    }
    Ok(if promoted.promoted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints it for people.
pub fn print(promoted: &Promoted) {
    let word = if promoted.promoted { "promoted" } else { "not promoted" };
    output::line(format_args!("{word}: {}", promoted.reason));
}

/// Promotes, or not, and journals which.
pub fn promoted(cli: &Cli, arguments: &Promote) -> Result<Promoted, Box<dyn Error>> {
    let place = arguments.model.join(EVALUATION);
    let text = std::fs::read_to_string(&place)
        .map_err(|error| format!("{}: {error}; run `daybook evaluate` first", place.display()))?;
    let evaluated: Evaluated = serde_json::from_str(&text)
        .map_err(|error| format!("{}: {error}; run `daybook evaluate` again", place.display()))?;
    let model = arguments.model.join(daybook_replay::learned::MODEL_FILE);
    let settings = super::settings(cli, Vec::new())?.settings;
    let winner = arguments.winner.clone().or(settings.learn_winner);
    let winner = winner.ok_or("give --winner DIR, or the setting learn.winner")?;
    let promoted = promote(&model, evaluated.record, &winner)?;
    journal(arguments, &promoted)?;
    Ok(promoted)
}

fn journal(arguments: &Promote, promoted: &Promoted) -> Result<(), Box<dyn Error>> {
    let hash = |record: &WinnerRecord| record.model_hash.parse::<Hash>().map_err(|_| "a model's hash has 64 digits");
    let number =
        |record: &WinnerRecord| ModelNumber::new(record.avg_reward as f32).ok_or("the average reward is no number");
    let event = Promotion {
        model: hash(&promoted.candidate)?,
        previous: promoted.previous.as_ref().map(hash).transpose()?,
        avg_reward: number(&promoted.candidate)?,
        previous_reward: promoted.previous.as_ref().map(number).transpose()?,
        promoted: promoted.promoted,
        reason: promoted.reason.clone(),
    };
    let mut journal = TrainingJournal::open(&arguments.model)?;
    journal.append(promoted.candidate.steps, &Event::Promotion(event), true)?;
    journal.close()
}
