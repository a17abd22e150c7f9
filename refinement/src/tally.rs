//! What is remembered of everything explored.

use crate::memo::Memo;
use crate::search::Notes;
use mlock_impl::machine::Ahead;
use mlock_spec::{GuardKind, Law};
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

/// Guards of the specification that were asked, each with the bit of its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    passed: u32,
    refused: u32,
}

impl Guards {
    /// Notes what a guard said.
    pub(crate) fn note(&mut self, guard: GuardKind, refuses: bool) {
        let said = if refuses {
            &mut self.refused
        } else {
            &mut self.passed
        };
        *said |= 1 << guard as u32;
    }

    pub(crate) fn merge(&mut self, other: Guards) {
        self.passed |= other.passed;
        self.refused |= other.refused;
    }

    /// Whether a guard was ever asked and let a step pass, and whether it ever refused one.
    ///
    /// Where states are wide (from about 64 pages on) only refusals are noted.
    pub fn seen(&self, guard: GuardKind) -> (bool, bool) {
        let bit = 1 << guard as u32;
        (self.passed & bit != 0, self.refused & bit != 0)
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
    /// The guards of the specification that were asked.
    pub guards: Guards,
    /// What the judge said before.
    pub(crate) memo: Memo,
    /// What others may still do.
    pub(crate) ahead: Ahead,
}

/// The bit of [`Tally::matched`] for a step that changes nothing the specification can see.
pub const STUTTER: u16 = 1 << 15;

impl Tally {
    /// Gives back the memory that only a search needs.
    pub(crate) fn forget(&mut self) {
        self.memo = Memo::default();
        self.ahead = Ahead::default();
    }

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

    /// Says of each of some CPUs what was matched by any of them.
    pub(crate) fn share(&mut self, cpus: &[usize]) {
        let rows = cpus.iter().filter_map(|&cpu| self.matched.get(cpu));
        let mut shared: Vec<u16> = Vec::new();
        for row in rows {
            shared.resize(shared.len().max(row.len()), 0);
            for (all, bits) in shared.iter_mut().zip(row) {
                *all |= bits;
            }
        }
        for &cpu in cpus {
            for (pc, bits) in shared.iter().enumerate().filter(|(_, bits)| **bits != 0) {
                self.add_match(cpu, pc, *bits);
            }
        }
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
        self.guards.merge(other.guards);
    }
}
