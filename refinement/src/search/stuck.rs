//! Livelocks: states from which no interleaving reaches an end.
//!
//! An end is a state without a way on: all done, a crash, or a deadlock (which is told apart).
//! Every other state must have a way to one; that it may also go round in a retry loop for a while is
//! no livelock.
//!
//! A step of a program forwards adds to how far the actors have come together ([`System::label`]), and
//! there is an end to that.
//! So every state leads, forwards only, to an end or to a state in which all steps go back: the *turns*,
//! from which the search takes down all steps.
//! Mostly there are few, and each of them soon reaches an end.
//! Only otherwise all states are looked at again, for the first that is stuck: whoever was first reached
//! from a state can be reached from it, so most are cleared by walking up from the ends.

use super::explore::Level;
use super::reduce::{Reduction, Walker};
use super::store::{Id, PARTS, Store, id, place};
use super::{System, Taken};

/// The depth of the first stuck state, if there is one.
pub(super) fn first<S: System>(
    system: &S,
    reduction: Reduction,
    store: &Store,
    levels: &[Level],
    (ends, turns): (&[Id], &[(Id, Id)]),
) -> Option<usize> {
    let mut free = Free::new(store);
    for &end in ends {
        free.set(store, end);
    }
    while turns.iter().rev().fold(false, |news, &(from, to)| {
        let new = free.has(to) && !free.has(from);
        if new {
            free.set(store, from);
        }
        news || new
    }) {}
    let mut walker = Walker::new(system, reduction);
    let mut state = Vec::new();
    let stuck = turns.iter().rev().any(|&(id, _)| {
        if free.has(id) {
            return false;
        }
        state.clear();
        store.get(id, &mut state);
        let known = |state: &[u64]| store.find(state).is_some_and(|id| free.has(id));
        let stuck = is_stuck_with(&mut walker, system.actors(), &state, &known);
        if !stuck {
            free.set(store, id);
        }
        stuck
    });
    if !stuck {
        return None;
    }
    let mut waiting: Vec<Id> = downwards(levels).filter(|&id| !free.has(id)).collect();
    loop {
        let before = waiting.len();
        waiting.retain(|&id| {
            if free.has(id) {
                return false;
            }
            state.clear();
            store.get(id, &mut state);
            let leads_on = match ways(&mut walker, system.actors(), &state) {
                Ways::End => true,
                Ways::To(next) => next
                    .iter()
                    .any(|next| store.find(next).is_some_and(|next| free.has(next))),
            };
            if leads_on {
                free.set(store, id);
            }
            !leads_on
        });
        if waiting.len() == before {
            break;
        }
    }
    let stuck = waiting.last()?;
    let (part, number) = place(*stuck);
    levels
        .iter()
        .position(|level| level[part] > number)
        .map(|level| level - 1)
}

/// Whether no end can be reached from `state`.
pub fn is_stuck<S: System>(system: &S, state: &[u64]) -> bool {
    let mut walker = Walker::new(system, Reduction::NONE);
    is_stuck_with(&mut walker, system.actors(), state, &|_| false)
}

/// Whether neither an end can be reached from `state`, nor a state that is known to reach one.
fn is_stuck_with<S: System>(
    walker: &mut Walker<'_, S>,
    actors: usize,
    state: &[u64],
    known: &dyn Fn(&[u64]) -> bool,
) -> bool {
    let mut store = Store::new(state.len());
    let mut work = vec![state.to_vec()];
    let mut entry = Vec::new();
    while let Some(state) = work.pop() {
        entry.clear();
        entry.push(0);
        entry.extend(&state);
        if !store.insert(&entry).1 {
            continue;
        }
        match ways(walker, actors, &state) {
            Ways::End => return false,
            Ways::To(next) if next.iter().any(|next| known(next)) => return false,
            Ways::To(next) => work.extend(next),
        }
    }
    true
}

/// Which states can reach an end.
struct Free {
    parts: Vec<Vec<bool>>,
}

impl Free {
    fn new(store: &Store) -> Free {
        let sizes = store.sizes().into_iter();
        Free {
            parts: sizes.map(|size| vec![false; size as usize]).collect(),
        }
    }

    fn has(&self, id: Id) -> bool {
        let (part, number) = place(id);
        self.parts[part][number as usize]
    }

    /// Marks a state and all it was reached by.
    fn set(&mut self, store: &Store, mut id: Id) {
        while !self.has(id) {
            let (part, number) = place(id);
            self.parts[part][number as usize] = true;
            id = store.parent(id);
        }
    }
}

/// All states, the deepest level first.
fn downwards(levels: &[Level]) -> impl Iterator<Item = Id> + '_ {
    levels.windows(2).rev().flat_map(|two| {
        (0..PARTS)
            .flat_map(move |part| (two[0][part]..two[1][part]).map(move |number| id(part, number)))
    })
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
