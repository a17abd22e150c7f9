//! Breadth-first search, level by level.

use super::store::Store;
use super::{Finding, Notes, System, Taken, stuck};
use std::collections::BTreeMap;

/// When to stop early.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most states to keep.
    pub states: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            states: u32::MAX as usize,
        }
    }
}

/// How much of the space a run has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Coverage {
    /// All of it.
    Exhaustive,
    /// Everything up to a bound.
    Bounded,
}

/// What a run has seen.
#[derive(Debug)]
pub struct Exploration<N> {
    /// How much it saw.
    pub coverage: Coverage,
    /// Distinct states.
    pub states: usize,
    /// Steps from a state to a state, several to the same one counted each.
    pub transitions: usize,
    /// The longest of the shortest ways to a state, in steps.
    pub depth: usize,
    /// For each finding, the length of the shortest way to it, the telling step included.
    pub first: BTreeMap<Finding, usize>,
    /// What the system remembered.
    pub notes: N,
}

/// Explores every interleaving. `progress` hears the number of states and the depth now and then.
pub fn explore<S: System>(
    system: &S,
    limits: Limits,
    progress: &mut dyn FnMut(usize, usize),
) -> Exploration<S::Notes> {
    let initial = system.initial();
    let mut store = Store::new(initial.len());
    store.insert(&initial);
    let mut run = Exploration {
        coverage: Coverage::Exhaustive,
        states: 0,
        transitions: 0,
        depth: 0,
        first: BTreeMap::new(),
        notes: S::Notes::default(),
    };
    let (mut from, mut to, mut depth) = (0, 1, 0);
    let mut returns = false;
    let mut scratch = Scratch::default();
    while from < to && run.coverage == Coverage::Exhaustive {
        run.depth = depth;
        for index in from..to {
            scratch.state.clear();
            scratch.state.extend_from_slice(store.get(index));
            let oldest = expand(system, &mut scratch, &mut store, &mut run, depth + 1);
            // A way back to a state that is not deeper is what a cycle cannot do without.
            returns |= oldest < to;
            if index % 0x4000 == 0 {
                progress(store.len(), depth);
            }
            if store.len() > limits.states {
                run.coverage = Coverage::Bounded;
                break;
            }
        }
        (from, to, depth) = (to, store.len(), depth + 1);
    }
    run.states = store.len();
    if returns
        && run.coverage == Coverage::Exhaustive
        && let Some(depth) = stuck::first(system, &store)
    {
        run.first.insert(Finding::LIVELOCK, depth);
    }
    run
}

#[derive(Default)]
struct Scratch {
    state: Vec<u64>,
    next: Vec<u64>,
    findings: Vec<Finding>,
}

/// Takes every step from one state; returns the lowest number of a state that a step leads to.
fn expand<S: System>(
    system: &S,
    scratch: &mut Scratch,
    store: &mut Store,
    run: &mut Exploration<S::Notes>,
    depth: usize,
) -> usize {
    let (mut moved, mut blocked, mut done) = (0, 0, 0);
    let mut oldest = usize::MAX;
    for actor in 0..system.actors() {
        let Scratch {
            state,
            next,
            findings,
        } = scratch;
        findings.clear();
        match system.step(state, actor, next, findings, &mut run.notes) {
            Taken::Moved => {
                moved += 1;
                run.transitions += 1;
                oldest = oldest.min(store.insert(next));
            }
            Taken::Crashed => moved += 1,
            Taken::Blocked => blocked += 1,
            Taken::Done => done += 1,
        }
        for finding in findings.drain(..) {
            run.first.entry(finding).or_insert(depth);
        }
    }
    if done == system.actors() {
        system.end(&scratch.state, &mut run.notes);
    } else if moved == 0 && blocked > 0 {
        run.first.entry(Finding::DEADLOCK).or_insert(depth - 1);
    }
    oldest
}

impl Notes for () {
    fn merge(&mut self, (): ()) {}
}
