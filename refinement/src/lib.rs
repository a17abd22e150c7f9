//! The claim: every step that any interleaving of a kernel program can take is a step of the
//! specification, or no step at all — or here is the shortest interleaving that is neither.
//!
//! * [`relation`]: what a machine state means in the specification. Read this first.
//! * [`contract`]: what each kernel promises.
//! * [`judge`]: whether a concrete step is a step of the specification.
//! * [`search`]: every interleaving of a transition system; knows nothing of pages or kernels.
//! * [`system`]: a kernel on a machine, judged, as such a transition system.
//! * [`fixture`]: scenarios with their expected verdicts, in RON.
//! * [`check`]: a fixture at one size, searched and compared with what it expects.
//! * [`counterexample`]: the shortest interleaving, drawn and replayed.
//! * [`verdicts`]: fixtures × laws, as a table.
//! * [`vacuity`]: what no run has seen.
//! * [`guarantees`]: the verdicts of all fixtures of a kernel, put together.
//! * [`known_bugs`]: what fixtures stand for.
//! * [`costs`]: how often each lock is taken.
//! * [`mutants`]: what happens to a kernel with a mistake in it.
//! * [`book`]: what follows for kernels, as chapters.
//!
//! # What this does not model
//!
//! See the machine's list in `mlock_impl`.
//! A verdict holds for the scenario and the sizes it was checked at.

/// What the checker has to say about kernels, chapter by chapter.
pub mod book {
    #[doc = include_str!("book/live_race.md")]
    pub mod live_race {}
}
pub mod check;
pub mod contract;
pub mod costs;
pub mod counterexample;
pub mod fixture;
mod footprint;
pub mod guarantees;
pub mod judge;
pub mod known_bugs;
mod memo;
pub mod mutants;
pub mod parallel;
pub mod reasons;
pub mod relation;
pub mod search;
pub mod system;
pub mod table;
mod tally;
mod told;
pub mod vacuity;
pub mod verdicts;
