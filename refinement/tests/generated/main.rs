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

mod hunt;
mod look;
mod scenario;
mod shrink;

use hunt::{Sweep, by_kernel, by_row, how, within_reach};
use look::{Extent, contradiction, differs_in_another_way, look, sampled, system};
use mlock_impl::kernel::Kernel;
use mlock_refinement::check::check;
use mlock_refinement::counterexample::{Topic, draw, find};
use mlock_refinement::fixture::{Expected, Fixture, files, load, parse, print};
use mlock_refinement::search::{Options, Scheduler};
use mlock_spec::Law;
use proptest::strategy::Strategy;
use proptest::test_runner::{
    Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner,
};
use scenario::{Vocabulary, scenarios, size, small, up_to_the_real_size};
use shrink::shrunk;
use std::cell::RefCell;
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

/// Whether everything holds of a scenario that should, and how much of it was seen.
fn keeps(fixture: &Fixture, broken_by: &BTreeSet<Law>) -> Result<Extent, String> {
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
    if looked.extent > Extent::Sampled {
        for scheduler in [Scheduler::Uniform, Scheduler::Pct { depth: 3 }] {
            let sampled = sampled(&system, scheduler, 8);
            if !sampled.outcomes.is_subset(&looked.outcomes) {
                return Err("sampling reaches an end that the search does not".to_owned());
            }
            if !sampled.broken.is_subset(&looked.broken) {
                return Err("sampling breaks a law that the search does not".to_owned());
            }
        }
    }
    if looked.extent == Extent::StepByStep {
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
    Ok(looked.extent)
}

/// Runs a property on so many scenarios of a kernel; a failure shrinks, is drawn and saved.
fn on_scenarios(
    kernel: &str,
    scenarios: impl Strategy<Value = Fixture>,
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
    match runner.run(&scenarios, test) {
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
    let laws = Law::ALL.into_iter().map(Topic::Law);
    for topic in laws.chain([Topic::Limit]) {
        if let Some(schedule) = find(&system, &report, topic) {
            text += &draw("generated", &concrete, &system, topic, &report, &schedule);
        }
    }
    text
}

#[test]
fn every_kernel_keeps_what_it_claims_and_every_reading_of_a_run_agrees() {
    let fixtures = fixtures();
    let broken_by = broken_by(&fixtures);
    let until = soak().map(|time| Instant::now() + time);
    let counts: RefCell<BTreeMap<&str, BTreeMap<Extent, u32>>> = RefCell::default();
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
            let words = Vocabulary::of(kernel.name, &fixtures);
            let some = scenarios(&words, up_to_the_real_size());
            let kept = on_scenarios(kernel.name, some, CASES, |fixture| {
                let extent = keeps(fixture, broken)?;
                let mut counts = counts.borrow_mut();
                let of_kernel = counts.entry(kernel.name).or_default();
                *of_kernel.entry(extent).or_default() += 1;
                Ok(())
            });
            failures.extend(kept.err());
        }
        if !failures.is_empty() || until.is_none_or(|until| Instant::now() >= until) {
            break;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    for (kernel, by_extent) in counts.into_inner() {
        let cases: u32 = by_extent.values().sum();
        let how = by_extent.iter().rev();
        let how: Vec<String> = how.map(|(e, n)| format!("{n} {}", e.words())).collect();
        let how = how.join(", ");
        eprintln!("{kernel}: {cases} scenarios keep what it claims ({how})");
    }
}

/// Whether a kernel's fixtures are about what is generated, so that what they claim should hold there:
/// it is told the whole set of scenarios, three CPUs among them.
fn knows_generated(kernel: &Kernel, fixtures: &[Fixture]) -> bool {
    let own = |f: &&Fixture| f.kernel == kernel.name && f.cpus.len() > 2;
    fixtures.iter().any(|f| own(&f))
}

/// Kernels of one contract that differ in what they do against others alone.
const ALIKE: [&[&str]; 2] = [
    &[
        "fix-lru-lock",
        "fix-ptl",
        "fix-compound-lock",
        "fix-anon-vma",
    ],
    &[
        "v6.18",
        "fix-cursor",
        "fix-rmap-lock",
        "fix-clears-and-rewalks",
    ],
];

#[test]
fn kernels_agree_on_what_happens_one_after_the_other() {
    let fixtures = fixtures();
    for alike in ALIKE {
        let words = Vocabulary::of(alike[1], &fixtures);
        let some = scenarios(&words, small());
        let agree = on_scenarios(alike[1], some, 100, |fixture| {
            let mut alone = fixture.clone();
            // One CPU after the other; who exits is not used afterwards, nor before by others.
            alone.cpus = vec![alone.cpus.concat()];
            let outcomes = alike.iter().map(|kernel| {
                alone.kernel = (*kernel).to_owned();
                look(&system(&alone)).outcomes
            });
            let outcomes: Vec<_> = outcomes.collect();
            if outcomes.iter().all(|o| o.len() == 1 && *o == outcomes[0]) {
                return Ok(());
            }
            Err(format!("{outcomes:?}"))
        });
        assert_eq!(agree, Ok(()));
    }
}

/// The most scenarios for each hunt in an ordinary run.
const MOST: usize = 50;

/// Races that are still there, and the most scenarios for them.
const ALIVE: [&str; 2] = ["F35", "F36"];
const MOST_ALIVE: usize = 300;

/// Those that need more than [`MOST`] scenarios, as `make soak` shows.
const LATER: [(&str, Law); 14] = [
    ("F2", Law::AccountExactly),
    ("F4", Law::MunlockTakesEffect),
    ("F5", Law::MunlockTakesEffect),
    ("F16", Law::MunlockTakesEffect),
    ("F16", Law::OthersKeep),
    ("F19", Law::MunlockTakesEffect),
    ("F20", Law::NoBug),
    ("F22", Law::MlockTakesEffect),
    ("F28", Law::AccountExactly),
    ("F28", Law::NoBug),
    ("F29", Law::MunlockTakesEffect),
    ("F32", Law::MunlockTakesEffect),
    ("F33", Law::AccountExactly),
    ("F33", Law::SplitKeeps),
];

#[test]
fn every_known_bug_is_found_unaided() {
    let fixtures = fixtures();
    let most = |row: &str| match soak() {
        Some(_) => usize::MAX,
        None if ALIVE.contains(&row) => MOST_ALIVE,
        None => MOST,
    };
    let mut sweeps: BTreeMap<String, Sweep> = BTreeMap::new();
    let mut missed = BTreeSet::new();
    for (row, hunts) in by_row(&fixtures) {
        assert!(!hunts.is_empty(), "{row}: no law tells it from its cure");
        for hunt in hunts {
            let this = (hunt.name.as_str(), hunt.law);
            if !is_asked(&hunt.kernel) || soak().is_none() && LATER.contains(&this) {
                continue;
            }
            let start = Instant::now();
            let sweep = sweeps.entry(hunt.kernel.clone());
            let sweep = sweep.or_insert_with_key(|kernel| Sweep::of(kernel, &fixtures));
            let found = hunt.first(sweep, most(&hunt.name));
            eprintln!("{}", how(&hunt, found.as_ref(), start.elapsed()));
            if found.is_none() {
                missed.insert((row, hunt.law));
            }
        }
    }
    assert_eq!(missed, BTreeSet::new());
}

/// Those that are looked for in an ordinary run; a long one looks for all that the fixtures show.
const HUNTS: [(&str, Law); 10] = [
    ("claim-no-flag-copy", Law::MlockTakesEffect),
    ("fix-compound-lock-isolate-inside", Law::Progress),
    ("fix-compound-lock-isolate-inside", Law::LockOrder),
    ("v2-3of3", Law::MunlockTakesEffect),
    ("v2-3of3", Law::AccountExactly),
    ("v3.7", Law::NoBug),
    ("v3.7", Law::AccountExactly),
    ("v3.7", Law::SplitKeeps),
    ("v3.9", Law::AccountExactly),
    ("fix-lru-size-outside", Law::AccountExactly),
];

#[test]
fn every_broken_kernel_is_caught_and_what_catches_it_shrinks_to_what_is_written_by_hand() {
    let fixtures = fixtures();
    let most = if soak().is_some() { usize::MAX } else { MOST };
    let mut failures = Vec::new();
    for hunt in by_kernel(&fixtures) {
        let now = HUNTS.contains(&(hunt.kernel.as_str(), hunt.law));
        if !is_asked(&hunt.kernel) || soak().is_none() && !now {
            continue;
        }
        let start = Instant::now();
        let found = hunt.first(&mut Sweep::of(&hunt.kernel, &fixtures), most);
        eprintln!("{}", how(&hunt, found.as_ref(), start.elapsed()));
        let Some(found) = found else {
            failures.push(format!("{} {}: not found", hunt.name, hunt.law));
            continue;
        };
        let size = size(&found.shrunk, found.shrunk.pages[0]);
        let known = within_reach(&fixtures, &hunt, &found.shrunk);
        if known.is_some_and(|known| size > known) {
            let told = told(&found.shrunk);
            failures.push(format!(
                "{} {}: larger than {known:?}\n{told}",
                hunt.name, hunt.law
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
