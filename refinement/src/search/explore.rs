//! Breadth-first search, level by level, on any number of threads.
//!
//! A level is worked off in blocks.
//! First every thread takes steps from some of the block's states and sorts the states they lead to
//! by shard; then every thread adds what belongs to some of the shards.
//! No thread waits for a lock, and what is seen, counted and numbered does not depend on how many
//! there are.
//! Last, states that left an actor out and turn out to lead to a state that is not deeper are looked
//! at again, with the rest of the actors (see [`Reduction`]).

use super::reduce::{Reduction, Walker, everyone, members};
use super::store::{Entry, Id, PARTS, Store, place};
use super::{Finding, Notes, System, Taken, stuck};
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
    /// What the numbers of states have room for.
    fn default() -> Self {
        Limits {
            states: u32::MAX as usize - 1,
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
    /// Memory taken by the states, in bytes.
    pub bytes: usize,
    /// What the system remembered.
    pub notes: N,
}

/// Explores every interleaving; `watch` hears now and then how far it has come, and may stop it.
pub fn explore<S: System>(
    system: &S,
    options: Options,
    watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Exploration<S::Notes> {
    let mut search = Search::new(system, options);
    let mut coverage = search.run(watch);
    let livelock = match coverage {
        Coverage::Exhaustive if search.returns => {
            search.begin_level();
            stuck::first(
                system,
                options.reduction,
                &search.store,
                &search.levels,
                (&search.ends, &search.turns),
            )
        }
        _ => None,
    };
    if let Some(depth) = livelock {
        search.first.insert(Finding::LIVELOCK, depth);
    }
    if search.store.len() > options.limits.states {
        coverage = Coverage::Bounded;
    }
    let steps = search.walkers.iter().map(|walker| walker.steps).sum();
    let mut notes = S::Notes::default();
    for walker in search.walkers {
        notes.merge(walker.notes);
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
        bytes: search.store.bytes(),
        notes,
    }
}

/// For each part of the states, how many it had when a level began.
pub(super) type Level = [u32; PARTS];

/// States, each behind its number.
type Row = Vec<u64>;

/// States that one thread looks at in one go.
const CHUNK: usize = 64;
/// Chunks after which what they found is added.
const BLOCK: usize = 256;
/// Chunks for which a further thread is worth its while.
const WORTH: usize = 4;

struct Search<'s, S: System> {
    system: &'s S,
    options: Options,
    words: usize,
    store: Store,
    walkers: Vec<Walker<'s, S>>,
    levels: Vec<Level>,
    ends: Vec<Id>,
    /// All steps from states that lead to none at which the actors have come further.
    turns: Vec<(Id, Id)>,
    first: BTreeMap<Finding, usize>,
    transitions: usize,
    /// The level that is worked off.
    depth: usize,
    /// Whether some step led to a state that is not deeper: what a cycle cannot do without.
    returns: bool,
}

/// What one chunk of states leads to.
struct Found {
    /// The parent's number, then the state, for each.
    to: Vec<u64>,
    /// States without a way on.
    ends: Vec<Id>,
    transitions: usize,
    findings: Vec<Finding>,
    /// What actors that wait tell.
    waiting: Vec<Finding>,
    deadlock: bool,
}

impl<'s, S: System> Search<'s, S> {
    fn new(system: &'s S, options: Options) -> Self {
        let words = system.initial().len();
        let threads = options.threads.max(1);
        Search {
            system,
            options,
            words,
            store: Store::new(words),
            walkers: (0..threads)
                .map(|_| Walker::new(system, options.reduction))
                .collect(),
            levels: Vec::new(),
            ends: Vec::new(),
            turns: Vec::new(),
            first: BTreeMap::new(),
            transitions: 0,
            depth: 0,
            returns: false,
        }
    }

    fn run(&mut self, watch: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Coverage {
        let mut level = self.start();
        loop {
            if self.depth >= self.options.limits.depth {
                return Coverage::Bounded;
            }
            let mut next = Row::new();
            let stride = self.words + 1;
            let chunks: Vec<&[u64]> = level.chunks(CHUNK * stride).collect();
            let mut left = level.len() / stride;
            for block in chunks.chunks(BLOCK) {
                let found = self.expand(block, Who::Enough);
                let again = self.take_in(&found, &mut next);
                if !again.is_empty() {
                    let states = self.states(again);
                    let chunks: Vec<&[u64]> = states.chunks(CHUNK * stride).collect();
                    let found = self.expand(&chunks, Who::Rest);
                    self.take_in(&found, &mut next);
                }
                left -= block.iter().map(|chunk| chunk.len()).sum::<usize>() / stride;
                let bytes = self.store.bytes();
                let progress = Progress {
                    states: self.store.len(),
                    frontier: left + next.len() / stride,
                    depth: self.depth,
                    bytes,
                };
                let limits = &self.options.limits;
                let over = self.store.len() > limits.states || bytes > limits.bytes;
                if watch(progress).is_break() || over {
                    return Coverage::Bounded;
                }
            }
            if next.is_empty() {
                return Coverage::Exhaustive;
            }
            self.begin_level();
            self.depth += 1;
            level = next;
        }
    }

    /// Puts the first state in its place.
    fn start(&mut self) -> Row {
        let mut state = self.system.initial();
        if self.options.reduction.fuse
            && let Some(walker) = self.walkers.first_mut()
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
        self.begin_level();
        // The first state is its own parent; its number depends on nothing but itself.
        let mut entry = vec![0];
        entry.extend(&state);
        let (first, _) = self.store.insert(&entry);
        self.store.set_parent(first, first);
        self.begin_level();
        entry[0] = u64::from(first);
        entry
    }

    fn begin_level(&mut self) {
        self.levels.push(self.store.sizes());
    }

    /// Takes every step from the states of some chunks.
    fn expand(&mut self, chunks: &[&[u64]], who: Who) -> Vec<Found> {
        let (system, stride) = (self.system, self.words + 1);
        let threads = self.walkers.len().min(chunks.len() / WORTH).max(1);
        if threads == 1 {
            let walker = &mut self.walkers[0];
            return chunks
                .iter()
                .map(|chunk| expand(system, walker, chunk, (stride, who)))
                .collect();
        }
        let next = AtomicUsize::new(0);
        let mut found: Vec<(usize, Found)> = std::thread::scope(|scope| {
            let handles: Vec<_> = self.walkers[..threads]
                .iter_mut()
                .map(|walker| {
                    let next = &next;
                    scope.spawn(move || {
                        let mut mine = Vec::new();
                        loop {
                            let i = next.fetch_add(1, Ordering::Relaxed);
                            let Some(chunk) = chunks.get(i) else {
                                return mine;
                            };
                            mine.push((i, expand(system, walker, chunk, (stride, who))));
                        }
                    })
                })
                .collect();
            handles.into_iter().flat_map(joined).collect()
        });
        found.sort_by_key(|(i, _)| *i);
        found.into_iter().map(|(_, found)| found).collect()
    }

    /// The states with these numbers, each behind its number.
    fn states(&self, mut ids: Vec<Id>) -> Row {
        ids.sort_unstable();
        ids.dedup();
        let mut row = Row::new();
        for id in ids {
            row.push(u64::from(id));
            self.store.get(id, &mut row);
        }
        row
    }

    /// Adds what was found; what is new becomes part of the next level.
    ///
    /// Returns the states that left an actor out and lead to a state that is not deeper.
    fn take_in(&mut self, found: &[Found], next: &mut Row) -> Vec<Id> {
        // Who waits tells so in the state that it waits in, who moves at the end of the step.
        for finding in found.iter().flat_map(|one| &one.waiting) {
            self.first.entry(*finding).or_insert(self.depth);
        }
        for one in found {
            self.transitions += one.transitions;
            self.ends.extend(&one.ends);
            for finding in &one.findings {
                self.first.entry(*finding).or_insert(self.depth + 1);
            }
            if one.deadlock {
                self.first.entry(Finding::DEADLOCK).or_insert(self.depth);
            }
        }
        let Some(&level) = self.levels.last() else {
            return Vec::new();
        };
        let stride = self.words + 1;
        let entries = found.iter().flat_map(|one| one.to.chunks_exact(stride));
        let entries: Vec<Entry<'_>> = entries.collect();
        let threads = self.walkers.len().min(found.len() / WORTH).max(1);
        let mut again = Vec::new();
        let (returns, turns) = (&mut self.returns, &mut self.turns);
        self.store
            .insert_all(&entries, threads, |entry, (id, new)| {
                if entry[0] & TURN != 0 {
                    turns.push((entry[0] as Id, id));
                }
                let (part, number) = place(id);
                if number < level[part] {
                    *returns = true;
                    if entry[0] & LEFT_OUT != 0 {
                        again.push(entry[0] as Id);
                    }
                }
                if new {
                    next.push(u64::from(id));
                    next.extend(&entry[1..]);
                }
            });
        again
    }
}

/// Which actors of a state to try.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// As few as suffice.
    Enough,
    /// Those that were left out.
    Rest,
}

/// The bit of a parent that left an actor out.
const LEFT_OUT: u64 = 1 << 32;
/// The bit of a parent that leads to no state at which the actors have come further, as far as those
/// go that were tried.
const TURN: u64 = 1 << 33;

/// What a thread returns; a thread that panics takes the search with it.
fn joined<T>(handle: std::thread::ScopedJoinHandle<'_, T>) -> T {
    handle
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Takes steps from the states of one chunk.
fn expand<S: System>(
    system: &S,
    walker: &mut Walker<'_, S>,
    chunk: &[u64],
    (stride, who): (usize, Who),
) -> Found {
    let mut found = Found {
        to: Vec::new(),
        ends: Vec::new(),
        transitions: 0,
        findings: Vec::new(),
        waiting: Vec::new(),
        deadlock: false,
    };
    let all = everyone(system.actors());
    let mut tried: Vec<Tried> = (0..system.actors()).map(|_| Tried::default()).collect();
    for entry in chunk.chunks_exact(stride) {
        let (parent, state) = (entry[0], &entry[1..]);
        for one in &mut tried {
            one.taken = None;
        }
        let mut set = enough(walker, state, &mut tried);
        if who == Who::Rest {
            set = all & !set;
            for actor in members(set) {
                tried[actor].attempt(walker, state, actor);
            }
        }
        found.findings.append(&mut walker.findings);
        found.waiting.append(&mut walker.waiting);
        let left_out = if set == all || who == Who::Rest {
            0
        } else {
            LEFT_OUT
        };
        let from = how_far(system, state);
        let moves = || members(set).map(|actor| &tried[actor]);
        let moves = || moves().filter(|one| one.taken == Some(Taken::Moved));
        let turn = if moves().any(|one| how_far(system, &one.next) > from) {
            0
        } else {
            TURN
        };
        for one in moves() {
            found.transitions += 1;
            found.to.push(parent | left_out | turn);
            found.to.extend(&one.next);
        }
        if set == all {
            found.conclude(system, walker, parent as Id, state, &tried);
        }
    }
    for told in [&mut found.findings, &mut found.waiting] {
        told.sort();
        told.dedup();
    }
    found
}

/// How far the actors have come together: where this rises from step to step, there is an end to it.
fn how_far<S: System>(system: &S, state: &[u64]) -> u64 {
    let labels = (0..system.actors()).map(|actor| u64::from(system.label(state, actor)));
    labels.sum()
}

/// Tries sets of actors until one suffices: one of it moves, and none crashes.
fn enough<S: System>(walker: &mut Walker<'_, S>, state: &[u64], tried: &mut [Tried]) -> u32 {
    let mut last = 0;
    for set in walker.candidates(state) {
        last = set;
        for actor in members(set) {
            tried[actor].attempt(walker, state, actor);
        }
        let has = |taken| members(set).any(|actor| tried[actor].taken == Some(taken));
        if has(Taken::Moved) && !has(Taken::Crashed) {
            break;
        }
    }
    last
}

impl Found {
    /// Notes what becomes of a state in which all actors were tried.
    fn conclude<S: System>(
        &mut self,
        system: &S,
        walker: &mut Walker<'_, S>,
        id: Id,
        state: &[u64],
        tried: &[Tried],
    ) {
        let count = |taken| tried.iter().filter(|one| one.taken == Some(taken)).count();
        if count(Taken::Done) == tried.len() {
            system.end(state, &mut walker.notes);
        }
        let moved = count(Taken::Moved);
        self.deadlock |= moved == 0 && count(Taken::Crashed) == 0 && count(Taken::Blocked) > 0;
        // A crash is an end that this state reaches.
        if moved == 0 || count(Taken::Crashed) > 0 {
            self.ends.push(id);
        }
    }
}

/// An actor's attempt to take a step.
#[derive(Default)]
struct Tried {
    taken: Option<Taken>,
    next: Vec<u64>,
}

impl Tried {
    fn attempt<S: System>(&mut self, walker: &mut Walker<'_, S>, state: &[u64], actor: usize) {
        if self.taken.is_none() {
            self.taken = Some(walker.go(state, actor, &mut self.next));
        }
    }
}
