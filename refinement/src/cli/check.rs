//! `check`: every law's verdict, as a table; and how a run differs from what is expected.

use super::Ended;
use super::options::{Format, Selection};
use super::runs::{Job, Searched, ended, jobs, runs, search};
use super::select::selected;
use mlock_refinement::check::{Run, word};
use mlock_refinement::reasons::why;
use mlock_refinement::search::Coverage;
use mlock_refinement::vacuity;
use mlock_refinement::verdicts::verdicts;
use mlock_spec::Law;
use serde_json::{Value, json};

/// `check`.
pub fn check(what: &Selection) -> Result<(), Ended> {
    let named = selected(what)?;
    let jobs = jobs(what, &named)?;
    let results = search(&what.engine, &jobs);
    let runs = runs(&jobs, &results);
    let never_seen = never_seen(what, &runs);
    let vacuous = never_seen.iter().any(|(_, because)| because.is_none());
    let ended = |results: &[Searched]| match ended(results) {
        Ok(()) if vacuous => Err(Ended::NotAsExpected),
        end => end,
    };
    if what.format == Format::Json {
        let rows: Vec<Value> = jobs
            .iter()
            .zip(&results)
            .map(|(j, r)| json_row(j, r))
            .collect();
        let never_seen: Vec<Value> = never_seen
            .iter()
            .map(|(id, because)| json!({"id": id, "reason": because}))
            .collect();
        anstream::println!(
            "{}",
            json!({"format": 1, "results": rows, "never_seen": never_seen})
        );
        return ended(&results);
    }
    anstream::print!("{}", verdicts(&runs));
    let states: usize = results.iter().map(|r| r.report.counts.states).sum();
    let coverage = |c| results.iter().filter(|r| r.report.coverage == c).count();
    anstream::println!(
        "\n{} runs: {} exhaustive, {} bounded; {states} states.",
        jobs.len(),
        coverage(Coverage::Exhaustive),
        coverage(Coverage::Bounded)
    );
    let (excused, gaps): (Vec<_>, Vec<_>) = never_seen
        .iter()
        .partition(|(_, because)| because.is_some());
    if !excused.is_empty() {
        anstream::println!(
            "{} labels and guards are never seen, each for a reason that is known.",
            excused.len()
        );
    }
    for (id, _) in gaps {
        anstream::println!("never seen, and nobody knows why: {id}");
    }
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

/// What no run has seen, each with the reason if there is one; only all fixtures together can tell.
fn never_seen(what: &Selection, runs: &[Run<'_>]) -> Vec<(String, Option<&'static str>)> {
    let engine = &what.engine;
    let cut = engine.max_states.is_some() || engine.max_depth.is_some();
    let some = !what.fixtures.is_empty() || what.kernel.is_some() || what.pages.is_some();
    if some || cut || engine.preemptions.is_some() {
        return Vec::new();
    }
    let all = vacuity::never_seen(runs).into_iter();
    all.map(|id| {
        let because = why(&vacuity::REASONS, &id);
        (id, because)
    })
    .collect()
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
