//! A kernel on a machine, judged at every step: the transition system that is searched.

use crate::footprint::judged_too;
use crate::judge::{Judge, Verdict, history, history_ranges, nonzero};
use crate::memo::{Memo, Said};
use crate::relation::{Relation, lists};
use crate::search::{Finding, System, Taken};
use crate::tally::Guards;
pub use crate::tally::{Outcome, STUTTER, Span, Tally};
use crate::told::nesting;
pub use crate::told::{Order, Told};
use mlock_impl::kernel::{Kernel, SysCall};
use mlock_impl::machine::{
    Blocker, Bug, Event, Instr, Kind, LayoutError, Machine, Memory, Op, Program, Step, World,
    widest,
};
use mlock_spec::{Call, Contract, Guard, Law, Mm, PageSet, State, TransitionKind, Violation};
use std::cmp::Ordering;

/// A kernel on a machine, with a judge.
#[derive(Debug)]
pub struct Judged {
    machine: Machine,
    judge: Judge,
    /// The words that the judge looks at, each with the bits of it.
    seen: Vec<(usize, u64)>,
    initial: Vec<u64>,
}

/// Words of a state that the judge looks at, beyond which it is not worth to keep what it says.
const NARROW: usize = 12;

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
        let ranges = history_ranges(scripts.len(), world.pages(), widest(&programs));
        let machine = Machine::new(world.clone(), programs, &ranges)?;
        let calls = scripts
            .iter()
            .map(|script| script.iter().map(|c| call(world, c)).collect());
        let relation = Relation::new(&machine, calls.collect());
        let initial = machine.initial(memory);
        let judge = Judge::new(&machine, relation, contract);
        let mut seen = machine.observable();
        for field in machine.extra() {
            field.fill(&mut seen);
        }
        Ok(Judged {
            seen: nonzero(seen),
            judge,
            machine,
            initial,
        })
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// What is promised.
    pub fn contract(&self) -> &Contract {
        self.judge.contract()
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
                let call = |words| self.machine.state(words).call(cpu);
                if call(state).is_some()
                    && call(next).is_none()
                    && let Some(violation) = self.broken_at_rest(next)
                {
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

    /// Takes one step and asks nobody about it.
    pub fn step_unjudged(&self, state: &[u64], cpu: usize, next: &mut Vec<u64>) -> Taken {
        match self.machine.step(state, cpu, next) {
            Step::Halted => Taken::Done,
            Step::Blocked(_) => Taken::Blocked,
            Step::Bug(_) => Taken::Crashed,
            Step::Moved(_) => Taken::Moved,
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
        let violations = self.violations(words, &self.rest(words)?);
        violations
            .first()
            .map(|v| format!("{}: {}", v.law, v.pages))
    }

    /// The specification state in which no call is in flight that `words` stands for, if no call has
    /// done anything: those that have begun may as well not have.
    fn rest(&self, words: &[u64]) -> Option<State> {
        let here = self.machine.state(words);
        if (0..self.machine.programs().len()).any(|cpu| here.is_busy(cpu)) {
            return None;
        }
        let mut state = self.abstract_state(words);
        state.call.fill(None);
        Some(state)
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
            if held == lock {
                findings.push(Told::WaitsForItself.finding());
                continue;
            }
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
        let said = self.said(state, cpu, next, &mut notes.memo, &mut notes.guards);
        let (kind, refused) = match said {
            Said::Stutter => return notes.add_match(cpu, pc, STUTTER),
            Said::Limit => return findings.push(Told::Limit.finding()),
            Said::Transition { kind, refused, .. } => (kind, refused),
        };
        if let Some((law, pages)) = refused {
            findings.push(Told::Broken(law).finding());
            if let Some(pages) = pages {
                notes.effect(law, pages);
            }
        }
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

    /// What the judge says of a step, now or before; writes the history variables of `next`.
    fn said(
        &self,
        state: &[u64],
        cpu: usize,
        next: &mut [u64],
        memo: &mut Memo,
        guards: &mut Guards,
    ) -> Said {
        if self.judge.overlooks(&self.machine, state, cpu, next) {
            return Said::Stutter;
        }
        if self.seen.len() > NARROW {
            return self.ask(state, cpu, next, guards);
        }
        let call = |words| {
            self.machine
                .state(words)
                .call(cpu)
                .map_or(0, |c| u64::from(c) + 1)
        };
        memo.key.clear();
        memo.key
            .push((cpu as u64) << 32 | call(state) << 16 | call(next));
        // What is seen before the step, which of it changes, and into what.
        memo.key.push(0);
        memo.key
            .extend(self.seen.iter().map(|&(word, bits)| state[word] & bits));
        for (i, &(word, bits)) in self.seen.iter().enumerate() {
            if (state[word] ^ next[word]) & bits != 0 {
                memo.key[1] |= 1 << i;
                memo.key.push(next[word] & bits);
            }
        }
        match memo.recall() {
            Some(said) => {
                if let Said::Transition { debt, lost, .. } = said {
                    let history = history(&self.machine);
                    let _fits = history.debt[cpu].set(next, debt) && history.lost.set(next, lost);
                }
                said
            }
            None => {
                let said = self.ask(state, cpu, next, guards);
                memo.keep(said);
                said
            }
        }
    }

    /// What the judge says of a step; writes the history variables of `next`.
    fn ask(&self, state: &[u64], cpu: usize, next: &mut [u64], guards: &mut Guards) -> Said {
        let (kind, refused) = match self.judge.step(&self.machine, state, cpu, next) {
            Ok(Verdict::Stutter) => return Said::Stutter,
            Ok(Verdict::Matched(transition)) => {
                if self.seen.len() <= NARROW {
                    let before = self.abstract_state(state);
                    for guard in before.asked(&transition, self.contract()) {
                        guards.note(guard, false);
                    }
                }
                (transition.kind(), None)
            }
            Ok(Verdict::Refused(refusal)) => {
                guards.note(refusal.guard.kind(), true);
                let pages = marks_changed(&refusal.guard);
                (refusal.transition.kind(), Some((refusal.law(), pages)))
            }
            Ok(Verdict::Nothing(_)) | Err(_) => return Said::Limit,
        };
        let history = history(&self.machine);
        Said::Transition {
            kind,
            refused,
            debt: history.debt[cpu].get(next),
            lost: history.lost.get(next),
        }
    }

    /// Puts what two CPUs that are alike have of their own, and owe, in an order.
    fn compare(&self, state: &[u64], a: usize, b: usize) -> Ordering {
        let debt = |cpu: usize| history(&self.machine).debt[cpu].get(state);
        let own = self.machine.compare(state, a, b);
        own.then_with(|| debt(a).cmp(&debt(b)))
    }

    /// The laws of states in which no call is in flight, or none has done anything yet.
    fn at_rest(&self, words: &[u64], findings: &mut Vec<Finding>, notes: &mut Tally) {
        let Some(state) = self.rest(words) else {
            return;
        };
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

    fn blocks(&self) -> Vec<usize> {
        self.machine.blocks().to_vec()
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

    fn canonical(&self, state: &mut [u64]) {
        for group in self.machine.twins() {
            // Few are alike: sort by exchanging neighbours.
            for end in (1..group.len()).rev() {
                for two in group[..=end].windows(2) {
                    if self.compare(state, two[0], two[1]) == Ordering::Greater {
                        self.machine.exchange(state, two[0], two[1]);
                        let debt = history(&self.machine).debt;
                        debt[two[0]].exchange(debt[two[1]], state);
                    }
                }
            }
        }
    }

    fn share(&self, notes: &mut Tally) {
        for group in self.machine.twins() {
            notes.share(group);
        }
    }

    fn left(&self, state: &[u64], cpu: usize) -> usize {
        let pc = usize::from(self.machine.state(state).pc(cpu));
        self.machine.programs()[cpu].code.len().saturating_sub(pc)
    }

    fn interferers(&self, state: &[u64], cpu: usize, notes: &mut Tally) -> u32 {
        let seen = |words: &[u64], access| judged_too(&self.machine, words, access);
        self.machine
            .interferers(state, cpu, &mut notes.ahead, &seen)
    }
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
    let region = |i: u16| {
        let region = world.regions.get(usize::from(i));
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
        SysCall::SplitPmd(_, split) => Call::Split {
            folio: region(*split),
        },
        SysCall::Split(split) | SysCall::SplitToLarge(split) => {
            let region = world.regions.get(usize::from(*split));
            let first = region.map(|r| r.start..r.start + r.folio_pages());
            Call::Split {
                folio: first.map(pages).unwrap_or_default(),
            }
        }
        SysCall::Fault(area) => Call::Fault {
            mm: Mm(area.mm),
            pages: pages(area.pages.clone()),
        },
        SysCall::Write(area) => Call::Write {
            mm: Mm(area.mm),
            pages: pages(area.pages.clone()),
        },
        SysCall::Reclaim(range) => Call::Reclaim {
            pages: pages(range.clone()),
        },
        SysCall::ReclaimNonlinear(area) => Call::Reclaim {
            pages: pages(area.pages.clone()),
        },
        SysCall::Migrate(range) => Call::Migrate {
            pages: pages(range.clone()),
        },
        SysCall::Truncate(range) => Call::Truncate {
            pages: pages(range.clone()),
        },
        SysCall::Collapse(small) => Call::Collapse {
            pages: region(*small),
        },
        SysCall::FreePage(page) => Call::Truncate {
            pages: region(*page),
        },
        SysCall::DrainAll | SysCall::Drain => Call::Drain,
    }
}
