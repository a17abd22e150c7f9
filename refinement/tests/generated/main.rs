//! What holds of scenarios that nobody thought of.
//!
//! `SOAK_SECONDS` makes it go on for that long, kernel by kernel; see `make soak`.
//! `SOAK_KERNEL` keeps it to one kernel.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed, and says where to look"
)]
#![expect(
    clippy::disallowed_types,
    reason = "a long run ends some time, and no ordinary result depends on that"
)]

mod look;
mod scenario;
mod shrink;

use look::{contradiction, differs_in_another_way, look, sampled, system};
use mlock_impl::kernel::Kernel;
use mlock_refinement::check::check;
use mlock_refinement::counterexample::{draw, find};
use mlock_refinement::fixture::{Expected, Fixture, files, load, parse, print};
use mlock_refinement::search::{Options, Scheduler};
use mlock_spec::Law;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{
    Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner,
};
use scenario::{scenarios, size};
use shrink::shrunk;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// Scenarios for each kernel in an ordinary test run.
const CASES: u32 = 6;

/// The laws that a kernel has been seen to break, by design or not; it claims the others.
fn broken_by(fixtures: &[Fixture]) -> BTreeMap<String, BTreeSet<Law>> {
    let mut out: BTreeMap<String, BTreeSet<Law>> = BTreeMap::new();
    for fixture in fixtures {
        let breaks = |e: &Expected| matches!(e, Expected::Violated(_) | Expected::ByDesign(_));
        let broken = fixture
            .laws
            .iter()
            .filter(|(_, e)| breaks(e))
            .map(|(law, _)| *law);
        out.entry(fixture.kernel.clone())
            .or_default()
            .extend(broken);
    }
    out
}

fn fixtures() -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let paths = files(&folder).unwrap();
    paths.iter().map(|path| load(path).unwrap()).collect()
}

/// How long to go on, in a long run.
fn soak() -> Option<Duration> {
    let seconds = std::env::var("SOAK_SECONDS").ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// Whether a kernel is to be looked at: all are, unless `SOAK_KERNEL` names one.
fn is_asked(kernel: &str) -> bool {
    std::env::var("SOAK_KERNEL").map_or(true, |only| only == kernel)
}

/// Whether everything holds of a scenario that should.
fn keeps(fixture: &Fixture, broken_by: &BTreeSet<Law>) -> Result<(), String> {
    let text = print(fixture).map_err(|error| error.to_string())?;
    if parse(&text, "printed").map_err(|error| error.to_string())? != *fixture {
        return Err("what is printed reads as another fixture".to_owned());
    }
    let system = system(fixture);
    let looked = look(&system);
    if looked.limit {
        return Err("the model reached a limit".to_owned());
    }
    if let Some(law) = looked.broken.iter().find(|law| !broken_by.contains(law)) {
        return Err(format!("{law} is claimed, and breaks"));
    }
    let balanced = looked
        .outcomes
        .iter()
        .all(|o| o.nr_mlock == o.mlocked as i64);
    if !balanced && !looked.broken.contains(&Law::AccountExactly) {
        return Err("an end out of balance, and no step was refused".to_owned());
    }
    for seed in 0..3 {
        if let Some(contradiction) = contradiction(&system, seed) {
            return Err(contradiction);
        }
    }
    if looked.exhaustive {
        for scheduler in [Scheduler::Uniform, Scheduler::Pct { depth: 3 }] {
            let sampled = sampled(&system, scheduler, 8);
            if !sampled.outcomes.is_subset(&looked.outcomes) {
                return Err("sampling reaches an end that the search does not".to_owned());
            }
            if !sampled.broken.is_subset(&looked.broken) {
                return Err("sampling breaks a law that the search does not".to_owned());
            }
        }
        if let Some(way) = differs_in_another_way(&system, &looked) {
            return Err(format!("{way}: the search sees something else"));
        }
        let mut renamed = fixture.clone();
        renamed.cpus.reverse();
        let other = look(&self::system(&renamed));
        if (&other.broken, &other.outcomes, other.states)
            != (&looked.broken, &looked.outcomes, looked.states)
        {
            return Err("it matters which CPU is called which".to_owned());
        }
    }
    Ok(())
}

/// Runs a property on so many scenarios of a kernel; a failure shrinks, is drawn and saved.
fn on_scenarios(
    kernel: &str,
    cases: u32,
    property: impl Fn(&Fixture) -> Result<(), String>,
) -> Result<(), String> {
    let config = Config {
        cases,
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        max_shrink_iters: 100,
        ..Config::default()
    };
    let test = |fixture| property(&fixture).map_err(TestCaseError::fail);
    // An ordinary run asks the same of the same scenarios every time; a long one looks for others.
    let mut runner = if soak().is_some() {
        TestRunner::new(config)
    } else {
        let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(config, random)
    };
    match runner.run(&scenarios(kernel), test) {
        Ok(()) => Ok(()),
        Err(TestError::Fail(_, fixture)) => {
            let fixture = shrunk(&fixture, |f| property(f).is_err());
            let why = property(&fixture).err().unwrap_or_default();
            Err(format!("{kernel}: {why}\n{}", told(&fixture)))
        }
        Err(TestError::Abort(why)) => Err(format!("{kernel}: {why}")),
    }
}

/// The scenario as a file, and drawn as the shortest way to what breaks in it.
fn told(fixture: &Fixture) -> String {
    let name = format!("generated-{}.ron", fixture.kernel);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, print(fixture).unwrap()).unwrap();
    let (pages, system) = (fixture.pages[0], system(fixture));
    let concrete = fixture.concrete(pages).unwrap();
    let report = check(&system, Options::default());
    let mut text = format!("again: mlockcheck explain {}\n", path.display());
    for (law, found) in &report.laws {
        if let Some(schedule) = find(&system, found) {
            text += &draw("generated", &concrete, &system, *law, &report, &schedule);
        }
    }
    text
}

#[test]
fn every_kernel_keeps_what_it_claims_and_every_reading_of_a_run_agrees() {
    let fixtures = fixtures();
    let broken_by = broken_by(&fixtures);
    let until = soak().map(|time| Instant::now() + time);
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut failures: Vec<String> = Vec::new();
    loop {
        for kernel in Kernel::ALL
            .into_iter()
            .filter(|k| knows_generated(k, &fixtures))
        {
            let known = broken_by.get(kernel.name);
            let Some(broken) = known.filter(|_| is_asked(kernel.name)) else {
                continue;
            };
            let kept = on_scenarios(kernel.name, CASES, |fixture| keeps(fixture, broken));
            failures.extend(kept.err());
            *counts.entry(kernel.name).or_default() += CASES;
        }
        if !failures.is_empty() || until.is_none_or(|until| Instant::now() >= until) {
            break;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    for (kernel, cases) in counts {
        eprintln!("{kernel}: {cases} scenarios keep what is claimed, and every reading agrees");
    }
}

/// Whether a kernel's fixtures are about what is generated, so that what they claim should hold there:
/// it is told the whole set of scenarios, three CPUs among them.
fn knows_generated(kernel: &Kernel, fixtures: &[Fixture]) -> bool {
    let own = |f: &&Fixture| f.kernel == kernel.name && f.cpus.len() > 2;
    fixtures.iter().any(|f| own(&f))
}

/// Kernels of one contract, all sound.
const ALIKE: [&str; 4] = [
    "fix-lru-lock",
    "fix-ptl",
    "fix-compound-lock",
    "fix-anon-vma",
];

#[test]
fn sound_kernels_agree_on_what_happens_one_after_the_other() {
    let agree = on_scenarios(ALIKE[0], 100, |fixture| {
        let mut alone = fixture.clone();
        // One CPU after the other; who exits is not used afterwards, nor before by others.
        alone.cpus = vec![alone.cpus.concat()];
        let outcomes = ALIKE.map(|kernel| {
            kernel.clone_into(&mut alone.kernel);
            look(&system(&alone)).outcomes
        });
        if outcomes.iter().all(|o| o.len() == 1 && *o == outcomes[0]) {
            return Ok(());
        }
        Err(format!("{outcomes:?}"))
    });
    assert_eq!(agree, Ok(()));
}

/// A bug in a kernel's own fixtures, and the most scenarios until the generator shows it unaided.
struct Hunt {
    kernel: &'static str,
    law: Law,
    most: usize,
}

const fn hunt(kernel: &'static str, law: Law, most: usize) -> Hunt {
    Hunt { kernel, law, most }
}

/// Those that are found within seconds; a long run looks for all that the fixtures show.
const HUNTS: [Hunt; 10] = [
    hunt("claim-no-flag-copy", Law::MlockTakesEffect, 10),
    hunt("fix-compound-lock-isolate-inside", Law::Progress, 30),
    hunt("fix-compound-lock-isolate-inside", Law::LockOrder, 30),
    hunt("v2-3of3", Law::MunlockTakesEffect, 40),
    hunt("v2-3of3", Law::AccountExactly, 50),
    hunt("v3.7", Law::NoBug, 30),
    hunt("v3.7", Law::AccountExactly, 50),
    hunt("v3.7", Law::SplitKeeps, 50),
    hunt("v3.9", Law::AccountExactly, 50),
    hunt("fix-lru-size-outside", Law::AccountExactly, 60),
];

/// The most time for one hunt in a long run.
const HUNTING: Duration = Duration::from_secs(300);

/// The number of the first scenario that breaks a law, and what it shrinks to.
fn first(kernel: &str, law: Law, most: usize) -> Option<(usize, Fixture)> {
    let mut runner = TestRunner::deterministic();
    let strategy = scenarios(kernel);
    let breaks = |fixture: &Fixture| look(&system(fixture)).broken.contains(&law);
    let start = Instant::now();
    for case in 1..=most {
        if soak().is_some_and(|_| start.elapsed() > HUNTING) {
            return None;
        }
        let tree = strategy.new_tree(&mut runner).unwrap();
        if !breaks(&tree.current()) {
            continue;
        }
        return Some((case, shrunk(&tree.current(), breaks)));
    }
    None
}

/// The smallest of a kernel's fixtures that breaks a law.
fn by_hand(fixtures: &[Fixture], kernel: &str, law: Law) -> Option<(usize, usize, usize, u16)> {
    let breaks = |f: &&Fixture| {
        f.kernel == kernel
            && f.cpus.iter().flatten().all(scenario::is_generated)
            && matches!(f.laws.get(&law), Some(Expected::Violated(_)))
    };
    let pages = |f: &Fixture| f.pages.iter().copied().min().unwrap_or(2);
    fixtures
        .iter()
        .filter(breaks)
        .map(|f| size(f, pages(f)))
        .min()
}

#[test]
fn every_known_bug_is_found_unaided_and_shrinks_to_what_is_written_by_hand() {
    let fixtures = fixtures();
    let every = soak().is_some();
    let all = broken_by(&fixtures);
    let hunts: Vec<(String, Law, usize)> = if every {
        let pairs = all
            .iter()
            .flat_map(|(k, laws)| laws.iter().map(move |law| (k.clone(), *law)));
        pairs
            .map(|(kernel, law)| (kernel, law, usize::MAX))
            .collect()
    } else {
        HUNTS
            .iter()
            .map(|h| (h.kernel.to_owned(), h.law, h.most))
            .collect()
    };
    for (kernel, law, most) in hunts.into_iter().filter(|(k, ..)| is_asked(k)) {
        let Some(known) = by_hand(&fixtures, &kernel, law) else {
            continue;
        };
        let start = Instant::now();
        let found = first(&kernel, law, most);
        let Some((case, fixture)) = found else {
            eprintln!("{kernel} {law}: not found in {:.0?}", start.elapsed());
            assert!(every, "{kernel} {law}: not in {most} scenarios");
            continue;
        };
        let least = size(&fixture, fixture.pages[0]);
        eprintln!(
            "{kernel} {law}: scenario {case} in {:.1?}, shrunk to {least:?}, by hand {known:?}",
            start.elapsed()
        );
        assert!(
            least <= known,
            "{kernel} {law}: {least:?} is larger than {known:?}\n{}",
            told(&fixture)
        );
    }
}
