//! `config show`: every effective value and where it came from; `config set`: a value into the settings file.

use super::Verdict;
use crate::cli::{Cli, Format, SetValue, Show};
use crate::output;
use std::path::PathBuf;
use std::process::ExitCode;

pub fn show(cli: &Cli, arguments: &Show) -> Verdict {
    let resolved = super::settings(cli, arguments.set.clone())?;
    let rows = resolved.rows();
    if cli.format == Format::Json {
        let object: serde_json::Map<_, _> = rows
            .iter()
            .map(|row| {
                let value = serde_json::json!({ "value": row.value, "origin": row.origin.to_string(), "doc": row.doc });
                (row.key.to_owned(), value)
            })
            .collect();
        output::json(&object)?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let keys = width(&mut rows.iter().map(|row| row.key.len()));
    let values = width(&mut rows.iter().map(|row| row.value.len()));
    for row in &rows {
        output::line(format_args!("{:keys$}  {:values$}  ({})", row.key, row.value, row.origin));
        output::line(format_args!("{:keys$}  {}", "", row.doc));
    }
    output::line(format_args!("\nhash of what changes results: {}", resolved.hash()));
    Ok(ExitCode::SUCCESS)
}

pub fn set(cli: &Cli, arguments: &SetValue) -> Verdict {
    let path = cli.config.clone().unwrap_or_else(|| PathBuf::from("daybook.toml"));
    daybook_config::set_in_file(&path, &arguments.key, &arguments.value)?;
    output::line(format_args!("{} = {} in {}", arguments.key, arguments.value, path.display()));
    Ok(ExitCode::SUCCESS)
}
