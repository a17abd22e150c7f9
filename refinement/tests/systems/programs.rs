//! Small programs of several actors, as transition systems, and how to make them up.

use mlock_refinement::search::{Finding, Notes, System, Taken};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// An instruction. There are two variables of four values, two locks, and a register for each actor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Op {
    Set(u8, u8),
    Add(u8),
    Load(u8),
    /// To that instruction if the register has that value.
    Jump(u8, u8),
    /// Waits for the lock, and tells so.
    Lock(u8),
    Unlock(u8),
    /// Waits until a variable has a value, and tells nothing.
    Await(u8, u8),
    /// Tells something if the register has that value.
    Tell(u8, u8),
    /// Ends the run if a variable has a value.
    Crash(u8, u8),
}

const CRASHED: u16 = 40;
pub(crate) const WAITS: u16 = 50;

/// Programs that run together; each block of a state is so many words wide.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) codes: Vec<Vec<Op>>,
    pub(crate) widths: Vec<usize>,
}

/// Shared variables and registers at ends; those of like actors in order.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Ends(pub(crate) BTreeSet<Vec<u64>>);

impl Notes for Ends {
    fn merge(&mut self, other: Ends) {
        self.0.extend(other.0);
    }
}

impl Programs {
    /// What a block stands for is in its first word; the others follow from it.
    fn write(&self, values: &[u64], state: &mut Vec<u64>) {
        state.clear();
        for (&value, &width) in values.iter().zip(&self.widths) {
            state.extend((0..width as u64).map(|i| value.wrapping_mul(2 * i + 1)));
        }
    }

    /// The first words of the blocks: what is shared, then of each actor where it is and its register.
    fn read(&self, state: &[u64]) -> Vec<u64> {
        let mut rest = state;
        let mut first = |&width: &usize| {
            let (block, others) = rest.split_at(width);
            rest = others;
            block[0]
        };
        self.widths.iter().map(&mut first).collect()
    }

    fn are_alike(&self) -> bool {
        let like =
            |i: usize| (&self.codes[i], self.widths[i + 1]) == (&self.codes[0], self.widths[1]);
        (1..self.codes.len()).all(like)
    }

    /// What an actor may still do.
    fn ahead(&self, actor: usize, at: usize) -> Vec<Op> {
        let code = &self.codes[actor];
        let (mut seen, mut work) = (BTreeSet::new(), vec![at]);
        while let Some(at) = work.pop() {
            if at < code.len() && seen.insert(at) {
                work.push(at + 1);
                if let Op::Jump(_, to) = code[at] {
                    work.push(usize::from(to));
                }
            }
        }
        seen.into_iter().map(|at| code[at]).collect()
    }
}

/// What an instruction looks at, and what it changes: variables and locks, a bit each.
fn footprint(op: Op) -> (u8, u8) {
    match op {
        Op::Set(var, _) => (0, 1 << var),
        Op::Add(var) => (1 << var, 1 << var),
        Op::Load(var) | Op::Await(var, _) | Op::Crash(var, _) => (1 << var, 0),
        Op::Lock(lock) => (4 << lock, 4 << lock),
        Op::Unlock(lock) => (0, 4 << lock),
        Op::Jump(..) | Op::Tell(..) => (0, 0),
    }
}

fn meet(a: Op, b: Op) -> bool {
    let ((reads, writes), (other_reads, other_writes)) = (footprint(a), footprint(b));
    reads & other_writes | writes & (other_reads | other_writes) != 0
}

impl System for Programs {
    type Notes = Ends;

    fn initial(&self) -> Vec<u64> {
        let mut state = Vec::new();
        self.write(&vec![0; self.widths.len()], &mut state);
        state
    }

    fn blocks(&self) -> Vec<usize> {
        self.widths.clone()
    }

    fn actors(&self) -> usize {
        self.codes.len()
    }

    fn step(
        &self,
        state: &[u64],
        actor: usize,
        next: &mut Vec<u64>,
        findings: &mut Vec<Finding>,
        _: &mut Ends,
    ) -> Taken {
        let mut values = self.read(state);
        let (shared, own) = (values[0], values[actor + 1]);
        let (mut at, mut register) = (own >> 2, own & 3);
        let Some(&op) = self.codes[actor].get(at as usize) else {
            return Taken::Done;
        };
        let var = |var: u8| shared >> (2 * var) & 3;
        let set = |var: u8, value: u64| shared & !(3 << (2 * var)) | (value & 3) << (2 * var);
        let lock = |lock: u8| 1 << (4 + lock);
        at += 1;
        match op {
            Op::Set(v, value) => values[0] = set(v, value.into()),
            Op::Add(v) => values[0] = set(v, var(v) + 1),
            Op::Load(v) => register = var(v),
            Op::Jump(value, to) if register == value.into() => at = to.into(),
            Op::Lock(l) if shared & lock(l) != 0 => {
                findings.push(Finding(WAITS + u16::from(l)));
                return Taken::Blocked;
            }
            Op::Lock(l) => values[0] |= lock(l),
            Op::Unlock(l) => values[0] &= !lock(l),
            Op::Await(v, value) if var(v) != value.into() => return Taken::Blocked,
            Op::Tell(what, value) if register == value.into() => {
                findings.push(Finding(what.into()));
            }
            Op::Crash(v, value) if var(v) == value.into() => {
                findings.push(Finding(CRASHED + u16::from(v)));
                return Taken::Crashed;
            }
            Op::Jump(..) | Op::Await(..) | Op::Tell(..) | Op::Crash(..) => {}
        }
        values[actor + 1] = at << 2 | register;
        self.write(&values, next);
        Taken::Moved
    }

    fn end(&self, state: &[u64], ends: &mut Ends) {
        let mut values = self.read(state);
        if self.are_alike() {
            values[1..].sort_unstable();
        }
        ends.0.insert(values);
    }

    fn label(&self, state: &[u64], actor: usize) -> u32 {
        (self.read(state)[actor + 1] >> 2) as u32
    }

    fn left(&self, state: &[u64], actor: usize) -> usize {
        let at = self.label(state, actor) as usize;
        self.codes[actor].len().saturating_sub(at)
    }

    fn canonical(&self, state: &mut [u64]) {
        if self.are_alike() {
            let (mut values, mut sorted) = (self.read(state), Vec::new());
            values[1..].sort_unstable();
            self.write(&values, &mut sorted);
            state.copy_from_slice(&sorted);
        }
    }

    fn interferers(&self, state: &[u64], actor: usize, _: &mut Ends) -> u32 {
        let at = |actor| self.label(state, actor) as usize;
        let Some(&op) = self.codes[actor].get(at(actor)) else {
            return 0;
        };
        let others = (0..self.actors()).filter(|&other| other != actor);
        let met = others.filter(|&other| self.ahead(other, at(other)).iter().any(|&o| meet(op, o)));
        met.fold(0, |set, other| set | 1 << other)
    }
}

/// The same programs, told nothing of but what has to be.
pub(crate) struct Plain<'p>(pub(crate) &'p Programs);

impl System for Plain<'_> {
    type Notes = Ends;

    fn initial(&self) -> Vec<u64> {
        self.0.initial()
    }

    fn actors(&self) -> usize {
        self.0.actors()
    }

    fn step(
        &self,
        state: &[u64],
        actor: usize,
        next: &mut Vec<u64>,
        findings: &mut Vec<Finding>,
        ends: &mut Ends,
    ) -> Taken {
        self.0.step(state, actor, next, findings, ends)
    }

    fn end(&self, state: &[u64], ends: &mut Ends) {
        self.0.end(state, ends);
    }

    fn label(&self, state: &[u64], actor: usize) -> u32 {
        self.0.label(state, actor)
    }
}

fn op() -> impl Strategy<Value = Op> {
    let (two, four) = (|| 0..2u8, || 0..4u8);
    prop_oneof![
        (two(), four()).prop_map(|(var, value)| Op::Set(var, value)),
        two().prop_map(Op::Add),
        two().prop_map(Op::Load),
        (four(), 0..7u8).prop_map(|(value, to)| Op::Jump(value, to)),
        two().prop_map(Op::Lock),
        two().prop_map(Op::Unlock),
        (two(), four()).prop_map(|(var, value)| Op::Await(var, value)),
        (0..3u8, four()).prop_map(|(what, value)| Op::Tell(what, value)),
        (two(), 1..4u8).prop_map(|(var, value)| Op::Crash(var, value)),
    ]
}

pub(crate) fn programs() -> impl Strategy<Value = Programs> {
    let codes = prop::collection::vec(prop::collection::vec(op(), 1..=6), 1..=3);
    let widths = prop::collection::vec(prop_oneof![4 => 1..4usize, 1 => 5..20usize], 4);
    (codes, widths, any::<bool>()).prop_map(|(mut codes, mut widths, alike)| {
        widths.truncate(codes.len() + 1);
        if alike {
            let (code, width) = (codes[0].clone(), widths[1]);
            codes.fill(code);
            widths[1..].fill(width);
        }
        Programs { codes, widths }
    })
}
