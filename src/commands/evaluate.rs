//! `evaluate`: a model on the range that was held out, beside flat, hold, random and sma-cross.
//!
//! - Every use of a held-out range is counted in the training's journal: a range that is looked at often is no test.

use super::Verdict;
use crate::cli::{Cli, Evaluate, Format};
use crate::learning::data::{Data, Wanted};
use crate::learning::record::{Reported, TrainingJournal, told};
use crate::learning::reliability;
use crate::output;
use daybook_inference::tensors::write_whole;
use daybook_inference::{Model, timeframes_of};
use daybook_replay::winner::{Ground, WinnerRecord};
use daybook_train::evaluate::{Comparison, Measures};
use daybook_train::memory::Span;
use daybook_vocabulary::{Date, Evaluation, Event, Hash, ModelNumber};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// What `evaluation.json` holds: the candidate's record, and all that was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Evaluated {
    /// What `promote` compares with the winner's.
    pub record: WinnerRecord,
    /// First session.
    pub from: String,
    /// Last session.
    pub to: String,
    /// How often this training was evaluated, this time included.
    pub uses: usize,
    /// The model beside the others.
    pub comparison: Comparison,
}

/// Name of the evaluation in a training's folder.
pub const EVALUATION: &str = "evaluation.json";

pub fn run(cli: &Cli, arguments: &Evaluate) -> Verdict {
    match evaluated(cli, arguments)? {
        Some(evaluated) if cli.format == Format::Json => output::json(&evaluated)?,
        Some(evaluated) => print(&evaluated),
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Evaluates and writes it down; nothing where decisions were dumped instead.
pub fn evaluated(cli: &Cli, arguments: &Evaluate) -> Result<Option<Evaluated>, Box<dyn Error>> {
    let folder = &arguments.model;
    let path = folder.join(daybook_replay::learned::MODEL_FILE);
    let model = Arc::new(Model::read(&path)?);
    let (from, to) = dates_of(arguments, &model)?;
    let timeframes = timeframes_of(model.network.shape())?;
    let symbols = if arguments.symbols.is_empty() { &model.facts.symbols } else { &arguments.symbols };
    let wanted = Wanted {
        journals: &arguments.journal,
        symbols,
        timeframes: &timeframes,
        dates: (Some(from), Some(to)),
        set: &arguments.set,
    };
    let data = Data::open(cli, &wanted)?;
    if arguments.dump_decisions.is_none() {
        refuse_what_was_learned_from(&model, data.span(Some(from), Some(to)))?;
    }
    let bar = output::progress(data.candles(), "inputs");
    let mut progress = |inputs: u64| bar.set_position(inputs);
    if let (Some(count), Some(out)) = (arguments.dump_decisions, &arguments.out) {
        bar.set_message("dumping");
        let dumped = data.dump(&model, count, out, &mut progress);
        bar.finish_and_clear();
        let (found, hash) = dumped?;
        output::line(format_args!("{found} decisions of {} symbols in {} ({hash})", symbols.len(), out.display()));
        return Ok(None);
    }
    bar.set_message("evaluating");
    let comparison = data.compare(Arc::clone(&model), &path, model.facts.seed, &mut progress);
    bar.finish_and_clear();
    let comparison = comparison?;
    let uses = told(folder).map_or(0, |told| told.evaluations.len()) + 1;
    let mut measured = Ground::new((from, to), data.symbols(), data.content_hash().to_string(), &data.plan.settings)?;
    let reward = comparison.model.reward.as_ref();
    measured.trades = comparison.model.trades - comparison.model.undefined;
    measured.sessions = reward.map_or(0, |reward| reward.sessions);
    let record = WinnerRecord {
        avg_reward: comparison.model.avg_reward,
        evaluated_at: output::now_for_people(),
        steps: model.facts.steps,
        model_hash: model.hash.clone(),
        measured,
    };
    let evaluated = Evaluated { record, from: from.to_string(), to: to.to_string(), uses, comparison };
    write_down(folder, &model, data.content_hash(), &evaluated)?;
    Ok(Some(evaluated))
}

fn dates_of(arguments: &Evaluate, model: &Model) -> Result<(Date, Date), Box<dyn Error>> {
    if let Some(dates) = arguments.holdout {
        return Ok(dates);
    }
    let recorded = model.facts.lineage.get("holdout").and_then(|text| text.split_once(".."));
    let (from, to) = recorded.ok_or("the model was trained without a range held out: give --holdout DATE..DATE")?;
    Ok((from.parse()?, to.parse()?))
}

/// A model is not judged by what it was trained on.
fn refuse_what_was_learned_from(model: &Model, asked: Span) -> Result<(), Box<dyn Error>> {
    let Some(text) = model.facts.lineage.get("training") else { return Ok(()) };
    let trained: Span = text.parse().map_err(|error| format!("the model's record of its training: {error}"))?;
    if asked.overlaps(&trained) {
        return Err(
            format!("the model was trained on {trained}, which meets {asked}: evaluate it on other sessions").into()
        );
    }
    Ok(())
}

fn write_down(folder: &Path, model: &Model, data: Hash, evaluated: &Evaluated) -> Result<(), Box<dyn Error>> {
    let mut text = serde_json::to_string_pretty(evaluated)?;
    text.push('\n');
    write_whole(&folder.join(EVALUATION), text.as_bytes())?;
    let measured = &evaluated.comparison.model;
    let event = Evaluation {
        model: model.hash.parse().map_err(|_| "a model's hash has 64 digits")?,
        steps: model.facts.steps,
        data,
        decisions: measured.actions.iter().sum(),
        actions: measured.actions,
        avg_reward: ModelNumber::new(measured.avg_reward as f32).ok_or("the average reward is no number")?,
        report: Reported::text(&evaluated.comparison, &evaluated.record.measured)?,
    };
    let mut journal = TrainingJournal::open(folder)?;
    journal.append(model.facts.steps, &Event::Evaluation(event), true)?;
    journal.close()?;
    super::train::write_report(folder, Some((&evaluated.comparison, &evaluated.record.measured)))
}

/// Prints it for people.
pub fn print(evaluated: &Evaluated) {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    output::line(format_args!("{} to {}, evaluated {} times", evaluated.from, evaluated.to, evaluated.uses));
    output::line(format_args!("measured on {}", evaluated.record.measured.words()));
    output::line(
        "who          trades  open     avg R     MAE R  % of MFE  shortfall  adherence    Sharpe           net  BUY/SELL/HOLD",
    );
    let row = |one: &Measures| {
        let [buy, sell, hold] = one.actions;
        output::line(format_args!(
            "{:<12} {:>6} {:>5} {:>9} {:>9} {:>9} {:>10} {:>10} {:>9} {:>13.2}  {buy}/{sell}/{hold}",
            one.name,
            one.trades,
            one.open,
            number(one.reward.map(|reward| reward.mean)),
            number(one.mae_r),
            number(one.mfe_captured),
            number(one.shortfall),
            number(one.adherence),
            number(one.sharpe),
            one.net
        ));
    };
    row(&evaluated.comparison.model);
    evaluated.comparison.others.iter().for_each(row);
    output::line(&evaluated.comparison.verdict);
    reliability::print(&evaluated.comparison.calibration);
}
