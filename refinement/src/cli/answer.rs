//! What each command does.

use super::Ended;
use super::options::{Costs, Explain, Format, ReplayFile, Selection};
use super::select::{Named, concrete, kernel_named, selected, sizes};
use super::table::{LAWS, table};
use mlock_impl::kernel::Kernel;
use mlock_impl::machine::Class;
use mlock_refinement::check::{self, Report, differences, word};
use mlock_refinement::counterexample::{self, Replay, Replayed};
use mlock_refinement::fixture::{Expected, Verdict, print};
use mlock_refinement::search::{Coverage, Limits};
use mlock_refinement::system::Judged;
use mlock_spec::Law;
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A fixture at one size, searched.
pub struct Searched {
    /// What the search said.
    pub report: Report,
    differences: Vec<String>,
}

/// One thing to search.
pub struct Job<'n> {
    /// The fixture.
    pub named: &'n Named,
    /// Base pages per huge page.
    pub pages: u16,
    system: Judged,
    cpus: usize,
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

fn mark(verdict: Verdict, expected: Option<&Expected>) -> &'static str {
    match (verdict, expected) {
        (Verdict::Holds, _) => "holds",
        (Verdict::Violated, Some(Expected::ByDesign(_))) => "design",
        (Verdict::Violated, _) => "BROKEN",
        (Verdict::NotApplicable, _) => "–",
    }
}

/// `check`.
pub fn check(what: &Selection) -> Result<(), Ended> {
    let named = selected(what)?;
    let jobs = jobs(what, &named)?;
    let results = search(&jobs);
    if std::io::stderr().is_terminal() {
        anstream::eprint!("\r\x1b[K");
    }
    let good = results.iter().all(|r| r.differences.is_empty());
    if what.format == Format::Json {
        let rows: Vec<Value> = jobs
            .iter()
            .zip(&results)
            .map(|(j, r)| json_row(j, r))
            .collect();
        anstream::println!("{}", json!({"format": 1, "results": rows}));
        return if good {
            Ok(())
        } else {
            Err(Ended::NotAsExpected)
        };
    }
    anstream::print!("{}", verdict_table(&jobs, &results));
    let states: usize = results.iter().map(|r| r.report.counts.states).sum();
    let coverage = |c| results.iter().filter(|r| r.report.coverage == c).count();
    anstream::println!(
        "\n{} runs: {} exhaustive, {} bounded; {states} states.",
        jobs.len(),
        coverage(Coverage::Exhaustive),
        coverage(Coverage::Bounded)
    );
    if good {
        anstream::println!("All as expected.");
        return Ok(());
    }
    for (job, result) in jobs
        .iter()
        .zip(&results)
        .filter(|(_, r)| !r.differences.is_empty())
    {
        anstream::println!(
            "\nnot as expected: {} at {} pages",
            job.named.name,
            job.pages
        );
        for difference in &result.differences {
            anstream::println!("  {difference}");
        }
        anstream::println!(
            "  mlockcheck check {} --pages {}",
            job.named.name,
            job.pages
        );
    }
    Err(Ended::NotAsExpected)
}

/// One row per fixture; the sizes agree on the verdicts, or are told apart.
fn verdict_table(jobs: &[Job<'_>], results: &[Searched]) -> String {
    let heading: Vec<&str> = ["fixture", "pages"]
        .into_iter()
        .chain(LAWS)
        .chain(["states", "as expected"])
        .collect();
    let mut rows: Vec<(Vec<String>, Vec<u16>, usize, bool)> = Vec::new();
    let mut last = "";
    for (job, result) in jobs.iter().zip(results) {
        let marks: Vec<String> = Law::ALL
            .iter()
            .map(|law| {
                let expected = job.named.fixture.laws.get(law);
                mark(result.report.laws[law].verdict, expected).to_owned()
            })
            .collect();
        let good = result.differences.is_empty();
        let states = result.report.counts.states;
        match rows.last_mut() {
            Some(row) if last == job.named.name && row.0[1..] == marks && row.3 == good => {
                row.1.push(job.pages);
                row.2 += states;
            }
            _ => {
                let cells = [job.named.name.clone()].into_iter().chain(marks).collect();
                rows.push((cells, vec![job.pages], states, good));
            }
        }
        last = &job.named.name;
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(mut cells, pages, states, good)| {
            let pages: Vec<String> = pages.iter().map(u16::to_string).collect();
            cells.insert(1, pages.join(" "));
            cells.push(states.to_string());
            cells.push(if good { "yes" } else { "NO" }.to_owned());
            cells
        })
        .collect();
    table(&heading, &rows)
}

fn json_row(job: &Job<'_>, result: &Searched) -> Value {
    let laws: serde_json::Map<String, Value> = Law::ALL
        .iter()
        .map(|law| {
            (
                law.name().to_owned(),
                json!(word(result.report.laws[law].verdict)),
            )
        })
        .collect();
    let counts = result.report.counts;
    json!({
        "fixture": job.named.name, "kernel": job.kernel, "pages": job.pages, "cpus": job.cpus,
        "coverage": result.report.coverage, "states": counts.states,
        "transitions": counts.transitions, "depth": counts.depth, "laws": laws,
        "as_expected": result.differences.is_empty(),
    })
}

/// `outcomes`.
pub fn outcomes(what: &Selection) -> Result<(), Ended> {
    let named = selected(what)?;
    let jobs = jobs(what, &named)?;
    let results = search(&jobs);
    for (job, result) in jobs.iter().zip(&results) {
        let report = &result.report;
        if what.format == Format::Json {
            let doc =
                json!({"format": 1, "coverage": report.coverage, "outcomes": report.outcomes});
            anstream::println!("{doc}");
            continue;
        }
        anstream::println!(
            "{} under {} at {} pages: {} final states",
            job.named.name,
            job.kernel,
            job.pages,
            report.outcomes.len()
        );
        let rows: Vec<Vec<String>> = report
            .outcomes
            .iter()
            .map(|o| {
                vec![
                    o.nr_mlock.to_string(),
                    o.mlocked.to_string(),
                    o.wanted.to_string(),
                ]
            })
            .collect();
        anstream::println!("{}", table(&["nr_mlock", "mlocked", "wanted"], &rows));
    }
    Ok(())
}

/// `explain`.
pub fn explain(what: &Explain) -> Result<(), Ended> {
    let selection = &what.selection;
    let only = what.law.as_ref().map(|law| law.parse::<Law>());
    let only = only
        .transpose()
        .map_err(|error| Ended::Usage(error.to_string()))?;
    let mut drawn = 0;
    for named in selected(selection)? {
        let pages = selection.pages.unwrap_or_else(|| drawing_size(&named));
        let concrete = concrete(selection, &named, pages)?;
        let system = concrete.judged().map_err(Ended::Unreadable)?;
        let report = check::check(&system, Limits::default(), &mut |_, _| {});
        let laws = Law::ALL
            .into_iter()
            .filter(|law| only.is_none_or(|o| o == *law));
        for law in laws {
            let found = &report.laws[&law];
            let Some(schedule) = counterexample::find(&system, found) else {
                continue;
            };
            let name = &named.name;
            let text = counterexample::draw(name, &concrete, &system, law, found, &schedule);
            anstream::println!("{text}");
            drawn += 1;
            if let Some(path) = what.save.as_ref().filter(|_| drawn == 1) {
                let mut fixture = named.fixture.clone();
                concrete.kernel.name.clone_into(&mut fixture.kernel);
                let replay = Replay::new(&fixture, &system, pages, law, &schedule);
                save(path, &replay)?;
                anstream::eprintln!("saved; again with: mlockcheck replay {}", path.display());
            }
        }
    }
    if drawn == 0 {
        anstream::println!("No law is broken.");
    }
    Ok(())
}

/// The size at which a fixture is drawn: 4 pages if it is checked there.
fn drawing_size(named: &Named) -> u16 {
    let pages = &named.fixture.pages;
    if pages.contains(&4) {
        4
    } else {
        pages.first().copied().unwrap_or(4)
    }
}

fn save(path: &Path, replay: &Replay) -> Result<(), Ended> {
    let config = ron::ser::PrettyConfig::new()
        .struct_names(true)
        .depth_limit(5);
    let text = ron::ser::to_string_pretty(replay, config)
        .map_err(|error| Ended::Unreadable(error.to_string()))?;
    write_whole(path, &(text + "\n"))
}

/// Writes a file so that it is never there by half.
fn write_whole(path: &Path, text: &str) -> Result<(), Ended> {
    let draft = path.with_extension("ron.tmp");
    std::fs::write(&draft, text)
        .and_then(|()| std::fs::rename(&draft, path))
        .map_err(|error| Ended::Unreadable(format!("cannot write {}: {error}", path.display())))
}

/// `replay`.
pub fn replay(what: &ReplayFile) -> Result<(), Ended> {
    let path = what.file.display();
    let unreadable = |error: String| Ended::Unreadable(format!("{path}: {error}"));
    let text = std::fs::read_to_string(&what.file).map_err(|e| unreadable(e.to_string()))?;
    let saved: Replay = ron::from_str(&text).map_err(|e| unreadable(e.to_string()))?;
    let concrete = saved
        .fixture
        .concrete(saved.pages)
        .map_err(|(_, wrong)| unreadable(wrong))?;
    let system = concrete.judged().map_err(unreadable)?;
    match saved.run(&system) {
        Replayed::Reproduces => {
            anstream::println!(
                "reproduces: {} breaks at step {}",
                saved.law,
                saved.steps.len()
            );
            Ok(())
        }
        Replayed::Passes => {
            anstream::println!("passes: {} holds", saved.law);
            Err(Ended::NotAsExpected)
        }
        Replayed::Diverges(step, enabled) => {
            let enabled: Vec<String> = enabled
                .iter()
                .map(|s| format!("CPU{} {}", s.cpu, s.label))
                .collect();
            anstream::println!(
                "diverges at step {step} (enabled were {})",
                enabled.join("; ")
            );
            Err(Ended::NotAsExpected)
        }
    }
}

/// `costs`.
pub fn costs(what: &Costs) -> Result<(), Ended> {
    let kernels = match &what.kernel {
        Some(name) => vec![kernel_named(name)?],
        None => Kernel::ALL.to_vec(),
    };
    let classes: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
    let heading: Vec<&str> = ["kernel", "call", "of"]
        .into_iter()
        .chain(classes)
        .collect();
    let mut rows = Vec::new();
    for kernel in &kernels {
        let costs = mlock_refinement::costs::of(kernel);
        for cost in costs.map_err(|error| Ended::Unreadable(error.to_string()))? {
            let counts = Class::ALL
                .iter()
                .map(|class| cost.taken.get(class).copied().unwrap_or(0));
            let cells = [cost.kernel, cost.call, cost.subject.name()].map(str::to_owned);
            rows.push(
                cells
                    .into_iter()
                    .chain(counts.map(|n| n.to_string()))
                    .collect(),
            );
        }
    }
    anstream::print!("{}", table(&heading, &rows));
    Ok(())
}

/// `pin`.
pub fn pin(what: &Selection) -> Result<(), Ended> {
    let named = selected(what)?;
    let jobs = jobs(what, &named)?;
    let results = search(&jobs);
    let mut good = true;
    for named in &named {
        let mut fixture = named.fixture.clone();
        let own = jobs
            .iter()
            .zip(&results)
            .filter(|(job, _)| job.named.name == named.name);
        for (job, result) in own {
            let wrong = result
                .differences
                .iter()
                .filter(|d| !d.starts_with("counts: "));
            for difference in wrong {
                good = false;
                anstream::println!("{} at {} pages: {difference}", named.name, job.pages);
            }
            fixture.counts.insert(job.pages, result.report.counts);
        }
        fixture
            .counts
            .retain(|pages, _| fixture.pages.contains(pages));
        let text = print(&fixture).map_err(|error| Ended::Unreadable(error.to_string()))?;
        write_whole(&named.path, &text)?;
    }
    if good {
        Ok(())
    } else {
        Err(Ended::NotAsExpected)
    }
}
