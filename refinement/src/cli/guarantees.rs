//! `guarantees`: kernel × law, out of the runs of all fixtures.

use super::Ended;
use super::options::{self, Format};
use super::runs::{jobs, runs, search};
use super::select::selected;
use mlock_refinement::guarantees::{matrix, of_kernels, stories};
use mlock_refinement::mutants::PROBES;
use serde_json::json;

/// `guarantees`.
pub fn print(asked: &options::Guarantees) -> Result<(), Ended> {
    let what = &asked.selection;
    let mut named = selected(what)?;
    named.retain(|n| !n.name.starts_with(PROBES));
    let jobs = jobs(what, &named)?;
    let results = search(&what.engine, &jobs);
    let all = of_kernels(&runs(&jobs, &results));
    if what.format == Format::Json {
        let rows: Vec<_> = all
            .iter()
            .map(|(name, g)| json!({"kernel": name, "laws": g.laws, "transient": g.transient}))
            .collect();
        anstream::println!("{}", json!({"format": 1, "guarantees": rows}));
        return Ok(());
    }
    anstream::print!("{}", matrix(&all));
    if !asked.brief {
        anstream::print!("{}", stories(&all));
    }
    Ok(())
}
