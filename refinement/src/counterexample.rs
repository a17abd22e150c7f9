//! Counterexamples: the shortest interleaving that breaks a law, drawn the way kernel people draw
//! races, saved, and replayed.

use crate::check::LawReport;
use crate::fixture::{Concrete, Fixture};
use crate::judge::Verdict;
use crate::search::{Finding, Goal, System, Taken, is_stuck, shortest};
use crate::system::{Judged, Seen, Told};
use mlock_impl::machine::RegionKind;
use mlock_spec::Law;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// A saved counterexample. It carries its scenario, and names steps by CPU and label, so that it
/// survives changes elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The version of this format: 1.
    pub format: u32,
    /// The law that breaks.
    pub law: Law,
    /// Base pages per huge page.
    pub pages: u16,
    /// The scenario.
    pub fixture: Fixture,
    /// The schedule.
    pub steps: Vec<ReplayStep>,
}

/// One step of a saved counterexample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayStep {
    /// Who moves.
    pub cpu: usize,
    /// What it is about to do.
    pub label: String,
}

/// What became of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// The law breaks at the last step, as before.
    Reproduces,
    /// All steps can be taken, and the law holds.
    Passes,
    /// A step cannot be taken: its number, from 1, and what could be done instead.
    Diverges(usize, Vec<ReplayStep>),
}

/// The schedule of the shortest way to what breaks a law: one CPU a step.
pub fn find(system: &Judged, broken: &LawReport) -> Option<Vec<usize>> {
    let (finding, depth) = broken.broken?;
    let deadlocked = |state: &[u64]| is_deadlock(system, state);
    let stuck = |state: &[u64]| is_stuck(system, state);
    let goal = match finding {
        Finding::DEADLOCK => Goal::State(&deadlocked),
        Finding::LIVELOCK => Goal::State(&stuck),
        step => Goal::Step(step),
    };
    shortest(system, &goal, depth)
}

fn is_deadlock(system: &Judged, state: &[u64]) -> bool {
    let mut next = Vec::new();
    let taken: Vec<Taken> = (0..system.actors())
        .map(|cpu| system.see(state, cpu, &mut next).taken)
        .collect();
    taken.contains(&Taken::Blocked)
        && !taken
            .iter()
            .any(|t| matches!(t, Taken::Moved | Taken::Crashed))
}

impl Replay {
    /// The counterexample to keep.
    pub fn new(
        fixture: &Fixture,
        system: &Judged,
        pages: u16,
        law: Law,
        schedule: &[usize],
    ) -> Replay {
        let mut state = system.initial();
        let mut steps = Vec::new();
        for &cpu in schedule {
            steps.push(ReplayStep {
                cpu,
                label: system.next_label(&state, cpu).to_owned(),
            });
            let mut next = Vec::new();
            if system.see(&state, cpu, &mut next).taken == Taken::Moved {
                state = next;
            }
        }
        Replay {
            format: 1,
            law,
            pages,
            fixture: fixture.clone(),
            steps,
        }
    }

    /// Takes the saved steps again.
    pub fn run(&self, system: &Judged) -> Replayed {
        let mut state = system.initial();
        let mut broken = false;
        for (i, step) in self.steps.iter().enumerate() {
            let mut next = Vec::new();
            let (mut findings, mut notes) = (Vec::new(), Default::default());
            let known =
                step.cpu < system.actors() && system.next_label(&state, step.cpu) == step.label;
            let taken = if known {
                system.step(&state, step.cpu, &mut next, &mut findings, &mut notes)
            } else {
                Taken::Done
            };
            if !matches!(taken, Taken::Moved | Taken::Crashed) {
                return Replayed::Diverges(i + 1, enabled(system, &state));
            }
            broken = findings.iter().any(|&f| breaks(f, self.law));
            if taken == Taken::Moved {
                state = next;
            }
        }
        let at_rest =
            self.law == Law::Progress && (is_deadlock(system, &state) || is_stuck(system, &state));
        if broken || at_rest {
            Replayed::Reproduces
        } else {
            Replayed::Passes
        }
    }
}

/// Whether a step with this finding is where a law breaks. A potential inversion is told by the
/// step that closes the cycle of classes.
fn breaks(finding: Finding, law: Law) -> bool {
    let nests = Told::all()
        .into_iter()
        .filter(|t| matches!(t, Told::Nests(..) | Told::NestsAlike(..)))
        .any(|t| t.finding() == finding);
    finding == Told::Broken(law).finding() || law == Law::LockOrder && nests
}

fn enabled(system: &Judged, state: &[u64]) -> Vec<ReplayStep> {
    let mut next = Vec::new();
    (0..system.actors())
        .filter(|&cpu| {
            matches!(
                system.see(state, cpu, &mut next).taken,
                Taken::Moved | Taken::Crashed
            )
        })
        .map(|cpu| ReplayStep {
            cpu,
            label: system.next_label(state, cpu).to_owned(),
        })
        .collect()
}

/// The columns of a drawing.
const EVENTS: usize = 52;
const WIDTH: usize = 92;

/// Draws a schedule. `name` is what the fixture is called on a command line.
pub fn draw(
    name: &str,
    concrete: &Concrete,
    system: &Judged,
    law: Law,
    broken: &LawReport,
    schedule: &[usize],
) -> String {
    let mut out = String::new();
    let kernel = concrete.kernel.name;
    let pages = concrete.world.thp_pages;
    let _ = writeln!(out, "violation  {law}");
    out += &wrapped(law.sentence());
    let _ = writeln!(out, "kernel     {kernel}");
    out += &wrapped(concrete.kernel.about);
    let _ = writeln!(out, "scenario   {name} at {pages} pages per THP");
    let _ = writeln!(out, "schedule   {}", runs(schedule));
    // `explain` draws at 4 pages unless it is told otherwise.
    let size = if pages == 4 {
        String::new()
    } else {
        format!(" --pages {pages}")
    };
    let _ = writeln!(out, "again      mlockcheck explain {name}{size}\n");
    let _ = writeln!(out, "{{ {} }}\n", initial(concrete));
    heading(&mut out, concrete);
    let mut state = system.initial();
    for (i, &cpu) in schedule.iter().enumerate() {
        let text = system.machine().describe(&state, cpu);
        let mut next = Vec::new();
        let seen = system.see(&state, cpu, &mut next);
        if seen.taken == Taken::Moved {
            state.clone_from(&next);
        }
        line(
            &mut out,
            concrete.scripts.len(),
            i + 1,
            cpu,
            &text,
            system,
            &state,
            &seen,
        );
        if i + 1 == schedule.len() || matches!(seen.verdict, Some(Verdict::Refused(_))) {
            for note in notes(&seen) {
                let _ = writeln!(out, "{}", cut(&format!("{:>8}{note}", "^ "), WIDTH));
            }
        }
    }
    consequence(&mut out, system, &state, broken);
    out.lines()
        .fold(String::new(), |all, l| all + l.trim_end() + "\n")
}

fn heading(out: &mut String, concrete: &Concrete) {
    let mut events = String::new();
    let mut rule = String::new();
    for (cpu, script) in concrete.scripts.iter().enumerate() {
        let calls: Vec<&str> = script.iter().map(|call| call.name()).collect();
        let at = column(concrete.scripts.len(), cpu);
        let width = column(concrete.scripts.len(), cpu + 1) - at;
        let text = format!("CPU{cpu} {}", calls.join(" "));
        events += &format!("{:width$}", cut(&text, width - 1));
        rule += &format!("{:width$}", "-".repeat(width - 1));
    }
    let _ = writeln!(
        out,
        " step  {events:EVENTS$} {:>4} {:>5}  spec",
        "nr", "mlkd"
    );
    let _ = writeln!(
        out,
        " ----  {rule:EVENTS$} {:>4} {:>5}  {}",
        "----",
        "-----",
        "-".repeat(17)
    );
}

/// Where a CPU's events begin.
fn column(cpus: usize, cpu: usize) -> usize {
    EVENTS * cpu / cpus
}

#[expect(clippy::too_many_arguments, reason = "one row of a table")]
fn line(
    out: &mut String,
    cpus: usize,
    number: usize,
    cpu: usize,
    text: &str,
    system: &Judged,
    state: &[u64],
    seen: &Seen,
) {
    let books = system.abstract_state(state);
    let at = column(cpus, cpu).min(EVENTS - 1);
    // One event a line: what its column has no room for may run into the next one.
    let fits = EVENTS - at;
    let indented = if text.chars().count() > fits {
        EVENTS - text.chars().count().min(EVENTS)
    } else {
        at
    };
    let events = format!("{}{}", " ".repeat(indented), cut(text, EVENTS));
    let spec = match &seen.verdict {
        Some(Verdict::Matched(t)) => t.brief(),
        Some(Verdict::Refused(refusal)) => format!("{} refused", refusal.transition.brief()),
        Some(Verdict::Stutter) | None => String::new(),
        Some(Verdict::Nothing(what)) => what.clone(),
    };
    let (nr, mlocked) = (books.nr_mlock, books.mlocked.len());
    let row = format!("{number:>5}  {events:EVENTS$} {nr:>4} {mlocked:>5}  {spec}");
    let _ = writeln!(out, "{}", cut(&row, WIDTH));
}

fn notes(seen: &Seen) -> Vec<String> {
    let refusal = match &seen.verdict {
        Some(Verdict::Refused(refusal)) => Some(format!("{}: {refusal}", refusal.law())),
        _ => None,
    };
    refusal.into_iter().chain(seen.wrong.clone()).collect()
}

/// What follows: who waits for whom, or where it ends if nobody interferes any more.
fn consequence(out: &mut String, system: &Judged, state: &[u64], broken: &LawReport) {
    out.push('\n');
    let machine = system.machine();
    for cpu in 0..system.actors() {
        if let Some(blocker) = system.waits_for(state, cpu)
            && matches!(broken.broken, Some((Finding::DEADLOCK, _)))
        {
            let by: Vec<String> = machine
                .state(state)
                .blockers(blocker.lock, blocker.mode)
                .map(|other| format!("CPU{other}"))
                .collect();
            let _ = writeln!(
                out,
                "CPU{cpu} waits for {}, held by {}",
                blocker.lock,
                by.join(", ")
            );
        }
    }
    let told = |t: &Told| {
        broken
            .broken
            .is_some_and(|(finding, _)| t.finding() == finding)
    };
    match Told::all().iter().find(|t| told(t)) {
        Some(Told::Nests(outer, inner)) => {
            let _ = writeln!(
                out,
                "{inner} is taken under {outer} here, and elsewhere {outer} under {inner}."
            );
        }
        Some(Told::NestsAlike(class, _)) => {
            let _ = writeln!(out, "two locks of class {class} nest in either order");
        }
        _ => {}
    }
    if let Some(end) = run_to_end(system, state) {
        let books = system.abstract_state(&end);
        let (nr, mlocked, wanted) = (
            books.nr_mlock,
            books.mlocked.len(),
            books.all_wanted().len(),
        );
        let _ = writeln!(
            out,
            "If the calls now end one after the other: nr_mlock = {nr}; mlocked {mlocked}, wanted {wanted}."
        );
    }
}

/// Where it ends if every CPU that can runs to its end, lowest number first.
fn run_to_end(system: &Judged, state: &[u64]) -> Option<Vec<u64>> {
    let mut state = state.to_vec();
    let mut next = Vec::new();
    // Far longer than any run of the programs here; a retry loop ends the attempt.
    for _ in 0..1_000_000 {
        let taken: Vec<Taken> = (0..system.actors())
            .map(|cpu| system.see(&state, cpu, &mut next).taken)
            .collect();
        if taken.iter().all(|t| *t == Taken::Done) {
            return Some(state);
        }
        let mover = taken.iter().position(|t| *t == Taken::Moved)?;
        system.see(&state, mover, &mut next);
        state.clone_from(&next);
    }
    None
}

/// The initial memory, in a few words.
fn initial(concrete: &Concrete) -> String {
    let regions = concrete.world.regions.iter().map(|r| match r.kind {
        RegionKind::Thp => format!("THP of {} pages", r.len),
        RegionKind::Small => format!("{} small pages", r.len),
        RegionKind::HugeZero => "the huge zero page".to_owned(),
    });
    let mms = concrete.memory.mms.iter().enumerate().map(|(i, mm)| {
        let name = char::from(b'A' + i as u8);
        let locked = mm
            .locked
            .iter()
            .map(|r| format!("{}-{}", r.start, r.end - 1));
        let locked: Vec<String> = locked.collect();
        match (mm.maps.is_empty(), locked.is_empty()) {
            (true, _) => format!("{name} empty"),
            (false, true) => format!("{name} maps it"),
            (false, false) => format!("{name} maps it, VM_LOCKED {}", locked.join(" ")),
        }
    });
    let all: Vec<String> = [regions.collect::<Vec<_>>().join(", ")]
        .into_iter()
        .chain(mms)
        .collect();
    format!(
        "{}; nr_mlock = {}",
        all.join("; "),
        concrete.memory.nr_mlock
    )
}

/// A schedule in runs: `CPU0 ×3, CPU1 ×14`.
fn runs(schedule: &[usize]) -> String {
    let runs: Vec<String> = schedule
        .chunk_by(|a, b| a == b)
        .map(|run| format!("CPU{} ×{}", run[0], run.len()))
        .collect();
    let text = runs.join(", ");
    cut(&text, WIDTH - 11)
}

/// A sentence below a heading, in lines of the width of a drawing.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let used = lines.last().map_or(0, |line| line.chars().count());
        match lines.last_mut() {
            Some(line) if used + word.chars().count() < WIDTH - 12 => {
                *line += if line.is_empty() { "" } else { " " };
                *line += word;
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
        .iter()
        .fold(String::new(), |all, line| all + "           " + line + "\n")
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars()
        .take(width.saturating_sub(1))
        .chain(['…'])
        .collect()
}
