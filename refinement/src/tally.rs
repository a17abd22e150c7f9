//! What is remembered of everything explored.

use crate::memo::Memo;
use crate::search::Notes;
use mlock_impl::machine::Ahead;
use mlock_spec::Law;
use std::collections::{BTreeMap, BTreeSet};

/// A final state, in the numbers of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Outcome {
    /// The statistic, in base pages.
    pub nr_mlock: i64,
    /// Mlocked base pages.
    pub mlocked: usize,
    /// Base pages that some area with `VM_LOCKED` maps.
    pub wanted: usize,
}

/// The least and the most of a signed amount of base pages; 0 is always in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Span {
    /// The least.
    pub least: i64,
    /// The most.
    pub most: i64,
}

impl Span {
    pub(crate) fn widen(&mut self, amount: i64) {
        self.least = self.least.min(amount);
        self.most = self.most.max(amount);
    }

    fn merge(&mut self, other: Span) {
        self.widen(other.least);
        self.widen(other.most);
    }
}

/// What is remembered of everything explored.
#[derive(Debug, Default)]
pub struct Tally {
    /// The laws that had something to say, each with the bit of its number.
    exercised: u16,
    /// Per CPU and instruction, the transitions its steps matched, as bits; bit 15 is a stutter.
    pub matched: Vec<Vec<u16>>,
    /// All final states.
    pub outcomes: BTreeSet<Outcome>,
    /// How far each broken law is broken: for `AccountExactly` what the statistic is wrong by when
    /// no call is in flight, otherwise the pages that have a mark too much (+) or lack one (−).
    pub effects: BTreeMap<Law, Span>,
    /// The statistic less the mlocked pages, in any state.
    pub transient: Span,
    /// What the judge said before.
    pub(crate) memo: Memo,
    /// What others may still do.
    pub(crate) ahead: Ahead,
}

/// The bit of [`Tally::matched`] for a step that changes nothing the specification can see.
pub const STUTTER: u16 = 1 << 15;

impl Tally {
    /// Notes that a law had something to say.
    pub(crate) fn exercise(&mut self, law: Law) {
        self.exercised |= 1 << law as u16;
    }

    /// Whether a law ever had something to say.
    pub fn exercised(&self, law: Law) -> bool {
        self.exercised & 1 << law as u16 != 0
    }

    pub(crate) fn effect(&mut self, law: Law, amount: i64) {
        self.effects.entry(law).or_default().widen(amount);
    }

    pub(crate) fn add_match(&mut self, cpu: usize, pc: usize, bit: u16) {
        if self.matched.len() <= cpu {
            self.matched.resize(cpu + 1, Vec::new());
        }
        let row = &mut self.matched[cpu];
        if row.len() <= pc {
            row.resize(pc + 1, 0);
        }
        row[pc] |= bit;
    }
}

impl Notes for Tally {
    fn merge(&mut self, other: Tally) {
        self.exercised |= other.exercised;
        for (cpu, row) in other.matched.into_iter().enumerate() {
            for (pc, bits) in row.into_iter().enumerate().filter(|(_, bits)| *bits != 0) {
                self.add_match(cpu, pc, bits);
            }
        }
        self.outcomes.extend(other.outcomes);
        for (law, span) in other.effects {
            self.effects.entry(law).or_default().merge(span);
        }
        self.transient.merge(other.transient);
    }
}
