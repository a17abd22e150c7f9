//! Fixtures at their sizes, searched on every core.

use super::Ended;
use super::options::Selection;
use super::select::{Named, concrete, sizes};
use mlock_refinement::check::{self, Report, differences};
use mlock_refinement::search::Limits;
use mlock_refinement::system::Judged;
use std::io::{IsTerminal, Write};
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
}

/// The fixtures at the sizes that were asked for.
pub fn jobs<'n>(what: &Selection, named: &'n [Named]) -> Result<Vec<Job<'n>>, Ended> {
    let mut out = Vec::new();
    for named in named {
        for pages in sizes(what, &named.fixture) {
            let concrete = concrete(what, named, pages)?;
            let system = concrete.judged().map_err(Ended::Unreadable)?;
            let (cpus, kernel) = (concrete.scripts.len(), concrete.kernel.name);
            out.push(Job {
                named,
                pages,
                system,
                cpus,
                kernel,
            });
        }
    }
    Ok(out)
}

/// Searches all jobs on every core; results come in the order of the jobs.
pub fn search(jobs: &[Job<'_>]) -> Vec<Searched> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Searched)>> = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(jobs.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(i) else { return };
                    let mut progress = progress(job, i, jobs.len());
                    let report = check::check(&job.system, Limits::default(), &mut progress);
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
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Says on a terminal what takes long.
fn progress<'j>(job: &'j Job<'_>, i: usize, of: usize) -> impl FnMut(usize, usize) + 'j {
    let visible = std::io::stderr().is_terminal();
    move |states, depth| {
        if visible && states > 100_000 {
            let name = &job.named.name;
            anstream::eprint!(
                "\r\x1b[K{}/{of} {name}: {states} states, depth {depth}",
                i + 1
            );
            let _unwritable = std::io::stderr().flush();
        }
    }
}
