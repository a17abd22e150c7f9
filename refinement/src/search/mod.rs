//! Searching a transition system; it knows nothing of pages or kernels.
//!
//! * [`explore()`]: breadth-first over every interleaving, level by level, on any number of threads;
//!   what was found, and how deep.
//! * [`Preemptions`]: a system under a bound on context switches.
//! * [`Reduction`]: which interleavings need not be told apart, and why that loses nothing.
//! * [`shortest()`]: a second pass that picks, among the shortest ways to a finding, the one with the
//!   fewest context switches, then the first in label order.
//! * [`sample()`]: random schedules, where there is too much to search.
//! * [`is_stuck`]: states from which no end can be reached.

mod expand;
mod explore;
mod preemptions;
mod reduce;
mod roots;
mod sample;
mod shortest;
mod store;
mod stuck;
mod table;

pub use explore::{Coverage, Exploration, Limits, Options, Progress, explore};
pub use preemptions::Preemptions;
pub use reduce::Reduction;
pub use sample::{Met, Random, Sample, Sampling, Scheduler, sample};
pub use shortest::{Goal, shortest};
pub use stuck::is_stuck;

/// Something worth telling about a step or a state; the system gives the numbers a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Finding(pub u16);

impl Finding {
    /// No actor can move, and not all of them are done.
    pub const DEADLOCK: Finding = Finding(u16::MAX);
    /// No way leads to an end any more, though actors can move.
    pub const LIVELOCK: Finding = Finding(u16::MAX - 1);
}

/// What became of an actor's attempt to take a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It took one.
    Moved,
    /// It has to wait for another actor.
    Blocked,
    /// The run ends here, in a failure that is reported as a finding.
    Crashed,
    /// It has nothing left to do.
    Done,
}

/// What a system wants to remember of everything that was explored; each thread has its own.
pub trait Notes: Default + Send {
    /// Adds what somebody else has seen. The order of such additions must not matter.
    fn merge(&mut self, other: Self);
}

impl Notes for () {
    fn merge(&mut self, (): ()) {}
}

/// A transition system of several actors that take one step at a time.
pub trait System: Sync {
    /// What it remembers.
    type Notes: Notes;

    /// The state to start from. All states have as many words.
    fn initial(&self) -> Vec<u64>;

    /// How many words of a state, from the first one on, belong to each of a few blocks that change
    /// together, such as what one actor alone changes: all words of a state, of which there is at
    /// least one. The fewer values each block takes, the less room the states do.
    fn blocks(&self) -> Vec<usize> {
        vec![self.initial().len()]
    }

    /// The number of actors.
    fn actors(&self) -> usize;

    /// Lets an actor take a step from `state`: fills in `next` if it moved, and adds what there is to
    /// tell about the step to `findings`, and to `notes`.
    fn step(
        &self,
        state: &[u64],
        actor: usize,
        next: &mut Vec<u64>,
        findings: &mut Vec<Finding>,
        notes: &mut Self::Notes,
    ) -> Taken;

    /// Looks at a state in which every actor is done.
    fn end(&self, state: &[u64], notes: &mut Self::Notes);

    /// A number that orders the steps an actor might take next; it breaks ties between schedules.
    /// On every way around a cycle some actor's number fails to rise.
    fn label(&self, state: &[u64], actor: usize) -> u32;

    /// About how much `actor` still has to do. Where several steps may be taken at once, the actor
    /// with the least goes first, so that few are still under way when another begins a long walk.
    fn left(&self, state: &[u64], actor: usize) -> usize {
        let _ = (state, actor);
        0
    }

    /// Replaces a state by one that stands for all states that differ from it only in which of several
    /// actors that are alike is which.
    fn canonical(&self, state: &mut [u64]) {
        let _ = state;
    }

    /// Says of all actors that are alike what was noted of one of them.
    fn share(&self, notes: &mut Self::Notes) {
        let _ = notes;
    }

    /// The actors that may do something before `actor` takes its next step that makes a difference to
    /// that step, or it to them (to the states they lead to, to whether they can be taken, or to
    /// what is told of them); a bit each.
    fn interferers(&self, state: &[u64], actor: usize, notes: &mut Self::Notes) -> u32 {
        let _ = (state, notes);
        !(1 << actor)
    }
}
