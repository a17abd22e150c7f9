//! `check`: every law's verdict, as a table; and how a run differs from what is expected.

use super::Ended;
use super::options::{Format, Selection};
use super::runs::{Job, Searched, ended, jobs, search};
use super::select::selected;
use super::table::{LAWS, table};
use mlock_refinement::check::word;
use mlock_refinement::fixture::{Expected, Verdict};
use mlock_refinement::search::Coverage;
use mlock_spec::Law;
use serde_json::{Value, json};

fn mark(verdict: Verdict, expected: Option<&Expected>) -> &'static str {
    match (verdict, expected) {
        (Verdict::Holds, _) => "holds",
        (Verdict::Violated, Some(Expected::ByDesign(_))) => "design",
        (Verdict::Violated, _) => "BROKEN",
        (Verdict::NotApplicable, _) => "–",
    }
}

/// `check`.
pub fn check(what: &Selection) -> Result<(), Ended> {
    let named = selected(what)?;
    let jobs = jobs(what, &named)?;
    let results = search(&what.engine, &jobs);
    if what.format == Format::Json {
        let rows: Vec<Value> = jobs
            .iter()
            .zip(&results)
            .map(|(j, r)| json_row(j, r))
            .collect();
        anstream::println!("{}", json!({"format": 1, "results": rows}));
        return ended(&results);
    }
    anstream::print!("{}", verdict_table(&jobs, &results));
    let states: usize = results.iter().map(|r| r.report.counts.states).sum();
    let coverage = |c| results.iter().filter(|r| r.report.coverage == c).count();
    anstream::println!(
        "\n{} runs: {} exhaustive, {} bounded; {states} states.",
        jobs.len(),
        coverage(Coverage::Exhaustive),
        coverage(Coverage::Bounded)
    );
    let end = ended(&results);
    if end.is_ok() {
        anstream::println!("All as expected.");
        return end;
    }
    for (job, result) in jobs
        .iter()
        .zip(&results)
        .filter(|(_, r)| !r.differences.is_empty())
    {
        anstream::println!(
            "\nnot as expected: {} at {} pages",
            job.named.name,
            job.pages
        );
        for difference in &result.differences {
            anstream::println!("  {difference}");
        }
        anstream::println!(
            "  mlockcheck check {} --pages {}",
            job.named.name,
            job.pages
        );
    }
    end
}

/// One row per fixture; the sizes agree on the verdicts, or are told apart.
fn verdict_table(jobs: &[Job<'_>], results: &[Searched]) -> String {
    let heading: Vec<&str> = ["fixture", "pages"]
        .into_iter()
        .chain(LAWS)
        .chain(["states", "as expected"])
        .collect();
    let mut rows: Vec<(Vec<String>, Vec<u16>, usize, bool)> = Vec::new();
    let mut last = "";
    for (job, result) in jobs.iter().zip(results) {
        let marks: Vec<String> = Law::ALL
            .iter()
            .map(|law| {
                let expected = job.named.fixture.laws.get(law);
                mark(result.report.laws[law].verdict, expected).to_owned()
            })
            .collect();
        let good = result.differences.is_empty();
        let states = result.report.counts.states;
        match rows.last_mut() {
            Some(row) if last == job.named.name && row.0[1..] == marks && row.3 == good => {
                row.1.push(job.pages);
                row.2 += states;
            }
            _ => {
                let cells = [job.named.name.clone()].into_iter().chain(marks).collect();
                rows.push((cells, vec![job.pages], states, good));
            }
        }
        last = &job.named.name;
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(mut cells, pages, states, good)| {
            let pages: Vec<String> = pages.iter().map(u16::to_string).collect();
            cells.insert(1, pages.join(" "));
            cells.push(states.to_string());
            cells.push(if good { "yes" } else { "NO" }.to_owned());
            cells
        })
        .collect();
    table(&heading, &rows)
}

fn json_row(job: &Job<'_>, result: &Searched) -> Value {
    let laws: serde_json::Map<String, Value> = Law::ALL
        .iter()
        .map(|law| {
            (
                law.name().to_owned(),
                json!(word(result.report.laws[law].verdict)),
            )
        })
        .collect();
    let counts = result.report.counts;
    json!({
        "fixture": job.named.name, "kernel": job.kernel, "pages": job.pages, "cpus": job.cpus,
        "coverage": result.report.coverage, "states": counts.states,
        "transitions": counts.transitions, "depth": counts.depth, "laws": laws,
        "steps": result.report.steps, "as_expected": result.differences.is_empty(),
    })
}
