//! `sample`: random schedules, where a scenario is too large to search.

use super::Ended;
use super::options::{Format, Sample};
use super::select::{concrete, selected, sizes};
use mlock_refinement::check::laws;
use mlock_refinement::fixture::{Concrete, Named, Verdict};
use mlock_refinement::parallel::each;
use mlock_refinement::search::{self, Finding, Met, Sampling, Scheduler};
use mlock_refinement::system::{Outcome, Told};
use mlock_refinement::table::table;
use mlock_spec::Law;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// What was seen of one scenario at one size.
struct Seen {
    name: String,
    pages: u16,
    /// The run in which each law was first seen to break, and the steps up to there.
    broken: BTreeMap<Law, (usize, usize)>,
    runs: usize,
    steps: usize,
    cut_short: usize,
    outcomes: BTreeSet<Outcome>,
    /// Whether a law broke that is expected to hold, or the model reached a limit.
    unexpected: bool,
}

/// `sample`.
pub fn print(asked: &Sample) -> Result<(), Ended> {
    let mut jobs: Vec<(Named, u16, Concrete)> = Vec::new();
    for named in selected(&asked.selection)? {
        for pages in sizes(&asked.selection, &named.fixture) {
            let concrete = concrete(&asked.selection, &named, pages)?;
            jobs.push((named.clone(), pages, concrete));
        }
    }
    let seen = each(&jobs, |(named, pages, concrete)| {
        look(asked, named, *pages, concrete).map_err(Ended::Unreadable)
    });
    let seen = seen.into_iter().collect::<Result<Vec<Seen>, Ended>>()?;
    if asked.selection.format == Format::Json {
        let rows: Vec<_> = seen.iter().map(|s| row(asked, s)).collect();
        anstream::println!("{}", json!({"format": 1, "results": rows}));
    } else {
        anstream::print!("{}", text(asked, &seen));
    }
    if seen.iter().any(|s| s.unexpected) {
        return Err(Ended::NotAsExpected);
    }
    Ok(())
}

fn look(asked: &Sample, named: &Named, pages: u16, concrete: &Concrete) -> Result<Seen, String> {
    let system = concrete.judged()?;
    let sampling = Sampling {
        scheduler: scheduler(asked),
        seed: asked.seed,
        schedules: asked.schedules,
        most_steps: MOST_STEPS,
    };
    let sample = search::sample(&system, sampling, &mut |_| false);
    let steps = |met: &Met| met.schedule.len();
    let first = sample.first.iter().map(|(f, met)| (*f, steps(met)));
    let first: BTreeMap<Finding, usize> = first.collect();
    let laws = laws(&first, &sample.notes);
    let mut broken = BTreeMap::new();
    for (law, report) in &laws {
        if let Some((finding, _)) = report.broken
            && let Some(met) = sample.first.get(&finding)
        {
            broken.insert(*law, (met.run, steps(met)));
        }
    }
    let holds = |law: &Law| {
        let expected = named.fixture.laws.get(law);
        expected.is_none_or(|e| e.verdict() != Verdict::Violated)
    };
    // Another kernel than the fixture's has nothing to live up to.
    let own = concrete.kernel.name == named.fixture.kernel;
    let limit = first.contains_key(&Told::Limit.finding());
    Ok(Seen {
        name: named.name.clone(),
        pages,
        unexpected: limit || own && broken.keys().any(holds),
        broken,
        runs: sample.runs,
        steps: sample.steps,
        cut_short: sample.cut_short,
        outcomes: sample.notes.outcomes,
    })
}

/// Far more than any run of a fixture takes at 512 pages.
const MOST_STEPS: usize = 1_000_000;

fn scheduler(asked: &Sample) -> Scheduler {
    asked
        .pct
        .map_or(Scheduler::Uniform, |depth| Scheduler::Pct { depth })
}

fn text(asked: &Sample, seen: &[Seen]) -> String {
    let rows: Vec<Vec<String>> = seen
        .iter()
        .map(|s| {
            let broken = s.broken.iter();
            let broken = broken.map(|(law, (run, _))| format!("{law} in {run}"));
            let broken: Vec<String> = broken.collect();
            let broken = if broken.is_empty() {
                "none".to_owned()
            } else {
                broken.join(", ")
            };
            let cut = if s.cut_short > 0 {
                format!("{} ({} cut short)", s.runs, s.cut_short)
            } else {
                s.runs.to_string()
            };
            let (pages, outcomes) = (s.pages.to_string(), s.outcomes.len().to_string());
            vec![
                s.name.clone(),
                pages,
                cut,
                s.steps.to_string(),
                outcomes,
                broken,
            ]
        })
        .collect();
    let heading = [
        "fixture",
        "pages",
        "runs",
        "steps",
        "outcomes",
        "laws seen broken, in which run first",
    ];
    let scheduler = match asked.pct {
        Some(depth) => format!("PCT of depth {depth}"),
        None => "uniform".to_owned(),
    };
    format!(
        "{}\nsampled, not searched: {scheduler}, seed {}. What is not seen here may be there all the same.\n",
        table(&heading, &rows),
        asked.seed
    )
}

fn row(asked: &Sample, seen: &Seen) -> serde_json::Value {
    let broken = seen.broken.iter();
    let broken =
        broken.map(|(law, (run, steps))| (law.name(), json!({"run": run, "steps": steps})));
    json!({
        "fixture": seen.name, "pages": seen.pages, "coverage": "sampled", "seed": asked.seed,
        "pct": asked.pct, "runs": seen.runs, "steps": seen.steps, "cut_short": seen.cut_short,
        "outcomes": seen.outcomes, "broken": broken.collect::<BTreeMap<_, _>>(),
    })
}
