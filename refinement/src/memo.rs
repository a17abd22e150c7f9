//! What the judge said before.
//!
//! The judge is a function of what it can see of a step, and of few different steps at that: the
//! same mark is cleared in thousands of interleavings.
//! So its words are kept, under all that it can see, whole; nothing is guessed from a hash.
//! Wide states are seldom seen twice, and are judged anew each time.

use mlock_spec::{Law, TransitionKind};
use rustc_hash::FxHashMap;

/// The words of a judge, as far as the search needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nothing that the specification can see.
    Stutter,
    /// A transition, permitted or refused.
    Transition {
        /// Its kind.
        kind: TransitionKind,
        /// The law that refuses it, and the pages that wrongly gain a mark, or lose one (negative).
        refused: Option<(Law, Option<i64>)>,
        /// What the actor owes afterwards, in base pages.
        debt: i64,
        /// What is lost afterwards, in base pages.
        lost: i64,
    },
    /// No transition at all, or numbers too large for their variables.
    Limit,
}

/// One thread's memory of a judge.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    known: FxHashMap<Box<[u64]>, Said>,
    pub(crate) key: Vec<u64>,
}

/// The most words that are kept before all are forgotten.
const MOST: usize = 1 << 20;

impl Memo {
    /// What was said of the step that `key` describes, if it was asked before.
    pub(crate) fn recall(&self) -> Option<Said> {
        self.known.get(self.key.as_slice()).copied()
    }

    /// Keeps what is said of that step.
    pub(crate) fn keep(&mut self, said: Said) {
        if (self.known.len() + 1) * self.key.len() > MOST {
            self.known.clear();
        }
        self.known.insert(self.key.as_slice().into(), said);
    }
}
