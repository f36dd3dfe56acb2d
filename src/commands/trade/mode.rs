//! How a session trades, and the settings that follow from it.
//!
//! - Without a flag the setting `paper_trading` decides, which ships yes; of two opposing flags the last one wins.
//! - On paper and at a broker the profile is realistic unless somebody says otherwise.
//! - At a broker the day's loss has a limit that nobody can switch off, and there is a time by which every position is
//!   left.

use super::before::Before;
use crate::cli::{Cli, Trade};
use daybook_config::{Origin, Profile, Settings};
use daybook_replay::live::{LIVE_COSTS, live_settings};
use daybook_replay::winner::NO_CHARGES;
use std::error::Error;
use std::fmt;

/// How a session trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Our own exchange: nothing is sent.
    Paper,
    /// Orders go to the broker.
    Live,
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Paper => "on paper",
            Self::Live => "at the broker",
        })
    }
}

/// Hours that are kept at a broker where nobody sets others: shares with derivatives are squared off at 15:12.
const AT_A_BROKER: &[(&str, &str)] =
    &[("risk.safe_trading_start", "09:20"), ("risk.safe_trading_end", "15:00"), ("risk.hard_trading_end", "15:10")];

/// Mode and settings of a command line, for a session that goes on from another or does not.
pub fn settings_of(cli: &Cli, arguments: &Trade, before: Option<&Before>) -> Result<(Mode, Settings), Box<dyn Error>> {
    let mut overrides = named(arguments, before);
    let resolved = super::super::settings(cli, overrides.clone())?;
    let mode = match (arguments.paper, resolved.settings.paper_trading) {
        (true, _) | (false, true) => Mode::Paper,
        (false, false) => Mode::Live,
    };
    if resolved.origin("profile") == Some(&Origin::Default) {
        overrides.push(("profile".to_owned(), "realistic".to_owned()));
    }
    let realistic = super::super::settings(cli, overrides.clone())?.settings.profile == Profile::Realistic;
    // What is sent to a broker is intraday, whatever product a profile has in mind, and paper rehearses that.
    if (realistic || mode == Mode::Live)
        && matches!(resolved.origin("costs"), Some(Origin::Default | Origin::Profile(_)))
    {
        overrides.push(("costs".to_owned(), LIVE_COSTS.to_owned()));
    }
    if mode == Mode::Live {
        for (key, value) in AT_A_BROKER {
            if resolved.settings.get(key).is_none_or(|set| set == "none") {
                overrides.push(((*key).to_owned(), (*value).to_owned()));
            }
        }
        // Who fills, a stop on every position, and a day's loss that nobody can switch off.
        overrides.extend(live_settings(&super::super::settings(cli, overrides.clone())?.settings));
    }
    if let Some(end) = &arguments.end {
        let configured = super::super::settings(cli, overrides.clone())?.settings.risk_hard_trading_end;
        // The earlier of the two: a flag never lengthens a day.
        if configured.is_none_or(|configured| *end < configured) {
            overrides.push(("risk.hard_trading_end".to_owned(), end.to_string()));
        }
    }
    Ok((mode, super::super::settings(cli, overrides)?.settings))
}

/// What the command line and the session before name.
fn named(arguments: &Trade, before: Option<&Before>) -> Vec<(String, String)> {
    let (_, mut overrides) = daybook_replay::split(&arguments.strategy, &arguments.set);
    overrides.extend(arguments.profile.iter().map(|profile| ("profile".to_owned(), profile.clone())));
    overrides.extend(before.into_iter().flat_map(Before::settings));
    overrides
}

/// The fee schedule of such a session at a broker, whatever it is on paper.
pub fn charges_at_a_broker(cli: &Cli, arguments: &Trade, before: Option<&Before>) -> Result<String, Box<dyn Error>> {
    let resolved = super::super::settings(cli, named(arguments, before))?;
    let is_named = !matches!(resolved.origin("costs"), Some(Origin::Default | Origin::Profile(_)));
    let costs = resolved.settings.costs.as_str();
    Ok(if is_named && costs != NO_CHARGES { costs } else { LIVE_COSTS }.to_owned())
}
