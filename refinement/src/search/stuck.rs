//! Livelocks: states from which no interleaving reaches an end.
//!
//! An end is a state without a way on: all done, a crash, or a deadlock (which is told apart).
//! Every other state must have a way to one; that it may also go round in a retry loop for a while is
//! no livelock.

use super::store::Store;
use super::{Notes, System, Taken};

/// The depth of the first stuck state, if there is one.
pub(super) fn first<S: System>(system: &S, store: &Store) -> Option<usize> {
    let edges = edges(system, store);
    let free = reaches_end(&edges);
    let stuck = free.iter().position(|free| !free)?;
    Some(depth_of(&edges, stuck))
}

/// Whether no end can be reached from `state`.
pub fn is_stuck<S: System>(system: &S, state: &[u64]) -> bool {
    let mut store = Store::new(state.len());
    store.insert(state);
    let edges = edges_from(system, &mut store);
    reaches_end(&edges).first() == Some(&false)
}

/// The successors of every state of a finished search.
fn edges<S: System>(system: &S, store: &Store) -> Vec<Vec<u32>> {
    let to = |next: &[u64]| store.find(next);
    (0..store.len())
        .map(|i| successors(system, store.get(i), to))
        .collect()
}

/// The successors of every state that can be reached from those in `store`.
fn edges_from<S: System>(system: &S, store: &mut Store) -> Vec<Vec<u32>> {
    let mut edges = Vec::new();
    while edges.len() < store.len() {
        let state = store.get(edges.len()).to_vec();
        edges.push(successors(system, &state, |next| Some(store.insert(next))));
    }
    edges
}

fn successors<S: System>(
    system: &S,
    state: &[u64],
    mut number: impl FnMut(&[u64]) -> Option<usize>,
) -> Vec<u32> {
    let (mut next, mut notes) = (Vec::new(), S::Notes::default());
    let mut out = Vec::new();
    for actor in 0..system.actors() {
        match system.step(state, actor, &mut next, &mut Vec::new(), &mut notes) {
            Taken::Moved => out.extend(number(&next).map(|n| n as u32)),
            // A crash is an end that this state reaches.
            Taken::Crashed => return Vec::new(),
            Taken::Blocked | Taken::Done => {}
        }
    }
    S::Notes::default().merge(notes);
    out
}

/// For each state, whether an end can be reached from it.
fn reaches_end(edges: &[Vec<u32>]) -> Vec<bool> {
    let mut before: Vec<Vec<u32>> = vec![Vec::new(); edges.len()];
    for (from, to) in edges.iter().enumerate() {
        for &to in to {
            before[to as usize].push(from as u32);
        }
    }
    let mut free: Vec<bool> = edges.iter().map(Vec::is_empty).collect();
    let mut work: Vec<usize> = (0..free.len()).filter(|&i| free[i]).collect();
    while let Some(state) = work.pop() {
        for &earlier in &before[state] {
            if !std::mem::replace(&mut free[earlier as usize], true) {
                work.push(earlier as usize);
            }
        }
    }
    free
}

fn depth_of(edges: &[Vec<u32>], wanted: usize) -> usize {
    let mut depth = vec![usize::MAX; edges.len()];
    depth[0] = 0;
    // States are numbered in breadth-first order, so a first predecessor has its depth already.
    for from in 0..edges.len() {
        for &to in &edges[from] {
            depth[to as usize] = depth[to as usize].min(depth[from].saturating_add(1));
        }
    }
    depth[wanted]
}
