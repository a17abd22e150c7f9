//! Mutants of the specification: is every guard needed, and is none too strict?
//!
//! A guard is *weakened* by not asking it: the step that it would have refused is then refused by the
//! next one, or accepted.
//! That changes what is told of a step and never what a step leads to, so one search of a fixture
//! answers for every guard.
//! A guard is *strengthened* by refusing whatever it is asked about.
//! A law is *deleted* by not telling that it breaks.
//! Each of these must be noticed by a fixture, or there is a reason why none can: a verdict changes,
//! or, for a guard that is not asked, at least the shortest way to a broken law gets longer.

use crate::fixture::{Expected, Fixture, Named};
use crate::judge::Verdict;
use crate::parallel::each;
use crate::search::{Finding, Notes, Options, System, Taken, explore};
use crate::system::Judged;
use mlock_spec::{GuardKind, Law};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Fixtures whose space is larger than this, at their smallest size, are left out.
const SMALL: usize = 6_000;

/// What is done to a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is not asked.
    Weakened,
    /// It refuses whatever it is asked about.
    Strengthened,
}

/// Why no fixture notices a change.
#[rustfmt::skip]
pub const REASONS: [(Change, &[GuardKind], &str); 5] = [
    (Change::Weakened, &[
        GuardKind::UnknownActor, GuardKind::UnknownMm, GuardKind::OutsideMemory,
        GuardKind::CallInFlight, GuardKind::NoCall, GuardKind::NoPages, GuardKind::NotPresent,
        GuardKind::CutsFolio, GuardKind::AlreadyMlocked, GuardKind::NotMlocked,
        GuardKind::NothingOwed, GuardKind::AlreadyHeads, GuardKind::AlreadyWanted,
        GuardKind::NotWanted,
    ], "the judge reads a transition off two states, and none that it can read is ill-formed"),
    (Change::Weakened, &[GuardKind::MarksInSplit], "no split of these kernels marks or clears"),
    (Change::Weakened, COLLAPSE, "khugepaged joins fresh frames, one run of them, none marked"),
    (Change::Strengthened, COLLAPSE, "no sound kernel here collapses"),
    (Change::Strengthened, &[GuardKind::CallInFlight], "it is asked only where it refuses"),
];

const COLLAPSE: &[GuardKind] = &[
    GuardKind::NotOneRun,
    GuardKind::OneFolio,
    GuardKind::MixedMarks,
];

/// The reason why no fixture notices a change to a guard, if there is one.
pub fn why(change: Change, guard: GuardKind) -> Option<&'static str> {
    let fits =
        |(c, guards, _): &&(Change, &[GuardKind], &str)| *c == change && guards.contains(&guard);
    REASONS.iter().find(fits).map(|(.., because)| *because)
}

/// What the fixtures say of one guard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The fixtures in which a law holds that breaks if the guard is asked.
    pub weakened: BTreeSet<String>,
    /// The fixtures in which the shortest way to a broken law is longer than if the guard is asked.
    pub later: BTreeSet<String>,
    /// The sound kernels in which a law breaks if the guard refuses whatever it is asked about.
    pub strengthened: BTreeSet<String>,
}

/// What the fixtures say of every guard.
///
/// # Errors
///
/// If a fixture cannot be made concrete at its smallest size.
pub fn guards(fixtures: &[Named]) -> Result<BTreeMap<GuardKind, Asked>, String> {
    let sound: BTreeSet<&str> = super::sound(fixtures).iter().map(|k| k.name).collect();
    let small = |n: &&Named| {
        let f = &n.fixture;
        let size = f.pages.iter().min().and_then(|pages| f.counts.get(pages));
        size.is_some_and(|counts| counts.states <= SMALL)
    };
    let small: Vec<&Named> = fixtures.iter().filter(small).collect();
    let surveys = each(&small, |n| survey(&n.name, &n.fixture));
    let mut out: BTreeMap<GuardKind, Asked> = GuardKind::ALL.map(|k| (k, Asked::default())).into();
    for (Named { name, fixture, .. }, survey) in small.into_iter().zip(surveys) {
        let survey = survey?;
        let told = survey.told(None);
        for (kind, asked) in &mut out {
            let without = survey.told(Some(*kind));
            if without.len() < told.len() {
                asked.weakened.insert(name.clone());
            } else if without != told {
                asked.later.insert(name.clone());
            }
            let breaks = survey.passed.contains(kind) && !told.contains_key(&kind.law());
            if breaks && sound.contains(fixture.kernel.as_str()) {
                asked.strengthened.insert(fixture.kernel.clone());
            }
        }
    }
    Ok(out)
}

/// For every law, the fixtures that expect it to break: without the law they would not get that
/// verdict.
pub fn laws(fixtures: &[Named]) -> BTreeMap<Law, BTreeSet<String>> {
    let breaks = |law: Law, fixture: &Fixture| {
        let expected = fixture.laws.get(&law);
        matches!(
            expected,
            Some(Expected::Violated(_) | Expected::ByDesign(_))
        )
    };
    let notice = |law| {
        let those = fixtures.iter().filter(move |n| breaks(law, &n.fixture));
        those.map(|n| n.name.clone()).collect()
    };
    Law::ALL.map(|law| (law, notice(law))).into()
}

/// What a whole search says of the guards.
struct Survey {
    /// The guards that were asked about accepted steps.
    passed: BTreeSet<GuardKind>,
    /// How deep the first refusal is of each law, with all guards and without each.
    first: BTreeMap<Finding, usize>,
}

impl Survey {
    /// The laws that are told to break if one guard is not asked, and the lengths of the shortest ways.
    fn told(&self, without: Option<GuardKind>) -> BTreeMap<Law, usize> {
        let depth = |law| Some((law, *self.first.get(&finding(law, without))?));
        Law::ALL.into_iter().filter_map(depth).collect()
    }
}

/// A refusal for the sake of a law, told although one guard is not asked.
fn finding(law: Law, without: Option<GuardKind>) -> Finding {
    let guard = without.map_or(0, |kind| kind as u16 + 1);
    Finding(law as u16 * 256 + guard)
}

/// The guards that were asked about accepted steps.
#[derive(Debug, Default)]
struct Passed(BTreeSet<GuardKind>);

impl Notes for Passed {
    fn merge(&mut self, other: Passed) {
        self.0.extend(other.0);
    }
}

fn survey(name: &str, fixture: &Fixture) -> Result<Survey, String> {
    let pages = fixture.pages.iter().copied().min().unwrap_or(2);
    let concrete = fixture
        .concrete(pages)
        .map_err(|(_, wrong)| format!("{name}: {wrong}"))?;
    let surveyed = Surveyed(concrete.judged()?);
    let run = explore(&surveyed, Options::default(), &mut |_| {
        ControlFlow::Continue(())
    });
    Ok(Survey {
        passed: run.notes.0,
        first: run.first,
    })
}

/// A judged kernel, of which only the guards are of interest.
struct Surveyed(Judged);

impl System for Surveyed {
    type Notes = Passed;

    fn initial(&self) -> Vec<u64> {
        self.0.initial()
    }

    fn actors(&self) -> usize {
        self.0.actors()
    }

    fn step(
        &self,
        state: &[u64],
        actor: usize,
        next: &mut Vec<u64>,
        findings: &mut Vec<Finding>,
        notes: &mut Passed,
    ) -> Taken {
        let seen = self.0.see(state, actor, next);
        let contract = self.0.contract();
        let before = || self.0.abstract_state(state);
        match seen.verdict {
            Some(Verdict::Matched(transition)) => {
                notes.0.extend(before().asked(&transition, contract));
            }
            Some(Verdict::Refused(refusal)) => {
                let refused = before().refusals(&refusal.transition, contract);
                let kinds: Vec<GuardKind> = refused.iter().map(|guard| guard.kind()).collect();
                for without in GuardKind::ALL.map(Some).into_iter().chain([None]) {
                    let first = kinds.iter().find(|kind| Some(**kind) != without);
                    findings.extend(first.map(|kind| finding(kind.law(), without)));
                }
            }
            _ => {}
        }
        seen.taken
    }

    fn end(&self, _: &[u64], _: &mut Passed) {}

    fn label(&self, state: &[u64], actor: usize) -> u32 {
        self.0.label(state, actor)
    }
}
