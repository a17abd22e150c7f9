//! Livelocks: states from which no interleaving reaches an end.
//!
//! An end is a state without a way on: all done, a crash, or a deadlock (which is told apart).
//! Every other state must have a way to one; that it may also go round in a retry loop for a while is
//! no livelock.
//!
//! A state that leads to a deeper one leads, step by deeper step, to an end, or to a state that leads to
//! none that is deeper.
//! The search tells such states apart ([`Onward`]); mostly there are none, or each of them soon reaches
//! an end.
//! Only otherwise all states are looked at again, for the first that is stuck: whoever was first reached
//! from a state can be reached from it, so most are cleared by walking up from the ends.

use super::explore::Level;
use super::reduce::{Reduction, Walker};
use super::store::{Id, SHARDS, Store, id, place, shard_of};
use super::{System, Taken};
use std::sync::atomic::{AtomicU64, Ordering};

/// Which states lead to a deeper one, a bit each.
#[derive(Debug, Default)]
pub(super) struct Onward {
    bits: Vec<AtomicU64>,
}

impl Onward {
    /// Makes room for so many states.
    pub(super) fn grow(&mut self, states: usize) {
        // Numbers are dense within a shard, and shards are about of a size.
        self.bits
            .resize_with(states.div_ceil(64), AtomicU64::default);
    }

    pub(super) fn set(&self, id: Id) {
        if let Some(bits) = self.bits.get(id as usize / 64) {
            bits.fetch_or(1 << (id % 64), Ordering::Relaxed);
        }
    }

    fn has(&self, id: Id) -> bool {
        let bits = self.bits.get(id as usize / 64);
        bits.is_some_and(|bits| bits.load(Ordering::Relaxed) & 1 << (id % 64) != 0)
    }
}

/// The depth of the first stuck state, if there is one.
pub(super) fn first<S: System>(
    system: &S,
    reduction: Reduction,
    store: &Store,
    levels: &[Level],
    (ends, onward): (&[Id], &Onward),
) -> Option<usize> {
    let mut free = Free::new(store);
    for &end in ends {
        free.set(store, end);
    }
    let mut walker = Walker::new(system, reduction);
    let mut state = Vec::new();
    let stuck = downwards(levels).any(|id| {
        if onward.has(id) || free.has(id) {
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
    let (shard, number) = place(*stuck);
    levels
        .iter()
        .position(|level| level[shard] > number)
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
    while let Some(state) = work.pop() {
        let shard = shard_of(&state);
        if !store.shards[shard].insert(&state, 0).1 {
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
    shards: Vec<Vec<bool>>,
}

impl Free {
    fn new(store: &Store) -> Free {
        Free {
            shards: store
                .shards
                .iter()
                .map(|shard| vec![false; shard.len()])
                .collect(),
        }
    }

    fn has(&self, id: Id) -> bool {
        let (shard, number) = place(id);
        self.shards[shard][number as usize]
    }

    /// Marks a state and all it was reached by.
    fn set(&mut self, store: &Store, mut id: Id) {
        while !self.has(id) {
            let (shard, number) = place(id);
            self.shards[shard][number as usize] = true;
            id = store.parent(id);
        }
    }
}

/// All states, the deepest level first.
fn downwards(levels: &[Level]) -> impl Iterator<Item = Id> + '_ {
    levels.windows(2).rev().flat_map(|two| {
        (0..SHARDS).flat_map(move |shard| {
            (two[0][shard]..two[1][shard]).map(move |number| id(shard, number))
        })
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
