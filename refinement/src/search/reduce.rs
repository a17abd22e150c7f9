//! Which interleavings need not be told apart.
//!
//! Let `a` be an actor whose next step can be taken, and let nothing that the others may do before it
//! interfere with it ([`System::interferers`]).
//! Then whatever happens from here on, that step of `a` could as well have come first: it commutes
//! with everything before it.
//! So a search that takes `a`'s step alone still meets every step of every run, every end, every
//! deadlock and every state from which no end can be reached; and it tells the same of every step,
//! since what is told of a step is part of what may interfere.
//! (In the literature such a set of steps is *persistent*, or an *ample set*.)
//! A step that ends the run in a failure is no such step: after it, nobody gets to show what they
//! would have done.
//!
//! # Fusing
//!
//! After every step, the steps of this kind that follow are taken at once, and only the state behind
//! them is kept.
//! Where a loop closes ([`System::label`] does not rise) the run may end, so that ways that meet are
//! seen to meet: it does so in one state of four, chosen by a hash of the state, so that all ways
//! through the state end there; and where it has gone round, so that it ends at all.
//!
//! # Ample sets
//!
//! In a state that is kept, a set of actors suffices if none outside interferes with one inside.
//! (A fused run that was ended at a loop goes on in the same way: it is the ample set of one.)
//!
//! Somebody left out in a state must not be left out for ever.
//! Every cycle has a step that leads to a state that is not deeper than the one it was taken in; so
//! where such a step is seen in a state that left somebody out, the rest is tried after all.
//!
//! # Symmetry
//!
//! Where actors are alike, exchanging them turns every run into a run ([`System::canonical`]), and what
//! is told of a step does not depend on which of them takes it.
//! So of all states that differ in that alone, one is kept.
//! What is noted per actor is shared among those that are alike in the end ([`System::share`]).
//! No way through kept states is shown to anybody: a counterexample is searched again step by step,
//! and so has the actors that took its steps.

use super::table::hash;
use super::{Finding, System, Taken};

/// Which reductions to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Reduction {
    /// Take steps that nobody can interfere with at once.
    pub fuse: bool,
    /// In a state that is kept, try no more actors than needed.
    pub ample: bool,
    /// Keep one of the states that differ in which of several like actors is which.
    pub symmetry: bool,
}

impl Reduction {
    /// Every interleaving, step by step.
    pub const NONE: Reduction = Reduction {
        fuse: false,
        ample: false,
        symmetry: false,
    };
    /// All reductions.
    pub const ALL: Reduction = Reduction {
        fuse: true,
        ample: true,
        symmetry: true,
    };
}

/// One thread's memory while it takes steps.
pub(super) struct Walker<'s, S: System> {
    system: &'s S,
    reduction: Reduction,
    pub(super) notes: S::Notes,
    pub(super) findings: Vec<Finding>,
    /// What actors told that could not move.
    pub(super) waiting: Vec<Finding>,
    /// Steps taken so far, fused ones each.
    pub(super) steps: usize,
    spare: Vec<u64>,
    order: Vec<usize>,
}

impl<'s, S: System> Walker<'s, S> {
    pub(super) fn new(system: &'s S, reduction: Reduction) -> Self {
        Walker {
            system,
            reduction,
            notes: S::Notes::default(),
            findings: Vec::new(),
            waiting: Vec::new(),
            steps: 0,
            spare: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Takes one step, and with it the steps behind it that fuse with it.
    pub(super) fn go(&mut self, state: &[u64], actor: usize, next: &mut Vec<u64>) -> Taken {
        let taken = self.step(state, actor, next);
        if taken == Taken::Moved && self.reduction.fuse {
            self.follow(next);
        }
        if taken == Taken::Moved && self.reduction.symmetry {
            self.system.canonical(next);
        }
        taken
    }

    /// Takes every step from `state` on that nobody can interfere with, until a loop closes.
    pub(super) fn follow(&mut self, state: &mut Vec<u64>) {
        // Where loops close and the run does not end: how often, and one state of those, from a number
        // of times that is a power of two on. A run that comes to it again goes round for ever.
        let (mut loops, mut before) = (0_u32, Vec::new());
        loop {
            let mut after = std::mem::take(&mut self.spare);
            let mut order = std::mem::take(&mut self.order);
            order.clear();
            order.extend(0..self.system.actors());
            order.sort_by_key(|&actor| self.system.left(state, actor));
            let free = order.iter().copied().find(|&a| {
                self.is_free(state, a) && self.step(state, a, &mut after) == Taken::Moved
            });
            self.order = order;
            let ends = free.is_none_or(|actor| {
                if !self.closes(state, &after, actor) {
                    return false;
                }
                let known = loops > 0 && before == after;
                loops += 1;
                if loops.is_power_of_two() {
                    before.clone_from(&after);
                }
                known || hash(&after).is_multiple_of(4)
            });
            if free.is_some() {
                std::mem::swap(state, &mut after);
            }
            self.spare = after;
            if ends {
                return;
            }
        }
    }

    /// Sets of actors of which one may suffice, smallest first, each actor a bit; the last one is all.
    pub(super) fn candidates(&mut self, state: &[u64], sets: &mut Vec<u32>) {
        let actors = self.system.actors();
        let all = everyone(actors);
        sets.clear();
        if self.reduction.ample || self.reduction.fuse {
            let meets: Vec<u32> = (0..actors)
                .map(|actor| all & self.system.interferers(state, actor, &mut self.notes))
                .collect();
            sets.extend((0..actors).map(|actor| closure(&meets, actor)));
            let most = if self.reduction.ample { actors } else { 2 };
            sets.retain(|set| (set.count_ones() as usize) < most.min(actors));
            sets.sort_by_key(|&set: &u32| (set.count_ones(), set));
            sets.dedup();
        }
        sets.push(all);
    }

    fn step(&mut self, state: &[u64], actor: usize, next: &mut Vec<u64>) -> Taken {
        let known = self.findings.len();
        let (findings, notes) = (&mut self.findings, &mut self.notes);
        let taken = self.system.step(state, actor, next, findings, notes);
        if taken == Taken::Blocked {
            self.waiting.extend(self.findings.drain(known..));
        }
        self.steps += usize::from(taken == Taken::Moved);
        taken
    }

    /// Whether nobody can interfere with the next step of `actor`.
    fn is_free(&mut self, state: &[u64], actor: usize) -> bool {
        let all = everyone(self.system.actors());
        all & self.system.interferers(state, actor, &mut self.notes) == 0
    }

    fn closes(&self, before: &[u64], after: &[u64], actor: usize) -> bool {
        self.system.label(after, actor) <= self.system.label(before, actor)
    }
}

/// The least set with `actor` in it with which nobody outside can interfere.
fn closure(meets: &[u32], actor: usize) -> u32 {
    let mut set = 1 << actor;
    loop {
        let grown = members(set).fold(set, |all, member| all | meets[member]);
        if grown == set {
            return set;
        }
        set = grown;
    }
}

/// All actors, as a set of bits.
pub(super) fn everyone(actors: usize) -> u32 {
    u32::MAX >> (32 - actors.clamp(1, 32))
}

/// The actors in a set of bits.
pub(super) fn members(set: u32) -> impl Iterator<Item = usize> {
    // Each time the lowest one that is left.
    let rest = std::iter::successors(Some(set), |rest| Some(rest & rest.wrapping_sub(1)));
    let rest = rest.take_while(|&rest| rest != 0);
    rest.map(|rest| rest.trailing_zeros() as usize)
}
