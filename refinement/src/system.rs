//! A kernel on a machine, judged at every step: the transition system that is searched.

use crate::judge::{Judge, Verdict, history_ranges};
use crate::relation::{Relation, lists};
use crate::search::{Finding, Notes, System, Taken};
use mlock_impl::kernel::{Kernel, SysCall};
use mlock_impl::machine::{
    Blocker, Bug, Class, Event, Instr, Kind, LayoutError, LockName, Machine, Memory, Op, Program,
    Step, World,
};
use mlock_spec::{Call, Contract, Guard, Law, Mm, PageSet, State, TransitionKind, Violation};
use std::collections::{BTreeMap, BTreeSet};

/// What a finding tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// A law is broken here.
    Broken(Law),
    /// A lock of the second class is taken while one of the first is held.
    Nests(Class, Class),
    /// Two locks of one class nest, the one with the lower index outside, or inside.
    NestsAlike(Class, Order),
    /// The model itself has reached a limit.
    Limit,
}

/// Which of two locks of one class is the outer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// The one with the lower index.
    Ascending,
    /// The one with the higher index.
    Descending,
}

const CLASSES: u16 = Class::ALL.len() as u16;

impl Told {
    /// Every meaning, in the order of their numbers.
    pub fn all() -> Vec<Told> {
        let classes = || Class::ALL.into_iter();
        let nests = classes().flat_map(|a| classes().map(move |b| Told::Nests(a, b)));
        let alike = classes().flat_map(|c| {
            [Order::Ascending, Order::Descending].map(move |order| Told::NestsAlike(c, order))
        });
        Law::ALL
            .into_iter()
            .map(Told::Broken)
            .chain(nests)
            .chain(alike)
            .chain([Told::Limit])
            .collect()
    }

    /// The number the search knows it by.
    pub fn finding(self) -> Finding {
        let laws = Law::ALL.len() as u16;
        Finding(match self {
            Told::Broken(law) => law as u16,
            Told::Nests(a, b) => laws + a as u16 * CLASSES + b as u16,
            Told::NestsAlike(c, order) => {
                laws + CLASSES * CLASSES + c as u16 * 2 + u16::from(order == Order::Descending)
            }
            Told::Limit => laws + CLASSES * CLASSES + CLASSES * 2,
        })
    }
}

/// A final state, in the numbers of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Outcome {
    /// The statistic, in base pages.
    pub nr_mlock: i64,
    /// Mlocked base pages.
    pub mlocked: usize,
    /// Base pages that some area with `VM_LOCKED` maps.
    pub wanted: usize,
}

/// The least and the most of a signed amount of base pages; 0 is always in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Span {
    /// The least.
    pub least: i64,
    /// The most.
    pub most: i64,
}

impl Span {
    fn widen(&mut self, amount: i64) {
        self.least = self.least.min(amount);
        self.most = self.most.max(amount);
    }

    fn merge(&mut self, other: Span) {
        self.widen(other.least);
        self.widen(other.most);
    }
}

/// What is remembered of everything explored.
#[derive(Debug, Default)]
pub struct Tally {
    /// How often each law had something to say.
    pub exercised: BTreeMap<Law, u64>,
    /// Per CPU and instruction, the transitions its steps matched, as bits; bit 15 is a stutter.
    pub matched: Vec<Vec<u16>>,
    /// All final states.
    pub outcomes: BTreeSet<Outcome>,
    /// How far each broken law is broken: for `AccountExactly` what the statistic is wrong by when
    /// no call is in flight, otherwise the pages that have a mark too much (+) or lack one (−).
    pub effects: BTreeMap<Law, Span>,
    /// The statistic less the mlocked pages, in any state.
    pub transient: Span,
}

/// The bit of [`Tally::matched`] for a step that changes nothing the specification can see.
pub const STUTTER: u16 = 1 << 15;

impl Tally {
    fn exercise(&mut self, law: Law) {
        *self.exercised.entry(law).or_insert(0) += 1;
    }

    fn effect(&mut self, law: Law, amount: i64) {
        self.effects.entry(law).or_default().widen(amount);
    }

    fn add_match(&mut self, cpu: usize, pc: usize, bit: u16) {
        if self.matched.len() <= cpu {
            self.matched.resize(cpu + 1, Vec::new());
        }
        let row = &mut self.matched[cpu];
        if row.len() <= pc {
            row.resize(pc + 1, 0);
        }
        row[pc] |= bit;
    }
}

impl Notes for Tally {
    fn merge(&mut self, other: Tally) {
        for (law, count) in other.exercised {
            *self.exercised.entry(law).or_insert(0) += count;
        }
        for (cpu, row) in other.matched.into_iter().enumerate() {
            for (pc, bits) in row.into_iter().enumerate().filter(|(_, bits)| *bits != 0) {
                self.add_match(cpu, pc, bits);
            }
        }
        self.outcomes.extend(other.outcomes);
        for (law, span) in other.effects {
            self.effects.entry(law).or_default().merge(span);
        }
        self.transient.merge(other.transient);
    }
}

/// A kernel on a machine, with a judge.
#[derive(Debug)]
pub struct Judged {
    machine: Machine,
    judge: Judge,
    initial: Vec<u64>,
}

/// One step, as a drawing shows it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What became of it.
    pub taken: Taken,
    /// What the specification says to it.
    pub verdict: Option<Verdict>,
    /// Anything else that is wrong, in a few words.
    pub wrong: Option<String>,
}

impl Judged {
    /// Puts a kernel on a world, with one script of calls per CPU.
    ///
    /// # Errors
    ///
    /// If the scenario is too large for a state.
    pub fn new(
        kernel: &Kernel,
        world: &World,
        memory: &Memory,
        scripts: &[Vec<SysCall>],
        contract: Contract,
    ) -> Result<Judged, LayoutError> {
        let programs = scripts
            .iter()
            .map(|calls| kernel.program(world, calls))
            .collect();
        Judged::of_programs(programs, world, memory, scripts, contract)
    }

    /// As [`Judged::new`], with programs that were changed after they were written.
    ///
    /// # Errors
    ///
    /// If the scenario is too large for a state.
    pub fn of_programs(
        programs: Vec<Program>,
        world: &World,
        memory: &Memory,
        scripts: &[Vec<SysCall>],
        contract: Contract,
    ) -> Result<Judged, LayoutError> {
        let ranges = history_ranges(scripts.len(), world.pages());
        let machine = Machine::new(world.clone(), programs, &ranges)?;
        let calls = scripts
            .iter()
            .map(|script| script.iter().map(|c| call(world, c)).collect());
        let relation = Relation::new(&machine, calls.collect());
        let initial = machine.initial(memory);
        Ok(Judged {
            judge: Judge::new(&machine, relation, contract),
            machine,
            initial,
        })
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The specification state that `words` stands for.
    pub fn abstract_state(&self, words: &[u64]) -> State {
        self.judge.abstract_state(&self.machine, words)
    }

    /// The next instruction of `cpu`, if it has one.
    pub fn next_instr(&self, words: &[u64], cpu: usize) -> Option<&Instr> {
        let pc = usize::from(self.machine.state(words).pc(cpu));
        self.machine.programs()[cpu].code.get(pc)
    }

    /// The label of the next instruction of `cpu`; empty if it has none.
    pub fn next_label(&self, words: &[u64], cpu: usize) -> &str {
        self.next_instr(words, cpu).map_or("", |instr| &instr.label)
    }

    /// Takes one step and tells everything about it.
    pub fn see(&self, state: &[u64], cpu: usize, next: &mut Vec<u64>) -> Seen {
        let mut findings = Vec::new();
        match self.machine.step(state, cpu, next) {
            Step::Halted => Seen {
                taken: Taken::Done,
                verdict: None,
                wrong: None,
            },
            Step::Blocked(_) => Seen {
                taken: Taken::Blocked,
                verdict: None,
                wrong: None,
            },
            Step::Bug(bug) => Seen {
                taken: Taken::Crashed,
                verdict: None,
                wrong: Some(bug_text(&bug)),
            },
            Step::Moved(event) => {
                let verdict = self.judge.step(&self.machine, state, cpu, next).ok();
                let mut wrong =
                    event.map(|Event::FreedMlocked| "bad page: freed mlocked".to_owned());
                self.locking(state, cpu, &mut findings, &mut |text| wrong = Some(text));
                if let Some(violation) = self.broken_at_rest(next) {
                    wrong = Some(violation);
                }
                Seen {
                    taken: Taken::Moved,
                    verdict,
                    wrong,
                }
            }
        }
    }

    /// The lock `cpu` waits for, if it does.
    pub fn waits_for(&self, state: &[u64], cpu: usize) -> Option<Blocker> {
        match self.machine.step(state, cpu, &mut Vec::new()) {
            Step::Blocked(blocker) => Some(blocker),
            _ => None,
        }
    }

    fn broken_at_rest(&self, words: &[u64]) -> Option<String> {
        let state = self.machine.state(words);
        if (0..self.machine.programs().len()).any(|cpu| state.call(cpu).is_some()) {
            return None;
        }
        let violations = self.violations(words, &self.abstract_state(words));
        violations
            .first()
            .map(|v| format!("{}: {}", v.law, v.pages))
    }

    /// How a state in which no call is in flight breaks a law.
    fn violations(&self, words: &[u64], state: &State) -> Vec<Violation> {
        let lists = lists(&self.machine, words);
        state.violations_at_rest(self.judge.contract(), &lists)
    }

    /// The lock rules for the instruction that `cpu` is at.
    fn locking(
        &self,
        state: &[u64],
        cpu: usize,
        findings: &mut Vec<Finding>,
        wrong: &mut dyn FnMut(String),
    ) {
        let here = self.machine.state(state);
        let pc = usize::from(here.pc(cpu));
        // A lock that is only tried cannot be waited for.
        let Some(Op::Acquire(lock, _)) = self.machine.programs()[cpu].code.get(pc).map(|i| &i.op)
        else {
            return;
        };
        let lock = self.machine.lock_name(state, cpu, lock);
        for held in here.held(cpu) {
            findings.push(nesting(held, lock).finding());
            if lock.class.kind() == Kind::Sleeping && held.class.kind() == Kind::Spin {
                findings.push(Told::Broken(Law::LockOrder).finding());
                wrong(format!("may sleep under {}", held.class));
            }
        }
    }

    fn judged(
        &self,
        state: &[u64],
        cpu: usize,
        pc: usize,
        next: &mut [u64],
        findings: &mut Vec<Finding>,
        notes: &mut Tally,
    ) {
        let verdict = match self.judge.step(&self.machine, state, cpu, next) {
            Ok(verdict) => verdict,
            Err(_) => return findings.push(Told::Limit.finding()),
        };
        let kind = match &verdict {
            Verdict::Stutter => return notes.add_match(cpu, pc, STUTTER),
            Verdict::Matched(transition) => transition.kind(),
            Verdict::Refused(refusal) => {
                findings.push(Told::Broken(refusal.law()).finding());
                if let Some(pages) = marks_changed(&refusal.guard) {
                    notes.effect(refusal.law(), pages);
                }
                refusal.transition.kind()
            }
            Verdict::Nothing(_) => return findings.push(Told::Limit.finding()),
        };
        notes.add_match(cpu, pc, 1 << kind as u16);
        notes.transient.widen(-self.judge.owed(&self.machine, next));
        match kind {
            TransitionKind::Mark => notes.exercise(Law::AccountExactly),
            TransitionKind::Clear => {
                notes.exercise(Law::AccountExactly);
                notes.exercise(Law::OthersKeep);
            }
            TransitionKind::Account | TransitionKind::Free => notes.exercise(Law::AccountExactly),
            TransitionKind::Split => notes.exercise(Law::SplitKeeps),
            TransitionKind::Unwant => notes.exercise(Law::MunlockTakesEffect),
            TransitionKind::Want => notes.exercise(Law::MlockTakesEffect),
            TransitionKind::Return => self.at_rest(next, findings, notes),
            TransitionKind::Call | TransitionKind::Collapse => {}
        }
    }

    /// The laws of states in which no call is in flight.
    fn at_rest(&self, words: &[u64], findings: &mut Vec<Finding>, notes: &mut Tally) {
        let here = self.machine.state(words);
        if (0..self.machine.programs().len()).any(|cpu| here.call(cpu).is_some()) {
            return;
        }
        let state = self.abstract_state(words);
        if !state.all_wanted().is_empty() {
            notes.exercise(Law::MlockTakesEffect);
        }
        if state.lost != 0 {
            notes.effect(Law::AccountExactly, -state.lost);
        }
        for violation in self.violations(words, &state) {
            let pages = violation.pages.len() as i64;
            let missing = violation.law == Law::MlockTakesEffect;
            notes.effect(violation.law, if missing { -pages } else { pages });
            notes.exercise(violation.law);
            findings.push(Told::Broken(violation.law).finding());
        }
    }
}

impl System for Judged {
    type Notes = Tally;

    fn initial(&self) -> Vec<u64> {
        self.initial.clone()
    }

    fn actors(&self) -> usize {
        self.machine.programs().len()
    }

    fn step(
        &self,
        state: &[u64],
        cpu: usize,
        next: &mut Vec<u64>,
        findings: &mut Vec<Finding>,
        notes: &mut Tally,
    ) -> Taken {
        let pc = usize::from(self.machine.state(state).pc(cpu));
        let result = self.machine.step(state, cpu, next);
        if result == Step::Halted {
            return Taken::Done;
        }
        // Whether it has to wait or not: the order in which it takes locks is what it is.
        self.locking(state, cpu, findings, &mut |_| {});
        match self.machine.programs()[cpu]
            .code
            .get(pc)
            .map(|instr| &instr.op)
        {
            Some(Op::Acquire(..) | Op::TryAcquire(..)) => notes.exercise(Law::LockOrder),
            Some(Op::BugOn(..) | Op::Free(_)) => notes.exercise(Law::NoBug),
            _ => {}
        }
        match result {
            Step::Halted => Taken::Done,
            Step::Blocked(_) => Taken::Blocked,
            Step::Bug(Bug::OutOfRange(_)) => {
                findings.push(Told::Limit.finding());
                Taken::Crashed
            }
            Step::Bug(_) => {
                notes.exercise(Law::NoBug);
                findings.push(Told::Broken(Law::NoBug).finding());
                Taken::Crashed
            }
            Step::Moved(event) => {
                if event == Some(Event::FreedMlocked) {
                    findings.push(Told::Broken(Law::NoBug).finding());
                }
                self.judged(state, cpu, pc, next, findings, notes);
                Taken::Moved
            }
        }
    }

    fn end(&self, words: &[u64], notes: &mut Tally) {
        notes.exercise(Law::Progress);
        let state = self.abstract_state(words);
        notes.outcomes.insert(Outcome {
            nr_mlock: state.nr_mlock,
            mlocked: state.mlocked.len(),
            wanted: state.all_wanted().len(),
        });
    }

    fn label(&self, state: &[u64], cpu: usize) -> u32 {
        u32::from(self.machine.state(state).pc(cpu))
    }
}

/// What taking `inner` under `outer` tells about the order of classes.
fn nesting(outer: LockName, inner: LockName) -> Told {
    if outer.class != inner.class {
        return Told::Nests(outer.class, inner.class);
    }
    let ascending = outer.index < inner.index;
    Told::NestsAlike(
        inner.class,
        if ascending {
            Order::Ascending
        } else {
            Order::Descending
        },
    )
}

/// The pages that wrongly gain a mark, or lose one (negative), if the guard is about marks.
fn marks_changed(guard: &Guard) -> Option<i64> {
    match guard {
        Guard::StillWanted { pages, .. } => Some(-(pages.len() as i64)),
        Guard::SplitChangesMarks { before, after } => {
            Some(after.len() as i64 - before.len() as i64)
        }
        _ => None,
    }
}

/// A failed check, in a few words.
fn bug_text(bug: &Bug) -> String {
    match bug {
        Bug::BugOn => "BUG_ON fires".to_owned(),
        Bug::SizeOfTail => "VM_BUG_ON(PageTail(page)) fires".to_owned(),
        Bug::NotHeld(lock) => format!("{lock} is not held"),
        Bug::OutOfRange(what) => format!("a limit of the model: {what}"),
    }
}

/// A call in the words of the specification.
fn call(world: &World, call: &SysCall) -> Call {
    let pages = |range: std::ops::Range<u16>| -> PageSet { range.map(usize::from).collect() };
    let of_region = |region: u16| {
        let region = world.regions.get(usize::from(region));
        region.map(|r| pages(r.pages())).unwrap_or_default()
    };
    match call {
        SysCall::Mlock(area) => Call::Mlock {
            mm: Mm(area.mm),
            pages: pages(area.pages.clone()),
        },
        SysCall::Munlock(area) => Call::Munlock {
            mm: Mm(area.mm),
            pages: pages(area.pages.clone()),
        },
        SysCall::Munmap(area) => Call::Unmap {
            mm: Mm(area.mm),
            pages: pages(area.pages.clone()),
        },
        SysCall::Exit(mm) => Call::Exit { mm: Mm(*mm) },
        SysCall::Fork(parent, child) => Call::Fork {
            parent: Mm(*parent),
            child: Mm(*child),
        },
        SysCall::Split(region) | SysCall::SplitPmd(_, region) => Call::Split {
            folio: of_region(*region),
        },
        SysCall::Reclaim(region)
        | SysCall::Migrate(region)
        | SysCall::Truncate(region)
        | SysCall::FreePage(region) => Call::Upkeep {
            pages: of_region(*region),
        },
        SysCall::Drain => Call::Upkeep {
            pages: PageSet::new(),
        },
    }
}
