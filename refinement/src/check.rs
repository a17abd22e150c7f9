//! A scenario at one size: searched, and compared with what its fixture expects.

use crate::fixture::{Counts, Fixture, Verdict};
use crate::search::{
    Coverage, Finding, Options, Preemptions, Progress, Reduction, System, explore,
};
use crate::system::{Judged, Order, Outcome, Tally, Told};
use mlock_impl::machine::{Class, Program};
use mlock_spec::Law;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// What a search says.
#[derive(Debug)]
pub struct Report {
    /// How much it covers.
    pub coverage: Coverage,
    /// The size of the space.
    pub counts: Counts,
    /// Memory taken by the states, in bytes.
    pub bytes: usize,
    /// Steps taken, fused ones each.
    pub steps: usize,
    /// Whether interleavings were left out that cannot differ. Then lengths are not the shortest, and
    /// what a reader of the statistic can see at any time is not known.
    pub reduced: bool,
    /// Each law's verdict.
    pub laws: BTreeMap<Law, LawReport>,
    /// Everything that was told of a step or a state, under the numbers of the search.
    pub found: BTreeSet<Finding>,
    /// The final states.
    pub outcomes: BTreeSet<Outcome>,
    /// Set if the model itself reached a limit; then nothing else here can be relied on.
    pub limit: Option<usize>,
    /// What was matched where, and how often each law had something to say.
    pub tally: Tally,
}

/// What a search says of one law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LawReport {
    /// The verdict.
    pub verdict: Verdict,
    /// The finding that breaks it and the length of the shortest way there, in steps.
    pub broken: Option<(Finding, usize)>,
}

/// A fixture at one size, and what the search said of it.
#[derive(Clone, Copy, Debug)]
pub struct Run<'r> {
    /// What the fixture is called.
    pub name: &'r str,
    /// The fixture.
    pub fixture: &'r Fixture,
    /// The kernel that it ran under.
    pub kernel: &'r str,
    /// Base pages per huge page.
    pub pages: u16,
    /// What ran, a program for each CPU.
    pub programs: &'r [Program],
    /// What the search said.
    pub report: &'r Report,
}

impl Run<'_> {
    /// Every way in which it differs from what the fixture expects, a sentence each.
    pub fn differences(&self) -> Vec<String> {
        differences(self.fixture, self.pages, self.report)
    }
}

/// Searches the space of a scenario.
pub fn check(system: &Judged, options: Options) -> Report {
    check_watched(system, options, &mut |_| ControlFlow::Continue(()))
}

/// As [`check`]; `watch` hears now and then how far it has come, and may stop it.
pub fn check_watched(
    system: &Judged,
    options: Options,
    watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Report {
    match options.limits.preemptions {
        None => report(system, options, watch),
        Some(most) => Report {
            coverage: Coverage::Bounded,
            ..report(&Preemptions::new(system, most), options, watch)
        },
    }
}

fn report<S: System<Notes = Tally>>(
    system: &S,
    options: Options,
    watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Report {
    let mut run = explore(system, options, watch);
    run.notes.forget();
    let laws = laws(&run.first, &run.notes);
    Report {
        coverage: run.coverage,
        counts: Counts {
            states: run.states,
            transitions: run.transitions,
            depth: run.depth,
        },
        bytes: run.bytes,
        reduced: options.reduction != Reduction::NONE,
        steps: run.steps,
        laws,
        found: run.first.keys().copied().collect(),
        outcomes: run.notes.outcomes.clone(),
        limit: run.first.get(&Told::Limit.finding()).copied(),
        tally: run.notes,
    }
}

/// What is to be said of each law, from what was found, and how deep.
pub fn laws(first: &BTreeMap<Finding, usize>, notes: &Tally) -> BTreeMap<Law, LawReport> {
    let laws = Law::ALL.into_iter();
    laws.map(|law| (law, law_report(law, first, notes)))
        .collect()
}

fn law_report(law: Law, first: &BTreeMap<Finding, usize>, notes: &Tally) -> LawReport {
    let told = |finding| first.get(&finding).map(|&depth| (finding, depth));
    let mut ways: Vec<(Finding, usize)> = told(Told::Broken(law).finding()).into_iter().collect();
    match law {
        Law::Progress => {
            ways.extend(told(Finding::DEADLOCK));
            ways.extend(told(Finding::LIVELOCK));
        }
        Law::LockOrder => {
            ways.extend(inversion(first));
            ways.extend(told(Told::WaitsForItself.finding()));
        }
        _ => {}
    }
    let broken = ways
        .into_iter()
        .min_by_key(|&(finding, depth)| (depth, finding));
    let exercised = notes.exercised(law);
    let verdict = match (broken, exercised) {
        (Some(_), _) => Verdict::Violated,
        (None, true) => Verdict::Holds,
        (None, false) => Verdict::NotApplicable,
    };
    LawReport { verdict, broken }
}

/// The step that closes the first cycle in the order of lock classes, if there is one.
fn inversion(first: &BTreeMap<Finding, usize>) -> Option<(Finding, usize)> {
    let mut nests: Vec<(usize, Told)> = Told::all()
        .into_iter()
        .filter_map(|told| first.get(&told.finding()).map(|&depth| (depth, told)))
        .collect();
    nests.sort();
    let mut order: BTreeSet<(Class, Class)> = BTreeSet::new();
    let mut alike: BTreeSet<(Class, Order)> = BTreeSet::new();
    for (depth, told) in nests {
        let closes = match told {
            Told::Nests(outer, inner) => {
                order.insert((outer, inner));
                leads(&order, inner, outer)
            }
            Told::NestsAlike(class, way) => {
                alike.insert((class, way));
                [Order::Ascending, Order::Descending]
                    .iter()
                    .all(|w| alike.contains(&(class, *w)))
            }
            Told::Broken(_) | Told::Limit | Told::WaitsForItself => false,
        };
        if closes {
            return Some((told.finding(), depth));
        }
    }
    None
}

/// Of a cycle in the order of lock classes that `closing` closes, the other nestings, from the inner
/// lock of that one on; empty if it closes none.
pub fn rest_of_cycle(found: &BTreeSet<Finding>, closing: Finding) -> Vec<Told> {
    let all = Told::all();
    let told = || all.iter().filter(|told| found.contains(&told.finding()));
    match all.iter().find(|told| told.finding() == closing) {
        Some(&Told::NestsAlike(class, way)) => {
            let other =
                |told: &&Told| matches!(told, Told::NestsAlike(c, w) if *c == class && *w != way);
            told().find(other).into_iter().copied().collect()
        }
        Some(&Told::Nests(outer, inner)) => {
            let mut ways: Vec<Vec<Told>> = vec![Vec::new()];
            let end = |way: &Vec<Told>| match way.last() {
                Some(&Told::Nests(_, last)) => last,
                _ => inner,
            };
            let mut reached = BTreeSet::from([inner]);
            while !ways.is_empty() {
                let mut longer = Vec::new();
                for way in ways {
                    let at = end(&way);
                    if at == outer && !way.is_empty() {
                        return way;
                    }
                    for next in told() {
                        if let Told::Nests(from, to) = *next
                            && from == at
                            && reached.insert(to)
                        {
                            longer.push(way.iter().copied().chain([*next]).collect());
                        }
                    }
                }
                ways = longer;
            }
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// Whether a way through `order` leads from one class to another.
fn leads(order: &BTreeSet<(Class, Class)>, from: Class, to: Class) -> bool {
    let mut reached = BTreeSet::from([from]);
    loop {
        let more: BTreeSet<Class> = order
            .iter()
            .filter(|(a, _)| reached.contains(a))
            .map(|(_, b)| *b)
            .collect();
        let before = reached.len();
        reached.extend(more);
        if reached.contains(&to) {
            return true;
        }
        if reached.len() == before {
            return false;
        }
    }
}

/// Every way in which a report differs from what the fixture expects, a sentence each.
pub fn differences(fixture: &Fixture, pages: u16, report: &Report) -> Vec<String> {
    let mut out = Vec::new();
    if report.limit.is_some() {
        out.push("the model reached a limit; mlockcheck explain shows which".to_owned());
    }
    for law in Law::ALL {
        let seen = report.laws[&law].verdict;
        match fixture.laws.get(&law) {
            Some(expected) if expected.verdict() == seen => {}
            Some(expected) => out.push(format!(
                "{law}: expected {}, found {}",
                word(expected.verdict()),
                word(seen)
            )),
            None => out.push(format!("{law}: no expectation, found {}", word(seen))),
        }
    }
    let expected = fixture.expected_outcomes(pages);
    for missing in expected.difference(&report.outcomes) {
        out.push(format!(
            "expected outcome never reached: {}",
            outcome(missing)
        ));
    }
    for extra in report.outcomes.difference(&expected) {
        out.push(format!("outcome not expected: {}", outcome(extra)));
    }
    match fixture.counts.get(&pages) {
        Some(counts) if *counts == report.counts => {}
        Some(counts) => out.push(format!(
            "counts: expected {counts:?}, found {:?}",
            report.counts
        )),
        None if fixture.sizes().any(|size| size == pages) => {
            out.push(format!("counts: none pinned, found {:?}", report.counts));
        }
        None => {}
    }
    out
}

/// A verdict in words.
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Violated => "violated",
        Verdict::NotApplicable => "not applicable",
    }
}

fn outcome(o: &Outcome) -> String {
    format!(
        "nr_mlock {}, mlocked {}, wanted {}",
        o.nr_mlock, o.mlocked, o.wanted
    )
}
