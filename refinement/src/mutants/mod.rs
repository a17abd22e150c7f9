//! Mutants of the kernels: which step, and which lock, carries the weight, and for which law?
//!
//! Every mistake that can be made mechanically in a sound kernel ([`Mutation`]) is made in turn, and
//! scenarios are searched until one notices: a law breaks that holds without the mistake, or an
//! outcome is reached that is not reached without it.
//! The scenarios are the kernel's own fixtures and the *probes*, small ones that every kernel is put
//! through; the smallest spaces come first.
//! What none of them notices survives, and [`reasons`] says why that is no gap.
//!
//! # What this does not model
//!
//! A mutant that only does less (an outcome is no longer reached, a law that is broken by design holds)
//! is no worse, and survives.
//! Scenarios are searched at 4 pages per huge page with up to two CPUs, otherwise at the smallest size
//! that they list, and those whose space is large are left out.

pub mod guards;
pub mod reasons;

use crate::check::{Report, check};
use crate::fixture::{Concrete, Expected, Fixture, Named};
use crate::parallel::each;
use crate::search::{Coverage, Options};
use mlock_impl::kernel::Kernel;
use mlock_impl::machine::{Mistake, Mutation, Program};
use mlock_spec::Law;
use std::collections::BTreeMap;
use std::fmt;

/// The most states of a scenario that mutants are tried on.
const SMALL: usize = 8_000;

/// The most states to look at with a mistake.
const MOST_STATES: usize = 500_000;

/// The folder of the scenarios that every kernel is put through.
pub const PROBES: &str = "probes";

/// A kernel with one mistake, and what became of it.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// The kernel.
    pub kernel: &'static str,
    /// The mistake.
    pub mutation: Mutation,
    /// The function and what is wrong in it, in words.
    pub text: String,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A fixture noticed.
    Killed(Kill),
    /// No fixture noticed.
    Survived,
    /// It leaves the range of the model, and does nothing wrong before.
    NoProgram,
    /// It was not noticed within the most states that are looked at.
    Undecided,
}

impl Fate {
    /// The fate in a word or two.
    pub fn word(&self) -> &'static str {
        match self {
            Fate::Killed(_) => "killed",
            Fate::Survived => "survived",
            Fate::NoProgram => "no program",
            Fate::Undecided => "undecided",
        }
    }
}

/// How a fixture noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// The laws that break, the one with the shortest way first; none if it is an outcome.
    pub laws: Vec<Law>,
    /// The length of that way, in steps.
    pub steps: Option<usize>,
    /// The fixture.
    pub fixture: String,
    /// Base pages per huge page.
    pub pages: u16,
}

impl Kill {
    /// The law with the shortest way, or that an outcome is new.
    pub fn by(&self) -> &'static str {
        self.laws.first().map_or("a new outcome", |law| law.name())
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.by())?;
        if let Some(steps) = self.steps {
            write!(f, " in {steps} steps")?;
        }
        write!(f, ", {} at {}", self.fixture, self.pages)
    }
}

/// A scenario at the size that mutants are tried at, and what a search says without a mistake.
struct Trial {
    name: String,
    concrete: Concrete,
    programs: Vec<Program>,
    pages: u16,
    report: Report,
}

/// The sound kernels, in the order of the story: none of their own fixtures expects a law to break
/// other than by design.
pub fn sound(fixtures: &[Named]) -> Vec<Kernel> {
    let sound = |kernel: &Kernel| {
        let own = fixtures
            .iter()
            .filter(|n| n.fixture.kernel == kernel.name && own(n));
        let breaks = |f: &Fixture| f.laws.values().any(|e| matches!(e, Expected::Violated(_)));
        let (mut some, mut broken) = (false, false);
        for named in own {
            (some, broken) = (true, broken || breaks(&named.fixture));
        }
        some && !broken
    };
    Kernel::ALL.into_iter().filter(sound).collect()
}

/// Whether a fixture is in the folder of its kernel; the others retell something.
fn own(named: &Named) -> bool {
    folder(&named.name) == named.fixture.kernel
}

fn folder(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

/// The mutants of a kernel that are wanted, out of all that change a program in some scenario, and
/// what becomes of them.
///
/// # Errors
///
/// If a fixture cannot be made concrete at its size.
pub fn mutants(
    kernel: Kernel,
    fixtures: &[Named],
    wanted: &mut dyn FnMut(&Mutation) -> bool,
) -> Result<Vec<Mutant>, String> {
    let trials = trials(kernel, fixtures)?;
    let mut all = named(&trials);
    all.retain(|(_, mutation)| wanted(mutation));
    let fates = each(&all, |(_, mutation)| fate(mutation, &trials));
    let mutants = all.into_iter().zip(fates);
    let mutants = mutants.map(|((text, mutation), fate)| Mutant {
        kernel: kernel.name,
        mutation,
        text,
        fate,
    });
    Ok(mutants.collect())
}

/// What each lock of a kernel is for, as `function: without lock`: every way in which some scenario
/// notices that it is not taken.
///
/// # Errors
///
/// If a fixture cannot be made concrete at its size.
pub fn locks(kernel: Kernel, fixtures: &[Named]) -> Result<BTreeMap<String, Vec<Kill>>, String> {
    let trials = trials(kernel, fixtures)?;
    let mut all = named(&trials);
    all.retain(|(_, mutation)| mutation.mistake == Mistake::NoLock);
    let kills = each(&all, |(_, mutation)| {
        let kills = trials.iter().filter_map(|t| t.kill(&t.run(mutation)?));
        kills.collect()
    });
    Ok(all.into_iter().map(|(text, _)| text).zip(kills).collect())
}

/// The mutants in the order of their texts; several with one text are numbered.
fn named(trials: &[Trial]) -> Vec<(String, Mutation)> {
    let mut all: BTreeMap<Mutation, String> = BTreeMap::new();
    for trial in trials {
        for program in &trial.programs {
            for (mutation, text) in program.mutations(trial.concrete.world.thp_pages) {
                let known = all.entry(mutation).or_insert_with(|| text.clone());
                *known = text.min(std::mem::take(known));
            }
        }
    }
    let texts = all.into_iter().map(|(mutation, text)| {
        let text = format!("{}: {text}", mutation.function);
        (text, mutation)
    });
    let mut texts: Vec<(String, Mutation)> = texts.collect();
    texts.sort();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (text, _) in &mut texts {
        let count = seen.entry(text.clone()).or_insert(0);
        *count += 1;
        if *count > 1 {
            *text += &format!(" #{count}");
        }
    }
    texts
}

/// The scenarios for a kernel, those with the smallest spaces first.
fn trials(kernel: Kernel, fixtures: &[Named]) -> Result<Vec<Trial>, String> {
    let ours = |n: &&Named| folder(&n.name) == PROBES || n.fixture.kernel == kernel.name && own(n);
    let ours: Vec<&Named> = fixtures.iter().filter(ours).collect();
    let trials = each(&ours, |n| Trial::new(&n.name, &n.fixture, kernel));
    let mut trials = trials.into_iter().collect::<Result<Vec<_>, String>>()?;
    trials.retain(|t| t.report.coverage == Coverage::Exhaustive);
    trials
        .sort_by(|a, b| (a.report.counts.states, &a.name).cmp(&(b.report.counts.states, &b.name)));
    Ok(trials)
}

fn fate(mutation: &Mutation, trials: &[Trial]) -> Fate {
    let mut fate = Fate::Survived;
    for trial in trials {
        let Some(report) = trial.run(mutation) else {
            continue;
        };
        if let Some(kill) = trial.kill(&report) {
            return Fate::Killed(kill);
        }
        if report.limit.is_some() {
            fate = Fate::NoProgram;
        } else if report.coverage != Coverage::Exhaustive && fate == Fate::Survived {
            fate = Fate::Undecided;
        }
    }
    fate
}

impl Trial {
    fn new(name: &str, fixture: &Fixture, kernel: Kernel) -> Result<Trial, String> {
        let small = fixture.pages.iter().copied().min().unwrap_or(2);
        let four = fixture.cpus.len() < 3 && fixture.pages.contains(&4);
        let pages = if four { 4 } else { small };
        let concrete = fixture
            .concrete_under(kernel, pages)
            .map_err(|(_, wrong)| format!("{name}: {wrong}"))?;
        let calls = concrete.scripts.iter();
        let programs = calls.map(|c| concrete.kernel.program(&concrete.world, c));
        let system = concrete.judged()?;
        Ok(Trial {
            name: name.to_owned(),
            programs: programs.collect(),
            report: check(&system, Options::up_to(SMALL)),
            concrete,
            pages,
        })
    }

    /// Searches the scenario with the mistake; nothing if it is in none of its programs.
    fn run(&self, mutation: &Mutation) -> Option<Report> {
        let thp_pages = self.concrete.world.thp_pages;
        let mutants: Vec<Option<Program>> = self
            .programs
            .iter()
            .map(|program| program.mutant(mutation, thp_pages))
            .collect();
        if mutants.iter().all(Option::is_none) {
            return None;
        }
        let programs = mutants.into_iter().zip(&self.programs);
        let programs = programs.map(|(mutant, program)| mutant.unwrap_or_else(|| program.clone()));
        let system = self.concrete.judged_with(programs.collect()).ok()?;
        Some(check(&system, Options::up_to(MOST_STATES)))
    }

    /// What the fixture notices in a report.
    fn kill(&self, report: &Report) -> Option<Kill> {
        let mut broken: Vec<(usize, Law)> = Vec::new();
        for (law, found) in &report.laws {
            let broken_anyway = self.report.laws[law].broken.is_some();
            if let Some((_, steps)) = found.broken.filter(|_| !broken_anyway) {
                broken.push((steps, *law));
            }
        }
        broken.sort();
        let new = report.outcomes.difference(&self.report.outcomes).next();
        (new.is_some() || !broken.is_empty()).then(|| Kill {
            steps: broken.first().map(|(steps, _)| *steps),
            laws: broken.into_iter().map(|(_, law)| law).collect(),
            fixture: self.name.clone(),
            pages: self.pages,
        })
    }
}
