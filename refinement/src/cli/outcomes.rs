//! `outcomes`: every final state that an interleaving can reach.

use super::Ended;
use super::options::{Format, Selection};
use super::runs::{cut_short, jobs, search};
use super::select::selected;
use mlock_refinement::table::table;
use serde_json::json;

/// `outcomes`.
pub fn outcomes(what: &Selection) -> Result<(), Ended> {
    let named = selected(what)?;
    let jobs = jobs(what, &named)?;
    let results = search(&what.engine, &jobs);
    for (job, result) in jobs.iter().zip(&results) {
        let report = &result.report;
        if what.format == Format::Json {
            let doc =
                json!({"format": 1, "coverage": report.coverage, "outcomes": report.outcomes});
            anstream::println!("{doc}");
            continue;
        }
        anstream::println!(
            "{} under {} at {} pages: {} final states",
            job.named.name,
            job.kernel,
            job.pages,
            report.outcomes.len()
        );
        let rows: Vec<Vec<String>> = report
            .outcomes
            .iter()
            .map(|o| {
                vec![
                    o.nr_mlock.to_string(),
                    o.mlocked.to_string(),
                    o.wanted.to_string(),
                ]
            })
            .collect();
        anstream::println!("{}", table(&["nr_mlock", "mlocked", "wanted"], &rows));
    }
    cut_short(&results)
}
