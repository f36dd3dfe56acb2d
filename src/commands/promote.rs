//! `promote`: make an evaluated model the winner, if it is strictly better than the one there.

use super::Verdict;
use super::evaluate::{EVALUATION, Evaluated};
use crate::cli::{Cli, Format, Promote};
use crate::learning::record::{TrainingJournal, told};
use crate::output;
use daybook_replay::winner::{NO_CHARGES, Promoted, Trust, promote};
use daybook_vocabulary::Event;
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
    output::line(format_args!("measured on {}", promoted.candidate.measured.words()));
    if promoted.candidate.measured.charges == NO_CHARGES {
        output::line("its reward has no charges in it, so at a broker it is refused: evaluate with those of live");
    }
    if promoted.offered > 1 {
        output::line(format_args!(
            "{} models were offered here so far: the more are tried on one range, the more the best owes to chance",
            promoted.offered
        ));
    }
}

/// Promotes, or not, and journals which.
pub fn promoted(cli: &Cli, arguments: &Promote) -> Result<Promoted, Box<dyn Error>> {
    let place = arguments.model.join(EVALUATION);
    let text = std::fs::read_to_string(&place)
        .map_err(|error| format!("{}: {error}; run `daybook evaluate` first", place.display()))?;
    let evaluated: Evaluated = serde_json::from_str(&text)
        .map_err(|error| format!("{}: {error}; run `daybook evaluate` again", place.display()))?;
    refuse_what_was_not_measured(arguments, &evaluated)?;
    let model = arguments.model.join(daybook_replay::learned::MODEL_FILE);
    let settings = super::settings(cli, arguments.set.clone())?.settings;
    let winner = arguments.winner.clone().or_else(|| settings.learn_winner.clone());
    let winner = winner.ok_or("give --winner DIR, or the setting learn.winner")?;
    let (key, trust) = (super::backtest::seal_key(&settings)?, Trust::of(&settings));
    let promoted = promote(&model, evaluated.record, &winner, (&key, &trust))?;
    journal(arguments, &promoted)?;
    Ok(promoted)
}

/// A signature is only worth what is signed: the file must say what the training's journal says was measured last.
fn refuse_what_was_not_measured(arguments: &Promote, evaluated: &Evaluated) -> Result<(), Box<dyn Error>> {
    let place = arguments.model.join(EVALUATION);
    let record = &evaluated.record;
    let journaled = told(&arguments.model)?.evaluations.pop();
    let same = journaled.is_some_and(|one| {
        one.steps == record.steps
            && one.model.to_string() == record.model_hash
            && one.comparison.as_ref() == Some(&evaluated.comparison)
            && one.measured.as_ref() == Some(&record.measured)
    });
    if same && evaluated.comparison.model.avg_reward == record.avg_reward {
        return Ok(());
    }
    let what = "it is not what the training's journal says was measured last; run `daybook evaluate` again";
    Err(format!("{}: {what}", place.display()).into())
}

fn journal(arguments: &Promote, promoted: &Promoted) -> Result<(), Box<dyn Error>> {
    let mut journal = TrainingJournal::open(&arguments.model)?;
    journal.append(promoted.candidate.steps, &Event::Promotion(promoted.event()?), true)?;
    journal.close()
}
