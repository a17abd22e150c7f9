//! Hunts: a known bug is looked for in random scenarios, and what shows it is shrunk.

use crate::look::{look, system};
use crate::scenario::{Vocabulary, scenarios, size, small};
use crate::shrink::shrunk;
use crate::soak;
use mlock_impl::kernel::Kernel;
use mlock_refinement::fixture::{Call, Expected, Fixture};
use mlock_refinement::known_bugs::Row;
use mlock_spec::Law;
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;
use std::mem::{Discriminant, discriminant};
use std::time::{Duration, Instant};

/// A bug to be found unaided.
pub(crate) struct Hunt {
    /// What it is called: a kernel, or a row of the table of known bugs.
    pub(crate) name: String,
    pub(crate) kernel: String,
    pub(crate) law: Law,
    /// A kernel that does not have it: there the same scenario keeps the law.
    cured: Option<String>,
}

impl Hunt {
    /// Whether a scenario that breaks the law in its own kernel keeps it where the bug is cured.
    fn is_told_apart(&self, fixture: &Fixture) -> bool {
        self.cured.as_ref().is_none_or(|cured| {
            let mut there = fixture.clone();
            there.kernel.clone_from(cured);
            let possible = there.concrete(there.pages[0]).is_ok();
            possible && !look(&system(&there)).broken.contains(&self.law)
        })
    }

    /// The first scenario that shows it, among so many.
    pub(crate) fn first(&self, sweep: &mut Sweep, most: usize) -> Option<Found> {
        let start = Instant::now();
        for case in 0..most {
            if soak().is_some_and(|time| start.elapsed() > time.min(HUNTING)) {
                return None;
            }
            let (fixture, broken) = sweep.get(case);
            if broken.contains(&self.law) && self.is_told_apart(fixture) {
                let shows = |f: &Fixture| {
                    look(&system(f)).broken.contains(&self.law) && self.is_told_apart(f)
                };
                let shrunk = shrunk(fixture, shows);
                let case = case + 1;
                return Some(Found { case, shrunk });
            }
        }
        None
    }
}

/// Scenarios for one kernel, always the same ones, with the laws that they break.
pub(crate) struct Sweep {
    strategy: BoxedStrategy<Fixture>,
    runner: TestRunner,
    seen: Vec<(Fixture, BTreeSet<Law>)>,
}

impl Sweep {
    pub(crate) fn of(kernel: &str, fixtures: &[Fixture]) -> Sweep {
        Sweep {
            strategy: scenarios(&Vocabulary::of(kernel, fixtures), small()).boxed(),
            runner: TestRunner::deterministic(),
            seen: Vec::new(),
        }
    }

    fn get(&mut self, case: usize) -> (&Fixture, &BTreeSet<Law>) {
        while self.seen.len() <= case {
            let fixture = self.strategy.new_tree(&mut self.runner).unwrap().current();
            let broken = look(&system(&fixture)).broken;
            self.seen.push((fixture, broken));
        }
        let (fixture, broken) = &self.seen[case];
        (fixture, broken)
    }
}

/// A scenario that shows a bug.
pub(crate) struct Found {
    /// How many scenarios it took.
    case: usize,
    /// What it shrinks to.
    pub(crate) shrunk: Fixture,
}

/// The most time for one hunt in a long run, if the run is not shorter.
const HUNTING: Duration = Duration::from_secs(900);

/// Every broken kernel, by the laws that its fixtures call violated.
pub(crate) fn by_kernel(fixtures: &[Fixture]) -> Vec<Hunt> {
    let mut pairs: BTreeSet<(&str, Law)> = BTreeSet::new();
    for fixture in fixtures {
        let broken = fixture.laws.iter();
        let broken = broken.filter(|(_, e)| matches!(e, Expected::Violated(_)));
        pairs.extend(broken.map(|(law, _)| (fixture.kernel.as_str(), *law)));
    }
    let hunt = |(kernel, law): (&str, Law)| Hunt {
        name: kernel.to_owned(),
        kernel: kernel.to_owned(),
        law,
        cured: None,
    };
    pairs.into_iter().map(hunt).collect()
}

/// Every row of the table of known bugs that has fixtures, by the laws that break in the kernel of one of
/// them and hold in a kernel where the row is cured, if there is one: in the two that are closest.
pub(crate) fn by_row(fixtures: &[Fixture]) -> Vec<(Row, Vec<Hunt>)> {
    let place = |kernel: &str| Kernel::ALL.iter().position(|k| k.name == kernel).unwrap();
    let breaks = |f: &Fixture, law: &Law| {
        matches!(f.laws[law], Expected::Violated(_) | Expected::ByDesign(_))
    };
    let ways = |row: Row| {
        let cured = || fixtures.iter().filter(|f| f.cures.contains(&row));
        let shown = fixtures.iter().filter(|f| f.shows.contains(&row));
        let pairs = shown.flat_map(|shown| {
            let cured = cured()
                .map(Some)
                .chain(cured().next().is_none().then_some(None));
            cured.map(move |cured| (shown, cured))
        });
        let distance = |(shown, cured): &(&Fixture, Option<&Fixture>)| {
            cured.map_or(0, |cured| {
                place(&cured.kernel).abs_diff(place(&shown.kernel))
            })
        };
        let (shown, cured) = pairs.min_by_key(distance)?;
        let laws = shown
            .laws
            .keys()
            .filter(|law| breaks(shown, law) && cured.is_none_or(|cured| !breaks(cured, law)));
        let hunts = laws.map(|law| Hunt {
            name: row.to_string(),
            kernel: shown.kernel.clone(),
            law: *law,
            cured: cured.map(|f| f.kernel.clone()),
        });
        Some((row, hunts.collect()))
    };
    Row::all().filter_map(ways).collect()
}

/// How a hunt went.
pub(crate) fn how(hunt: &Hunt, found: Option<&Found>, time: Duration) -> String {
    let Hunt {
        name,
        kernel,
        law,
        cured,
    } = hunt;
    let kept = cured
        .as_ref()
        .map(|c| format!(", kept in {c}"))
        .unwrap_or_default();
    let how = found.map_or("not found".to_owned(), |found| {
        let (calls, cpus, mms, pages) = size(&found.shrunk, found.shrunk.pages[0]);
        format!(
            "scenario {}, shrunk to {calls} calls, {cpus} CPUs, {mms} mms, {pages} pages",
            found.case
        )
    });
    format!("{name}: {law} broken in {kernel}{kept}: {how}, {time:.1?}")
}

/// The size of the smallest of a kernel's fixtures that break a law with no other calls than a scenario
/// does: a law may break in several ways, and shrinking does not lead from one to the other.
pub(crate) fn within_reach(
    fixtures: &[Fixture],
    hunt: &Hunt,
    scenario: &Fixture,
) -> Option<(usize, usize, usize, u16)> {
    let breaks = |f: &&Fixture| {
        f.kernel == hunt.kernel && matches!(f.laws.get(&hunt.law), Some(Expected::Violated(_)))
    };
    let kinds = |f: &Fixture| -> Vec<Discriminant<Call>> {
        f.cpus.iter().flatten().map(discriminant).collect()
    };
    let have = kinds(scenario);
    let fits = |f: &&Fixture| {
        f.memory.mms.len() <= scenario.memory.mms.len()
            && f.memory.lru_add.is_empty()
            && kinds(f).iter().all(|kind| have.contains(kind))
    };
    let pages = |f: &Fixture| f.pages.iter().copied().min().unwrap_or(2);
    let known = fixtures.iter().filter(breaks).filter(fits);
    known.map(|f| size(f, pages(f))).min()
}
