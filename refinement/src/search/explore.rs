//! Breadth-first search, level by level, on any number of threads.
//!
//! A level is worked off in blocks.
//! First every thread takes steps from some of the block's states, and looks up what the states they
//! lead to consist of; then what was found is added, in the order of the states it was found from.
//! No thread waits for a lock, and what is seen, counted and numbered does not depend on how many
//! there are.
//! Last, states that left an actor out and turn out to lead to a state that is not deeper are looked
//! at again, with the rest of the actors (see [`Reduction`]).

use super::expand::{Found, Leads, Who, Worker};
use super::reduce::Reduction;
use super::roots::{AHEAD, spread};
use super::store::{Id, Store, is_known};
use super::stuck::{self, Onward};
use super::{Finding, Notes, System};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

/// When to stop early.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most states to keep.
    pub states: usize,
    /// The most levels to go down, in steps (or runs of fused ones).
    pub depth: usize,
    /// The most memory for states, in bytes.
    pub bytes: usize,
    /// The most times to leave an actor that could go on; see [`Preemptions`](super::Preemptions).
    /// That one is for whoever calls [`explore`] to see to.
    pub preemptions: Option<u16>,
}

impl Default for Limits {
    /// What the numbers of states have room for: a block of states is worked off before it is seen
    /// that there are too many.
    fn default() -> Self {
        Limits {
            states: u32::MAX as usize - 32 * CHUNK * BLOCK,
            depth: usize::MAX,
            bytes: usize::MAX,
            preemptions: None,
        }
    }
}

/// How to search.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// When to stop early.
    pub limits: Limits,
    /// Which interleavings not to tell apart.
    pub reduction: Reduction,
    /// Threads to use, at least one; 0 is one.
    pub threads: usize,
}

impl Options {
    /// Every interleaving on one thread, up to a number of states.
    pub fn up_to(states: usize) -> Options {
        Options {
            limits: Limits {
                states,
                ..Limits::default()
            },
            ..Options::default()
        }
    }
}

/// How far a search has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// States seen.
    pub states: usize,
    /// States of this level not looked at yet, and those of the next one found so far.
    pub frontier: usize,
    /// The level.
    pub depth: usize,
    /// Memory taken by states, in bytes.
    pub bytes: usize,
}

/// How much of the space a run has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
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
    /// Steps from a state to a state, several to the same one counted each; fused ones are one.
    pub transitions: usize,
    /// Steps taken to find that out, fused ones each.
    pub steps: usize,
    /// The longest of the shortest ways to a state, in steps; fused ones are one.
    pub depth: usize,
    /// For each finding, the length of the shortest way to it, the telling step included.
    pub first: BTreeMap<Finding, usize>,
    /// Memory taken by the states and what is kept of each, in bytes.
    pub bytes: usize,
    /// What the system remembered.
    pub notes: N,
}

/// Explores every interleaving; `watch` hears now and then how far it has come, and may stop it.
///
/// # Panics
///
/// If the blocks of a state are not all its words ([`System::blocks`]): states would be mixed up.
pub fn explore<S: System>(
    system: &S,
    options: Options,
    watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Exploration<S::Notes> {
    let mut search = Search::new(system, options);
    let coverage = search.run(watch);
    let limits = options.limits;
    let livelock = match coverage {
        // Who may not go on for a bound is not stuck.
        Coverage::Exhaustive if search.returns && limits.preemptions.is_none() => stuck::first(
            system,
            options.reduction,
            &search.store,
            &search.levels,
            &search.onward,
        ),
        _ => None,
    };
    if let Some(depth) = livelock {
        search.first.insert(Finding::LIVELOCK, depth);
    }
    let bytes = search.bytes();
    let steps = search.workers.iter().map(|one| one.walker.steps).sum();
    let mut notes = S::Notes::default();
    for worker in search.workers {
        notes.merge(worker.walker.notes);
    }
    if options.reduction.symmetry {
        system.share(&mut notes);
    }
    Exploration {
        coverage,
        states: search.store.len(),
        transitions: search.transitions,
        steps,
        depth: search.depth,
        first: search.first,
        bytes,
        notes,
    }
}

/// States that one thread looks at in one go.
const CHUNK: usize = 64;
/// Chunks after which what they found is added.
const BLOCK: usize = 256;
/// Chunks for which a further thread is worth its while.
const WORTH: usize = 4;

struct Search<'s, S: System> {
    system: &'s S,
    options: Options,
    store: Store,
    workers: Vec<Worker<'s, S>>,
    /// How many states there were when each level began.
    levels: Vec<Id>,
    onward: Onward,
    first: BTreeMap<Finding, usize>,
    transitions: usize,
    /// The level that is worked off.
    depth: usize,
    /// Whether some step led to a state that is not deeper: what a cycle cannot do without.
    returns: bool,
}

impl<'s, S: System> Search<'s, S> {
    fn new(system: &'s S, options: Options) -> Self {
        let (store, words) = (Store::new(&system.blocks()), system.initial().len());
        assert!(
            store.words() == words && words > 0,
            "the blocks of a state are all its words"
        );
        let worker = |_| Worker::new(system, &store, options.reduction);
        Search {
            system,
            options,
            workers: (0..options.threads.max(1)).map(worker).collect(),
            store,
            levels: Vec::new(),
            onward: Onward::default(),
            first: BTreeMap::new(),
            transitions: 0,
            depth: 0,
            returns: false,
        }
    }

    /// Memory taken by states and by what is kept of each, in bytes.
    fn bytes(&self) -> usize {
        self.store.bytes() + self.onward.bytes()
    }

    fn run(&mut self, watch: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Coverage {
        self.start();
        let mut done = 0;
        loop {
            if self.depth >= self.options.limits.depth {
                return Coverage::Bounded;
            }
            let end = self.store.len() as Id;
            self.levels.push(end);
            while done < end {
                let block = done..end.min(done + (CHUNK * BLOCK) as Id);
                done = block.end;
                let found = self.expand(&block.collect::<Vec<Id>>(), Who::Enough);
                let mut again = self.take_in(&found);
                if !again.is_empty() {
                    again.sort_unstable();
                    again.dedup();
                    let found = self.expand(&again, Who::Rest);
                    self.take_in(&found);
                }
                let bytes = self.bytes();
                let progress = Progress {
                    states: self.store.len(),
                    frontier: self.store.len() - done as usize,
                    depth: self.depth,
                    bytes,
                };
                let limits = &self.options.limits;
                let over = self.store.len() > limits.states || bytes > limits.bytes;
                if watch(progress).is_break() || over {
                    return Coverage::Bounded;
                }
            }
            if self.store.len() == done as usize {
                return Coverage::Exhaustive;
            }
            self.depth += 1;
        }
    }

    /// Puts the first state in its place.
    fn start(&mut self) {
        let mut state = self.system.initial();
        if self.options.reduction.fuse
            && let Some(Worker { walker, .. }) = self.workers.first_mut()
        {
            walker.follow(&mut state);
            for finding in walker.findings.drain(..) {
                self.first.entry(finding).or_insert(1);
            }
            for finding in walker.waiting.drain(..) {
                self.first.entry(finding).or_insert(1);
            }
        }
        if self.options.reduction.symmetry {
            self.system.canonical(&mut state);
        }
        self.store.insert(&state);
        self.levels.push(0);
    }

    /// Takes every step from some states.
    fn expand(&mut self, states: &[Id], who: Who) -> Vec<Found> {
        let chunks: Vec<&[Id]> = states.chunks(CHUNK).collect();
        let threads = self.workers.len().min(chunks.len() / WORTH).max(1);
        let (store, workers) = (&self.store, &mut self.workers[..threads]);
        if let [worker] = workers {
            let expand = |chunk: &&[Id]| worker.expand(store, chunk, who);
            return chunks.iter().map(expand).collect();
        }
        let next = AtomicUsize::new(0);
        let work = |worker: &mut Worker<'s, S>| {
            let mut mine = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(chunk) = chunks.get(i) else {
                    return mine;
                };
                mine.push((i, worker.expand(store, chunk, who)));
            }
        };
        let mut found: Vec<(usize, Found)> = std::thread::scope(|scope| {
            let spawn = |worker| scope.spawn(|| work(worker));
            let handles: Vec<_> = workers.iter_mut().map(spawn).collect();
            handles.into_iter().flat_map(joined).collect()
        });
        found.sort_by_key(|(i, _)| *i);
        found.into_iter().map(|(_, found)| found).collect()
    }

    /// Adds what was found; what is new belongs to the next level.
    ///
    /// Returns the states that left an actor out and lead to a state that is not deeper.
    fn take_in(&mut self, found: &[Found]) -> Vec<Id> {
        // Who waits tells so in the state that it waits in, who moves at the end of the step.
        for finding in found.iter().flat_map(|one| &one.waiting) {
            self.first.entry(*finding).or_insert(self.depth);
        }
        let next_level = self.levels.last().copied().unwrap_or(0);
        let words = self.store.words();
        let mut again = Vec::new();
        for one in found {
            self.transitions += one.steps.len();
            self.onward.ends.extend(&one.ends);
            for finding in &one.findings {
                self.first.entry(*finding).or_insert(self.depth + 1);
            }
            if one.deadlock {
                self.first.entry(Finding::DEADLOCK).or_insert(self.depth);
            }
            let mut unknown = one.unknown.chunks_exact(words);
            for steps in one.steps.chunks(AHEAD) {
                let mut hashes = [0; AHEAD];
                for (hash, step) in hashes.iter_mut().zip(steps) {
                    *hash = spread(step.to);
                }
                self.store.touch(&hashes[..steps.len()]);
                for (step, hash) in steps.iter().zip(hashes) {
                    let (mut to, mut hash) = (step.to, hash);
                    if !is_known(to) {
                        let state = unknown.next().unwrap_or_default();
                        to = self.store.number(to, state);
                        hash = spread(to);
                    }
                    let (id, _) = self.store.add(to, hash);
                    match step.leads {
                        Leads::Forwards => self.onward.forwards(step.from, id),
                        Leads::Back => self.onward.turn(step.from, id),
                        Leads::Aside => {}
                    }
                    if id < next_level {
                        self.returns = true;
                        if step.left_out {
                            again.push(step.from);
                        }
                    }
                }
            }
        }
        again
    }
}

/// What a thread returns; a thread that panics takes the search with it.
fn joined<T>(handle: std::thread::ScopedJoinHandle<'_, T>) -> T {
    handle
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
