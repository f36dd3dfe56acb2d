//! `explain`: why an order was decided, and what became of it.

use super::Verdict;
use crate::cli::{Cli, Explain, Format};
use crate::output::{self, line, measured};
use daybook_replay::{BarsSeen, Explanation, Recorded, SeenCandle, SeenEvent, Step, TradeOf, explain, recorded_inputs};
use daybook_vocabulary::{Candle, Event, OrderId, OrderIntent};
use std::process::ExitCode;

pub fn run(cli: &Cli, arguments: &Explain) -> Verdict {
    let recorded = Recorded::open(&super::journal_of(&arguments.run))?;
    let mut candidates = recorded_inputs(&arguments.run);
    candidates.extend(arguments.journal.iter().map(|path| super::journal_of(path)));
    let calendar_file = super::settings(cli, Vec::new())?.settings.calendar_file;
    let order = OrderId(arguments.order);
    let explanation = explain(&recorded, &candidates, calendar_file, order, arguments.candles as usize)?;
    if cli.format == Format::Json {
        output::json(&explanation)?;
    } else {
        print(&explanation);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(explained: &Explanation) {
    let intent = &explained.intent;
    line(format_args!("order {} in {} ({}): {}", explained.order, explained.symbol, explained.market, asked(intent)));
    line(format_args!("  decided    {}  seq {}", explained.time, explained.seq));
    line(format_args!("  because    {}", if intent.reason.is_empty() { "-" } else { intent.reason.as_str() }));
    line(format_args!("  reference  {}  verdict {}", intent.reference, intent.verdict));
    if let Some(refusal) = &explained.refusal {
        let is_hour = refusal.verdict.is_hour();
        let [allowed, met] = [refusal.limit, refusal.observed].map(|one| measured(one, is_hour));
        line(format_args!("  refused    allowed {allowed}, met {met}"));
    }
    line(format_args!("  outcome    {}, {} of {} filled", explained.state, explained.filled, intent.quantity));
    if let Some(by) = &explained.decision {
        let decision = &by.decision;
        let [buy, sell, hold] = decision.q;
        line(format_args!(
            "  decision   {} (seq {}): {} with confidence {}, ruled {}",
            decision.decision, by.seq, decision.action, decision.confidence, decision.ruling
        ));
        line(format_args!("      values BUY {buy}, SELL {sell}, HOLD {hold}"));
        line(format_args!("      model {}, features {}", decision.model, decision.features));
    }
    if let Some(seen) = &explained.candle {
        line("decided on the candle");
        candle(seen);
    }
    if let Some(seen) = &explained.event {
        line("after it was told");
        event(seen);
    }
    seen(&explained.seen);
    line("what became of it");
    if explained.steps.is_empty() {
        line("  nothing: it was refused by the gate and never sent");
    }
    explained.steps.iter().for_each(step);
    line("round trip");
    if explained.trades.is_empty() {
        line(if explained.filled.is_zero() { "  none: nothing filled" } else { "  still open at the end of the run" });
    }
    explained.trades.iter().for_each(trade);
    run_facts(explained);
}

fn asked(intent: &OrderIntent) -> String {
    let price = |name: &str, price: Option<_>| price.map(|price| format!(" {name} {price}")).unwrap_or_default();
    let (limit, stop) = (price("limit", intent.limit), price("stop", intent.stop));
    let trail = intent.trail.map(|trail| format!(" trail {trail}")).unwrap_or_default();
    let expires = intent.expires.map(|expires| format!(" until {expires}")).unwrap_or_default();
    let OrderIntent { side, quantity, order_type, time_in_force, .. } = intent;
    format!("{side} {quantity} {order_type}{limit}{stop}{trail} {time_in_force}{expires}")
}

fn candle(seen: &SeenCandle) {
    line(format_args!("  {}:{:<10} {}  known {}", seen.rank, seen.seq, prices(&seen.candle), seen.known));
}

fn prices(candle: &Candle) -> String {
    format!(
        "{}  open {} high {} low {} close {} volume {}",
        candle.open_time(),
        candle.open(),
        candle.high(),
        candle.low(),
        candle.close(),
        candle.volume()
    )
}

fn seen(seen: &BarsSeen) {
    let more = if seen.bars.len() < seen.needed as usize {
        format!("; a decision needs {}: --candles {} shows them", seen.needed, seen.needed)
    } else {
        String::new()
    };
    line(format_args!("the last {} {}s of {} the strategy had seen{more}", seen.bars.len(), seen.kind, seen.interval));
    seen.bars.iter().for_each(candle);
}

fn step(step: &Step) {
    match &step.event {
        Event::Fill(fill) => {
            line(format_args!(
                "  {}  seq {}  fill {} {} at {}, now {}, position {}",
                step.time, step.seq, fill.side, fill.quantity, fill.price, fill.state, fill.position
            ));
            line(format_args!(
                "      price before slippage {}, slippage {} bps ({}), at the exchange {}",
                fill.reference_price, fill.slippage_bps, fill.model, fill.exchange_time
            ));
            let items = fill.charges.items().into_iter().filter(|(_, amount)| !amount.is_zero());
            let items: Vec<_> = items.map(|(name, amount)| format!("{name} {amount}")).collect();
            let items = if items.is_empty() { "none".to_owned() } else { items.join(", ") };
            line(format_args!("      charges {}: {items}", fill.charges.total()));
        }
        Event::OrderUpdate(update) => {
            let reason = if update.reason.is_empty() { String::new() } else { format!(" ({})", update.reason) };
            line(format_args!("  {}  seq {}  {}{reason}, now {}", step.time, step.seq, update.event, update.state));
        }
        Event::OrderModified(modified) => {
            let price =
                |name: &str, price: Option<_>| price.map(|price| format!(" {name} {price}")).unwrap_or_default();
            let terms =
                format!("{}{}{}", modified.quantity, price("limit", modified.limit), price("stop", modified.stop));
            let (event, reason, state) = (modified.event, modified.reason, modified.state);
            line(format_args!("  {}  seq {}  {event} ({reason}) to {terms}, now {state}", step.time, step.seq));
        }
        Event::StopTightened(tightened) => {
            let (from, to, best) = (tightened.from, tightened.to, tightened.best);
            line(format_args!("  {}  seq {}  stop {from} to {to}, best price {best}", step.time, step.seq));
        }
        Event::RequestRefused(refused) => {
            let (request, verdict) = (refused.request, refused.verdict);
            line(format_args!("  {}  seq {}  {request} refused: {verdict}", step.time, step.seq));
        }
        Event::RiskVerdict(said) => {
            let verdict = said.verdict;
            let [allowed, met] = [said.limit, said.observed].map(|one| measured(one, verdict.is_hour()));
            line(format_args!(
                "  {}  seq {}  may not open more: {verdict}, allowed {allowed}, met {met}",
                step.time, step.seq
            ));
        }
        _ => {}
    }
    if let Some(seen) = &step.candle {
        line(format_args!("      candle {}:{}  {}", seen.rank, seen.seq, prices(&seen.candle)));
    }
    if let Some(seen) = &step.cause {
        event(seen);
    }
}

/// What a live market brought, in one line.
fn event(seen: &SeenEvent) {
    let told = match &seen.event {
        Event::TradePrint(print) => {
            format!("{} traded at {}, at the exchange {}", print.quantity(), print.price(), print.exchange_time())
        }
        Event::OperatorCommand(said) => format!("{} ({})", said.command, said.source),
        other => serde_json::to_string(other).unwrap_or_default(),
    };
    line(format_args!("      {} {}:{}  {told}  known {}", seen.kind, seen.rank, seen.seq, seen.known));
}

fn trade(of: &TradeOf) {
    let trade = &of.trade;
    let part = serde_json::to_value(of.part).unwrap_or_default();
    line(format_args!(
        "  trade {} ({}): {} {}, in at {} ({}, order {}), out at {} ({}, order {})",
        trade.trade,
        part.as_str().unwrap_or_default(),
        trade.side,
        trade.quantity,
        trade.entry_price,
        trade.entry_reason,
        trade.entry_order,
        trade.exit_price,
        trade.exit_reason,
        trade.exit_order
    ));
    line(format_args!(
        "      {} to {}, {} bars, gross {}, charges {}, net {}, seq {}",
        trade.entry_time, trade.exit_time, trade.bars, trade.gross, trade.fees, of.net, of.seq
    ));
    let Some(measures) = trade.measures else { return };
    let told = |name: &str, value: Option<String>| value.map(|value| format!(", {name} {value}")).unwrap_or_default();
    line(format_args!(
        "      highest {}, lowest {}{}{}{}{}{}",
        measures.high,
        measures.low,
        told("first stop", measures.stop.map(|stop| stop.to_string())),
        told("R", trade.r_multiple().map(|ratio| ratio.to_string())),
        told("MAE in R", trade.mae_r().map(|ratio| ratio.to_string())),
        told("% of MFE captured", trade.mfe_captured().map(|ratio| ratio.to_string())),
        told("shortfall %", trade.shortfall().map(|ratio| ratio.to_string())),
    ));
    let broken: Vec<_> = measures.rules.broken().collect();
    let broken = if broken.is_empty() { "none".to_owned() } else { broken.join(", ") };
    line(format_args!(
        "      charges in {}, out {}; slippage in {}, out {}; rules broken: {broken}",
        trade.fees - measures.exit_fees,
        measures.exit_fees,
        measures.entry_slippage,
        measures.exit_slippage
    ));
}

fn run_facts(explained: &Explanation) {
    let run = &explained.run;
    let pairs = |pairs: Vec<String>| if pairs.is_empty() { "-".to_owned() } else { pairs.join(" ") };
    line(format_args!("the run: {}", run.strategy));
    line(format_args!(
        "  parameters {}",
        pairs(run.parameters.iter().map(|(key, value)| format!("{key}={value}")).collect())
    ));
    let settings = run.settings.as_object().into_iter().flatten();
    let settings = settings.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    line(format_args!("  settings   {}", pairs(settings.filter(|pair| !pair.ends_with('=')).collect())));
    line(format_args!("  binary     {}", run.binary));
    line(format_args!("  config     {}", run.config));
    line(format_args!("  calendar   {}", run.calendar));
    for input in &run.inputs {
        line(format_args!(
            "  journal    {} id {} to seq {} content {}",
            input.rank, input.id, input.last_seq, input.content
        ));
    }
}
