//! Livelocks: states from which no interleaving reaches an end.
//!
//! An end is a state without a way on: all done, a crash, or a deadlock (which is told apart).
//! Every other state must have a way to one; that it may also go round in a retry loop for a while is
//! no livelock.
//!
//! A step of a program forwards adds to how far the actors have come together ([`System::label`]), and
//! there is an end to that.
//! Of each state the search takes down one step forwards; following those leads to an end or to a state
//! in which all steps go back: the *turns*, from which it takes down all steps.
//! Mostly that shows for every state that it reaches an end.
//! Only for those that are left all steps are taken again.

use super::reduce::{Reduction, Walker};
use super::store::{Id, Store};
use super::table::make_room;
use super::{System, Taken};
use rustc_hash::FxHashSet;

/// What the search takes down for the question which states are stuck.
#[derive(Debug, Default)]
pub(super) struct Onward {
    /// For each state that a step was taken from, where one leads: forwards, if there is one that does.
    steps: Vec<Id>,
    /// All steps from states in which none goes forwards.
    turns: Vec<(Id, Id)>,
    /// States without a way on.
    pub(super) ends: Vec<Id>,
}

/// No state.
const NONE: Id = Id::MAX;

impl Onward {
    /// Takes down a step forwards.
    pub(super) fn forwards(&mut self, from: Id, to: Id) {
        self.know(from);
        self.steps[from as usize] = to;
    }

    /// Takes down a step from a state in which none goes forwards, as far as those were tried.
    pub(super) fn turn(&mut self, from: Id, to: Id) {
        self.know(from);
        let step = &mut self.steps[from as usize];
        if *step == NONE {
            *step = to;
        }
        self.turns.push((from, to));
    }

    fn know(&mut self, id: Id) {
        let states = id as usize + 1;
        let missing = states.saturating_sub(self.steps.len());
        if missing > 0 {
            make_room(&mut self.steps, missing);
            self.steps.resize(states, NONE);
        }
    }

    /// Memory taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let turns = self.turns.capacity() * size_of::<(Id, Id)>();
        (self.steps.capacity() + self.ends.capacity()) * size_of::<Id>() + turns
    }

    /// Which states lead to an end, as far as that can be said without taking steps.
    fn free(&self, states: usize) -> Vec<bool> {
        let mut free = vec![false; states];
        for &end in &self.ends {
            free[end as usize] = true;
        }
        loop {
            self.follow(&mut free);
            let mut news = false;
            for &(from, to) in &self.turns {
                let new = free[to as usize] && !free[from as usize];
                free[from as usize] |= new;
                news |= new;
            }
            if !news {
                return free;
            }
        }
    }

    /// Marks all states from which the steps lead to one that is marked.
    fn follow(&self, free: &mut [bool]) {
        let mut seen = free.to_vec();
        let mut way = Vec::new();
        for id in 0..free.len() {
            let mut at = id;
            while at < free.len() && !seen[at] {
                seen[at] = true;
                way.push(at);
                at = self.steps.get(at).copied().unwrap_or(NONE) as usize;
            }
            // What was seen before and is not marked goes round, or leads to what does.
            let leads = free.get(at).copied().unwrap_or(false);
            for at in way.drain(..) {
                free[at] = leads;
            }
        }
    }
}

/// The depth of the first stuck state, if there is one.
pub(super) fn first<S: System>(
    system: &S,
    reduction: Reduction,
    store: &Store,
    levels: &[Id],
    onward: &Onward,
) -> Option<usize> {
    let mut free = onward.free(store.len());
    let mut waiting: Vec<Id> = downwards(levels, store.len())
        .filter(|&id| !free[id as usize])
        .collect();
    let mut walker = Walker::new(system, reduction);
    let mut opened = store.opened();
    loop {
        let before = waiting.len();
        waiting.retain(|&id| {
            store.open(id, &mut opened);
            let known = |next: &Vec<u64>| store.find(next).is_some_and(|id| free[id as usize]);
            let leads_on = match ways(&mut walker, system.actors(), &opened.words) {
                Ways::End => true,
                Ways::To(next) => next.iter().any(known),
            };
            free[id as usize] |= leads_on;
            !leads_on
        });
        if waiting.len() == before {
            break;
        }
    }
    let stuck = waiting.last()?;
    levels.iter().rposition(|begin| begin <= stuck)
}

/// All states, the deepest level first.
fn downwards(levels: &[Id], states: usize) -> impl Iterator<Item = Id> {
    let ends = levels.iter().skip(1).copied().chain([states as Id]);
    let levels: Vec<_> = levels.iter().copied().zip(ends).collect();
    levels.into_iter().rev().flat_map(|(begin, end)| begin..end)
}

/// Whether no end can be reached from `state`.
pub fn is_stuck<S: System>(system: &S, state: &[u64]) -> bool {
    let mut walker = Walker::new(system, Reduction::NONE);
    let mut seen: FxHashSet<Vec<u64>> = FxHashSet::default();
    let mut work = vec![state.to_vec()];
    while let Some(state) = work.pop() {
        if seen.contains(&state) {
            continue;
        }
        match ways(&mut walker, system.actors(), &state) {
            Ways::End => return false,
            Ways::To(next) => work.extend(next),
        }
        seen.insert(state);
    }
    true
}

/// Where a state leads.
enum Ways {
    /// Nowhere: all are done, or wait, or one of them crashes.
    End,
    /// To these states.
    To(Vec<Vec<u64>>),
}

fn ways<S: System>(walker: &mut Walker<'_, S>, actors: usize, state: &[u64]) -> Ways {
    let mut out = Vec::new();
    for actor in 0..actors {
        let mut next = Vec::new();
        match walker.go(state, actor, &mut next) {
            Taken::Moved => out.push(next),
            Taken::Crashed => return Ways::End,
            Taken::Blocked | Taken::Done => {}
        }
    }
    if out.is_empty() {
        Ways::End
    } else {
        Ways::To(out)
    }
}
