//! Fixtures at their sizes, searched on every core.

use super::Ended;
use super::options::{Engine, Reduce, Selection};
use super::progress::Watch;
use super::select::{concrete, sizes};
use mlock_refinement::check::{self, Report, Run, differences};
use mlock_refinement::fixture::Named;
use mlock_refinement::search::{Coverage, Limits, Options, Reduction};
use mlock_refinement::system::Judged;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A fixture at one size, searched.
pub struct Searched {
    /// What the search said.
    pub report: Report,
    /// How it differs from what the fixture expects.
    pub differences: Vec<String>,
}

/// One thing to search.
pub struct Job<'n> {
    /// The fixture.
    pub named: &'n Named,
    /// Base pages per huge page.
    pub pages: u16,
    /// What is searched.
    pub system: Judged,
    /// The number of CPUs.
    pub cpus: usize,
    /// The kernel it runs under.
    pub kernel: &'static str,
    /// How it is searched.
    pub reduction: Reduction,
}

/// The fixtures at the sizes that were asked for.
pub fn jobs<'n>(what: &Selection, named: &'n [Named]) -> Result<Vec<Job<'n>>, Ended> {
    let mut out = Vec::new();
    for named in named {
        for pages in sizes(what, &named.fixture) {
            let concrete = concrete(what, named, pages)?;
            let system = concrete.judged().map_err(Ended::Unreadable)?;
            let (cpus, kernel) = (concrete.scripts.len(), concrete.kernel.name);
            let reduction = reduction(&what.engine, named, pages);
            out.push(Job {
                named,
                pages,
                system,
                cpus,
                kernel,
                reduction,
            });
        }
    }
    Ok(out)
}

/// The jobs with what their searches said.
pub fn runs<'r>(jobs: &'r [Job<'_>], results: &'r [Searched]) -> Vec<Run<'r>> {
    let both = jobs.iter().zip(results);
    both.map(|(job, result)| Run {
        name: &job.named.name,
        fixture: &job.named.fixture,
        kernel: job.kernel,
        pages: job.pages,
        programs: job.system.machine().programs(),
        report: &result.report,
    })
    .collect()
}

/// Searches all jobs on every core; results come in the order of the jobs.
pub fn search(engine: &Engine, jobs: &[Job<'_>]) -> Vec<Searched> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Searched)>> = Mutex::new(Vec::new());
    let threads = engine.threads.unwrap_or_else(cores).max(1);
    let workers = threads.min(jobs.len().max(1));
    let watch = Watch::new(jobs.len());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(i) else { return };
                    let report = one(engine, job, threads / workers, &watch, i);
                    let differences = differences(&job.named.fixture, job.pages, &report);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    done.push((
                        i,
                        Searched {
                            report,
                            differences,
                        },
                    ));
                }
            });
        }
    });
    watch.clear();
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Ends a command that compares: a bound reached if a search was cut short, or not as expected.
pub fn ended(results: &[Searched]) -> Result<(), Ended> {
    cut_short(results)?;
    if results.iter().all(|r| r.differences.is_empty()) {
        Ok(())
    } else {
        Err(Ended::NotAsExpected)
    }
}

/// Ends a command: a bound reached if a search was cut short.
pub fn cut_short(results: &[Searched]) -> Result<(), Ended> {
    if super::progress::interrupted() {
        return Err(Ended::Bounded(
            "interrupted: this is what was covered so far".to_owned(),
        ));
    }
    if results
        .iter()
        .any(|r| r.report.coverage != Coverage::Exhaustive)
    {
        return Err(Ended::Bounded(
            "a bound was reached: what holds, holds up to there".to_owned(),
        ));
    }
    Ok(())
}

fn one(engine: &Engine, job: &Job<'_>, threads: usize, watch: &Watch, i: usize) -> Report {
    let limits = Limits::default();
    let options = Options {
        limits: Limits {
            states: engine.max_states.unwrap_or(limits.states),
            depth: engine.max_depth.unwrap_or(limits.depth),
            bytes: engine
                .memory
                .map_or(limits.bytes, |mib| mib.saturating_mul(1 << 20)),
            preemptions: engine.preemptions,
        },
        reduction: job.reduction,
        threads,
    };
    let mut watch = watch.of(i, &job.named.name);
    check::check_watched(&job.system, options, &mut watch)
}

/// The reductions to use at a size.
fn reduction(engine: &Engine, named: &Named, pages: u16) -> Reduction {
    let has = |one| engine.reduce.contains(&one) || engine.reduce.contains(&Reduce::All);
    if engine.preemptions.is_some() {
        return Reduction::NONE;
    }
    if engine.reduce.contains(&Reduce::Auto) {
        return named.fixture.reduction(pages);
    }
    Reduction {
        fuse: has(Reduce::Fuse),
        ample: has(Reduce::Ample),
        symmetry: has(Reduce::Symmetry),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
