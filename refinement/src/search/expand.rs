//! What the states of a level lead to: one thread's part of the work.

use super::reduce::{Reduction, Walker, everyone, members};
use super::roots::Blocks;
use super::store::{Id, Opened, Store, is_known};
use super::{Finding, System, Taken};

/// One thread's tools.
pub(super) struct Worker<'s, S: System> {
    system: &'s S,
    pub(super) walker: Walker<'s, S>,
    /// The state that steps are taken from.
    from: Opened,
    tried: Vec<Tried>,
    sets: Vec<u32>,
}

/// What one chunk of states leads to.
#[derive(Default)]
pub(super) struct Found {
    pub(super) steps: Vec<Led>,
    /// The states of those steps that lead to something unknown.
    pub(super) unknown: Vec<u64>,
    /// States without a way on.
    pub(super) ends: Vec<Id>,
    pub(super) findings: Vec<Finding>,
    /// What actors that wait tell.
    pub(super) waiting: Vec<Finding>,
    pub(super) deadlock: bool,
}

/// Where a step leads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leads {
    /// To a state at which the actors have come further.
    Forwards,
    /// To another one, as do all steps from where it was taken, as far as those go that were tried.
    Back,
    /// To another one, though some step from there leads forwards.
    Aside,
}

/// A step, and where it led.
#[derive(Clone, Copy)]
pub(super) struct Led {
    pub(super) from: Id,
    /// Whether some actor was not tried.
    pub(super) left_out: bool,
    pub(super) leads: Leads,
    pub(super) to: Blocks,
}

/// Which actors of a state to try.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// As few as suffice.
    Enough,
    /// Those that were left out.
    Rest,
}

/// An actor's attempt to take a step.
#[derive(Default)]
struct Tried {
    outcome: Option<Outcome>,
    next: Vec<u64>,
}

/// What became of it.
#[derive(Clone, Copy)]
struct Outcome {
    taken: Taken,
    /// Whether the actors have come further, if it moved.
    further: bool,
    /// Where it led, if it moved, as far as that is known.
    to: Blocks,
}

impl Tried {
    fn is(&self, taken: Taken) -> bool {
        self.outcome.is_some_and(|outcome| outcome.taken == taken)
    }
}

impl<'s, S: System> Worker<'s, S> {
    pub(super) fn new(system: &'s S, store: &Store, reduction: Reduction) -> Self {
        Worker {
            system,
            walker: Walker::new(system, reduction),
            from: store.opened(),
            tried: (0..system.actors()).map(|_| Tried::default()).collect(),
            sets: Vec::new(),
        }
    }

    /// Takes steps from the states of one chunk.
    pub(super) fn expand(&mut self, store: &Store, chunk: &[Id], who: Who) -> Found {
        let mut found = Found::default();
        found.steps.reserve(2 * chunk.len());
        let all = everyone(self.system.actors());
        for &id in chunk {
            store.open(id, &mut self.from);
            for one in &mut self.tried {
                one.outcome = None;
            }
            let mut set = self.enough(store);
            if who == Who::Rest {
                set = all & !set;
                for actor in members(set) {
                    self.attempt(store, actor);
                }
            }
            found.findings.append(&mut self.walker.findings);
            found.waiting.append(&mut self.walker.waiting);
            let moved = || {
                let tried = members(set).map(|actor| &self.tried[actor]);
                let outcomes = tried.filter_map(|one| Some((one.outcome?, &one.next)));
                outcomes.filter(|(outcome, _)| outcome.taken == Taken::Moved)
            };
            let others = if moved().any(|(outcome, _)| outcome.further) {
                Leads::Aside
            } else {
                Leads::Back
            };
            for (outcome, next) in moved() {
                if !is_known(outcome.to) {
                    found.unknown.extend(next);
                }
                found.steps.push(Led {
                    from: id,
                    left_out: set != all && who == Who::Enough,
                    leads: if outcome.further {
                        Leads::Forwards
                    } else {
                        others
                    },
                    to: outcome.to,
                });
            }
            if set == all {
                found.conclude(self, id);
            }
        }
        for told in [&mut found.findings, &mut found.waiting] {
            told.sort();
            told.dedup();
        }
        found
    }

    /// Tries sets of actors until one suffices: one of it moves, and none crashes.
    fn enough(&mut self, store: &Store) -> u32 {
        let mut sets = std::mem::take(&mut self.sets);
        self.walker.candidates(&self.from.words, &mut sets);
        let mut last = 0;
        for &set in &sets {
            last = set;
            for actor in members(set) {
                self.attempt(store, actor);
            }
            let has = |taken| members(set).any(|actor| self.tried[actor].is(taken));
            if has(Taken::Moved) && !has(Taken::Crashed) {
                break;
            }
        }
        self.sets = sets;
        last
    }

    /// Lets an actor try to take a step, once.
    fn attempt(&mut self, store: &Store, actor: usize) {
        let (from, tried) = (&self.from, &mut self.tried[actor]);
        if tried.outcome.is_some() {
            return;
        }
        let taken = self.walker.go(&from.words, actor, &mut tried.next);
        let moved = taken == Taken::Moved;
        let outcome = Outcome {
            taken,
            further: moved && how_far(self.system, &tried.next) > how_far(self.system, &from.words),
            to: if moved {
                store.code(from, &tried.next)
            } else {
                Blocks::default()
            },
        };
        tried.outcome = Some(outcome);
    }
}

/// How far the actors have come together: where this rises from step to step, there is an end to it.
fn how_far<S: System>(system: &S, state: &[u64]) -> u64 {
    let labels = (0..system.actors()).map(|actor| u64::from(system.label(state, actor)));
    labels.sum()
}

impl Found {
    /// Notes what becomes of a state in which all actors were tried.
    fn conclude<S: System>(&mut self, worker: &mut Worker<'_, S>, id: Id) {
        let count = |taken| worker.tried.iter().filter(|one| one.is(taken)).count();
        let (moved, crashed) = (count(Taken::Moved), count(Taken::Crashed));
        self.deadlock |= moved == 0 && crashed == 0 && count(Taken::Blocked) > 0;
        // A crash is an end that this state reaches.
        if moved == 0 || crashed > 0 {
            self.ends.push(id);
        }
        if count(Taken::Done) == worker.tried.len() {
            worker
                .system
                .end(&worker.from.words, &mut worker.walker.notes);
        }
    }
}
