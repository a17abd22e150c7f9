//! A counterexample as kernel people draw races: a column per CPU, one event a line.
//!
//! A CPU's events are indented by call depth under the name of their function, and that line says
//! where the function was read.

use super::Topic;
use crate::check::{Report, rest_of_cycle};
use crate::fixture::Concrete;
use crate::judge::Verdict;
use crate::search::{Finding, Goal, System, Taken, shortest};
use crate::system::{Judged, Order, Seen, Told};
use mlock_impl::machine::{Instr, Kind, LockName, RegionKind};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The widest line of a drawing.
const WIDTH: usize = 92;
/// Where the events begin, and how much room they have.
const MARGIN: usize = 7;
const EVENTS: usize = 58;
/// The room of the last of two CPUs' columns, and of the last of more. The columns to its left may
/// run into it, since a line has one event.
const LAST: (usize, usize) = (35, 28);

/// What it means that the model reached a limit.
const BEYOND: &str =
    "The model has no room for what comes next: what lies beyond this step was not searched.";

/// Draws a schedule. `name` is what the fixture is called on a command line.
pub fn draw(
    name: &str,
    concrete: &Concrete,
    system: &Judged,
    topic: Topic,
    report: &Report,
    schedule: &[usize],
) -> String {
    let mut out = title(name, concrete, topic, schedule);
    out += &heading(concrete);
    let mut drawing = Drawing::new(system);
    drawing.steps(schedule);
    let closing = topic.found(report).map(|(finding, _)| finding);
    if closing == Some(Finding::LIVELOCK) {
        drawing.round();
    }
    out += &drawing.out;
    consequence(&mut out, system, &drawing.state, closing);
    for other in closing.map_or(Vec::new(), |c| rest_of_cycle(&report.found, c)) {
        other_witness(&mut out, concrete, system, report, other);
    }
    out.lines()
        .fold(String::new(), |all, l| all + l.trim_end() + "\n")
}

/// The shortest way to another nesting of the cycle of lock classes.
fn other_witness(
    out: &mut String,
    concrete: &Concrete,
    system: &Judged,
    report: &Report,
    other: Told,
) {
    let what = match other {
        Told::Nests(outer, inner) => format!("{inner} under {outer}"),
        Told::NestsAlike(class, Order::Ascending) => format!("{class} with the lower one outside"),
        Told::NestsAlike(class, Order::Descending) => {
            format!("{class} with the higher one outside")
        }
        _ => return,
    };
    let goal = Goal::Told(other.finding());
    if let Some(schedule) = shortest(system, &goal, report.counts.depth + 1) {
        let _ = writeln!(out, "\nElsewhere, {what}: {}\n", runs(&schedule));
        *out += &heading(concrete);
        let mut drawing = Drawing::new(system);
        drawing.steps(&schedule);
        *out += &drawing.out;
    }
}

/// The steps drawn so far, and where they have led.
struct Drawing<'s> {
    system: &'s Judged,
    out: String,
    state: Vec<u64>,
    stacks: Vec<Stack>,
    count: usize,
}

impl<'s> Drawing<'s> {
    fn new(system: &'s Judged) -> Drawing<'s> {
        Drawing {
            system,
            out: String::new(),
            state: system.initial(),
            stacks: vec![Stack::default(); system.actors()],
            count: 0,
        }
    }

    /// Draws the steps of a schedule.
    fn steps(&mut self, schedule: &[usize]) {
        for (i, &cpu) in schedule.iter().enumerate() {
            self.step(cpu, i + 1 == schedule.len());
        }
    }

    /// Draws a step; the last one with whatever is wrong with it.
    fn step(&mut self, cpu: usize, last: bool) {
        let system = self.system;
        let at = column(system.actors(), cpu);
        if let Some(instr) = system.next_instr(&self.state, cpu) {
            self.out += &self.stacks[cpu].enter(instr, at);
        }
        let text = system.machine().describe(&self.state, cpu);
        let mut next = Vec::new();
        let seen = system.see(&self.state, cpu, &mut next);
        if seen.taken == Taken::Moved {
            self.state = next;
        }
        self.count += 1;
        let at = at + self.stacks[cpu].indent();
        self.out += &event(self.count, at, &text, system, &self.state, &seen);
        if last || matches!(seen.verdict, Some(Verdict::Refused(_))) {
            for note in notes(&seen) {
                let _ = writeln!(self.out, "{}", cut(&format!("{:>8}{note}", "^ "), WIDTH));
            }
        }
    }

    /// Draws how a state that no end can be reached from comes round again, if every CPU that can move
    /// takes its turn.
    fn round(&mut self) {
        let (stem, round) = round(self.system, &self.state);
        self.steps(&stem);
        let first = self.count + 1;
        let _ = writeln!(self.out, "      ,-- from here on");
        self.steps(&round);
        let _ = writeln!(self.out, "      `-- and round again, from step {first}");
    }
}

/// From a state that no end can be reached from, the steps to a loop, and the steps of the loop.
fn round(system: &Judged, state: &[u64]) -> (Vec<usize>, Vec<usize>) {
    let (mut state, mut turn) = (state.to_vec(), 0);
    let mut schedule = Vec::new();
    let mut seen: BTreeMap<(Vec<u64>, usize), usize> = BTreeMap::new();
    loop {
        if let Some(&begin) = seen.get(&(state.clone(), turn)) {
            let round = schedule.split_off(begin);
            return (schedule, round);
        }
        seen.insert((state.clone(), turn), schedule.len());
        let mut next = Vec::new();
        let cpus = system.actors();
        let mut turns = (0..cpus).map(|i| (turn + i) % cpus);
        let Some(cpu) = turns.find(|&cpu| system.see(&state, cpu, &mut next).taken == Taken::Moved)
        else {
            return (schedule, Vec::new());
        };
        schedule.push(cpu);
        state = next;
        turn = (cpu + 1) % cpus;
    }
}

/// What is drawn, and how to draw it again.
fn title(name: &str, concrete: &Concrete, topic: Topic, schedule: &[usize]) -> String {
    let mut out = String::new();
    let pages = concrete.world.thp_pages;
    let (heading, about) = match topic {
        Topic::Law(law) => (format!("violation  {law}"), law.sentence()),
        Topic::Limit => ("limit      of the model".to_owned(), BEYOND),
    };
    let _ = writeln!(out, "{heading}");
    out += &wrapped(about);
    let _ = writeln!(out, "kernel     {}", concrete.kernel.name);
    out += &wrapped(concrete.kernel.about);
    let _ = writeln!(out, "scenario   {name} at {pages} pages per THP");
    let _ = writeln!(out, "schedule   {}", runs(schedule));
    // `explain` draws at 4 pages unless it is told otherwise.
    let size = if pages == 4 {
        String::new()
    } else {
        format!(" --pages {pages}")
    };
    let again = format!("again      mlockcheck explain {name}{size}");
    // A long name takes a line of its own, so that it can be pasted.
    let fits = again.chars().count() <= WIDTH;
    let again = if fits {
        again
    } else {
        again.replacen("again      ", "again\n  ", 1)
    };
    let _ = writeln!(out, "{again}\n");
    let memory = format!("{{ {} }}", initial(concrete));
    let lines = lines(&memory, "; ", WIDTH - 1);
    let _ = writeln!(out, "{}\n", lines.join(";\n  "));
    out
}

fn heading(concrete: &Concrete) -> String {
    let cpus = concrete.scripts.len();
    let (mut events, mut rule) = (String::new(), String::new());
    for (cpu, script) in concrete.scripts.iter().enumerate() {
        let calls: Vec<&str> = script.iter().map(|call| call.name()).collect();
        let width = column(cpus, cpu + 1) - column(cpus, cpu);
        let text = format!("CPU{cpu} {}", calls.join(" "));
        events += &format!("{:width$}", cut(&text, width - 1));
        rule += &format!("{:width$}", "-".repeat(width - 1));
    }
    let line = |step: &str, events: &str, nr: &str, mlkd: &str, spec: &str| {
        format!(" {step:4}  {events:EVENTS$} {nr:>4} {mlkd:>4}  {spec}\n")
    };
    line("step", &events, "nr", "mlkd", "spec")
        + &line("----", &rule, "----", "----", &"-".repeat(14))
}

/// Where a CPU's events begin; for the number of CPUs, where the last one's end.
fn column(cpus: usize, cpu: usize) -> usize {
    let last = if cpus > 2 { LAST.1 } else { LAST.0 };
    if cpu == cpus {
        EVENTS
    } else {
        (EVENTS - last) * cpu / (cpus - 1).max(1)
    }
}

/// The functions that a CPU is inside of, as far as they were drawn.
#[derive(Clone, Default)]
struct Stack(Vec<(u8, String)>);

impl Stack {
    /// Goes to where `instr` is; the line that names its function, if that was not drawn yet.
    fn enter(&mut self, instr: &Instr, at: usize) -> String {
        let here = (instr.depth, instr.function.clone());
        while self
            .0
            .last()
            .is_some_and(|top| top.0 >= here.0 && *top != here)
        {
            self.0.pop();
        }
        if self.0.last() == Some(&here) {
            return String::new();
        }
        self.0.push(here);
        // The call itself heads its column.
        if instr.depth == 0 {
            return String::new();
        }
        let name = if instr.function.ends_with(')') {
            instr.function.clone()
        } else {
            format!("{}()", instr.function)
        };
        let left = " ".repeat(MARGIN + at + self.indent() - 1) + &name;
        let room = WIDTH.saturating_sub(left.chars().count() + 2);
        format!("{left}  {:>room$}\n", cut(&instr.cite, room))
    }

    /// How far the events of the innermost function are indented.
    fn indent(&self) -> usize {
        self.0.len().saturating_sub(1)
    }
}

fn event(
    number: usize,
    at: usize,
    text: &str,
    system: &Judged,
    state: &[u64],
    seen: &Seen,
) -> String {
    let books = system.abstract_state(state);
    // What its column has no room for may begin further to the left.
    let at = at.min(EVENTS.saturating_sub(text.chars().count()));
    let events = format!("{}{}", " ".repeat(at), cut(text, EVENTS));
    let spec = match &seen.verdict {
        Some(Verdict::Matched(t)) => t.brief(),
        Some(Verdict::Refused(refusal)) => format!("{} ✗", refusal.transition.brief()),
        Some(Verdict::Stutter) | None => String::new(),
        Some(Verdict::Nothing(what)) => what.clone(),
    };
    let (nr, mlocked) = (books.nr_mlock, books.mlocked.len());
    let row = format!("{number:>5}  {events:EVENTS$} {nr:>4} {mlocked:>4}  {spec}");
    cut(&row, WIDTH) + "\n"
}

fn notes(seen: &Seen) -> Vec<String> {
    let refusal = match &seen.verdict {
        Some(Verdict::Refused(refusal)) => Some(format!("{}: {refusal}", refusal.law())),
        _ => None,
    };
    refusal.into_iter().chain(seen.wrong.clone()).collect()
}

/// What follows: who waits for whom, or where it ends if nobody interferes any more.
fn consequence(out: &mut String, system: &Judged, state: &[u64], found: Option<Finding>) {
    out.push('\n');
    let machine = system.machine();
    for cpu in 0..system.actors() {
        if let Some(blocker) = system.waits_for(state, cpu)
            && (found == Some(Finding::DEADLOCK) || super::breaks_order(system, state, cpu))
        {
            let by: Vec<String> = machine
                .state(state)
                .blockers(blocker.lock, blocker.mode)
                .map(|other| format!("CPU{other}"))
                .collect();
            let spins = |held: &LockName| held.class.kind() == Kind::Spin;
            let under = machine.state(state).held(cpu).find(spins);
            let asleep = under.filter(|_| blocker.lock.class.kind() == Kind::Sleeping);
            let asleep = asleep.map(|held| format!(", and sleeps under {held}"));
            let _ = writeln!(
                out,
                "CPU{cpu} waits for {}, held by {}{}",
                blocker.lock,
                by.join(", "),
                asleep.unwrap_or_default()
            );
        }
    }
    match Told::all().iter().find(|t| Some(t.finding()) == found) {
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
        RegionKind::Thp if r.home.is_some() => "a spare THP".to_owned(),
        RegionKind::Small if r.home.is_some() => format!("{} spare pages", r.len),
        RegionKind::Thp => format!("THP of {} pages", r.len),
        RegionKind::FileThp => format!("a file's THP of {} pages", r.len),
        RegionKind::Large => format!("2 folios of {} pages", r.folio_pages()),
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
    lines(text, " ", WIDTH - 12)
        .iter()
        .fold(String::new(), |all, line| all + "           " + line + "\n")
}

/// A text in lines of up to a width, broken at what separates its parts.
fn lines(text: &str, between: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for part in text.split(between) {
        let used = lines.last().map_or(0, |line| line.chars().count());
        match lines.last_mut() {
            Some(line) if used + between.len() + part.chars().count() <= width => {
                *line += if line.is_empty() { "" } else { between };
                *line += part;
            }
            _ => lines.push(part.to_owned()),
        }
    }
    lines
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
