//! A generated scenario, searched while it fits and sampled beyond.

use mlock_refinement::check::{LawReport, Report, check, laws};
use mlock_refinement::fixture::Fixture;
use mlock_refinement::judge::Verdict;
use mlock_refinement::search::{
    Coverage, Options, Random, Reduction, Sampling, Scheduler, System, Taken, sample,
};
use mlock_refinement::system::{Judged, Outcome, Told};
use mlock_spec::Law;
use std::collections::{BTreeMap, BTreeSet};

/// The most states to search, step by step.
const MOST_STATES: usize = 12_000;

/// The most states to search with all reductions: a step of these can be thousands.
const MOST_REDUCED: usize = 2_000;

/// How much of a scenario was seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Extent {
    /// Some schedules.
    Sampled,
    /// All there is, with all reductions.
    Reduced,
    /// All there is, step by step.
    StepByStep,
}

impl Extent {
    /// In a word or two.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Extent::Sampled => "sampled",
            Extent::Reduced => "searched with reductions",
            Extent::StepByStep => "searched step by step",
        }
    }
}

/// What was seen.
pub(crate) struct Looked {
    /// How much that is.
    pub(crate) extent: Extent,
    /// The laws that break.
    pub(crate) broken: BTreeSet<Law>,
    /// The final states.
    pub(crate) outcomes: BTreeSet<Outcome>,
    /// Whether the model reached a limit.
    pub(crate) limit: bool,
    /// How many states were searched.
    pub(crate) states: usize,
}

/// A scenario at its size, ready to run.
pub(crate) fn system(fixture: &Fixture) -> Judged {
    let concrete = fixture.concrete(fixture.pages[0]);
    concrete
        .unwrap_or_else(|(_, wrong)| panic!("{wrong}: {fixture:?}"))
        .judged()
        .unwrap()
}

/// Searches a scenario: step by step, with reductions if that is too much, by samples if that is.
pub(crate) fn look(system: &Judged) -> Looked {
    let report = check(system, Options::up_to(MOST_STATES));
    if report.coverage == Coverage::Exhaustive {
        return seen(report, Extent::StepByStep);
    }
    let reduced = Options {
        reduction: Reduction::ALL,
        ..Options::up_to(MOST_REDUCED)
    };
    let again = check(system, reduced);
    if again.coverage == Coverage::Exhaustive {
        return seen(again, Extent::Reduced);
    }
    let mut looked = seen(report, Extent::Sampled);
    for scheduler in [Scheduler::Uniform, Scheduler::Pct { depth: 3 }] {
        let sampled = sampled(system, scheduler, schedules(system));
        looked.broken.extend(sampled.broken);
        looked.outcomes.extend(sampled.outcomes);
        looked.limit |= sampled.limit;
    }
    looked
}

/// How many schedules to try: the longer they are, the fewer.
fn schedules(system: &Judged) -> usize {
    (320 / pages(system)).clamp(4, 40)
}

fn seen(report: Report, extent: Extent) -> Looked {
    Looked {
        extent,
        broken: broken(&report.laws),
        outcomes: report.outcomes,
        limit: report.limit.is_some(),
        states: report.counts.states,
    }
}

/// A way to search in which something else is seen than in a search step by step.
pub(crate) fn differs_in_another_way(system: &Judged, looked: &Looked) -> Option<&'static str> {
    let ways = [
        ("two threads", Reduction::NONE, 2),
        ("all reductions", Reduction::ALL, 1),
    ];
    let differs = |(_, reduction, threads): &(_, Reduction, usize)| {
        let options = Options {
            reduction: *reduction,
            threads: *threads,
            ..Options::default()
        };
        let report = check(system, options);
        let fewer = *reduction != Reduction::NONE;
        (broken(&report.laws), &report.outcomes) != (looked.broken.clone(), &looked.outcomes)
            || !fewer && report.counts.states != looked.states
    };
    ways.into_iter().find(differs).map(|(way, ..)| way)
}

fn broken(laws: &BTreeMap<Law, LawReport>) -> BTreeSet<Law> {
    let broken = laws.iter().filter(|(_, law)| law.broken.is_some());
    broken.map(|(law, _)| *law).collect()
}

/// Samples a scenario.
pub(crate) fn sampled(system: &Judged, scheduler: Scheduler, schedules: usize) -> Looked {
    let sampling = Sampling {
        scheduler,
        seed: 1,
        schedules,
        most_steps: most_steps(system),
    };
    let sample = sample(system, sampling, &mut |_| false);
    let first = sample
        .first
        .iter()
        .map(|(f, met)| (*f, met.schedule.len()))
        .collect();
    let laws = laws(&first, &sample.notes);
    Looked {
        extent: Extent::Sampled,
        broken: broken(&laws),
        outcomes: sample.notes.outcomes,
        limit: first.contains_key(&Told::Limit.finding()),
        states: sample.steps,
    }
}

/// One run, read twice: by the judge, step by step, and by the bottom line, whenever no call is in
/// flight. Tells what contradicts the other. The bottom line of a large scenario takes long to read: in
/// its runs it is read now and then, and at the end.
pub(crate) fn contradiction(system: &Judged, seed: u64) -> Option<String> {
    let mut random = Random::new(seed, 0);
    let mut order: Vec<usize> = (0..system.actors()).collect();
    let (mut state, mut next) = (system.initial(), Vec::new());
    let mut refused = false;
    let seldom = (pages(system) / 8).max(1);
    for step in 0..most_steps(system) {
        random.shuffle(&mut order);
        let mut moved = false;
        for &cpu in &order {
            let seen = system.see(&state, cpu, &mut next);
            if seen.taken == Taken::Crashed {
                return None;
            }
            if seen.taken == Taken::Moved {
                let of_account = |r: &mlock_spec::Refusal| r.law() == Law::AccountExactly;
                refused |= matches!(seen.verdict, Some(Verdict::Refused(r)) if of_account(&r));
                moved = true;
                break;
            }
        }
        if moved {
            std::mem::swap(&mut state, &mut next);
        }
        if moved && step % seldom != 0 {
            continue;
        }
        let books = system.abstract_state(&state);
        if books.balance() != 0 {
            return Some(format!(
                "the books are out of balance by {}",
                books.balance()
            ));
        }
        let wrong = books.nr_mlock - books.mlocked.len() as i64;
        if books.is_quiescent() && wrong != 0 && !refused {
            return Some(format!(
                "nr_mlock is wrong by {wrong}, and no step was refused"
            ));
        }
        if !moved {
            return None;
        }
    }
    None
}

fn pages(system: &Judged) -> usize {
    usize::from(system.machine().world().thp_pages)
}

/// The most steps of one run: a call takes some for each page.
fn most_steps(system: &Judged) -> usize {
    20_000.max(400 * pages(system))
}
