//! Page vectors: batches of pages that a CPU keeps, each with a reference.

use super::op::Expr;
use serde::{Deserialize, Serialize};

/// What a page vector is for: a batch of pages, each with a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Batch {
    /// `pvec` of `__munlock_pagevec()`: the pages to munlock.
    Munlock,
    /// `pvec_putback`: the pages to be put back on a list, or whose references are to be dropped.
    Putback,
    /// The vector of a CPU on the way to the lists (`lru_add_pvec`).
    LruAdd,
}

impl Batch {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Batch; 3] = [Batch::Munlock, Batch::Putback, Batch::LruAdd];

    /// The kernel's name.
    pub fn name(self) -> &'static str {
        match self {
            Batch::Munlock => "pvec",
            Batch::Putback => "pvec_putback",
            Batch::LruAdd => "lru_add_pvec",
        }
    }
}

/// A page vector: whose, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Pagevec {
    /// Of the CPU that runs.
    Own(Batch),
    /// Of the CPU with this number.
    Of(u8, Batch),
}

impl Pagevec {
    /// The vector that is meant when `cpu` runs.
    pub(super) fn of(self, cpu: usize) -> (usize, Batch) {
        match self {
            Pagevec::Own(batch) => (cpu, batch),
            Pagevec::Of(other, batch) => (usize::from(other), batch),
        }
    }

    /// The first page in it from a number on; past the last page of memory, if there is none.
    pub fn next(self, from: impl Into<Expr>) -> Expr {
        Expr::NextIn(self, Box::new(from.into()))
    }

    /// How many pages are in it.
    pub fn count(self) -> Expr {
        Expr::CountIn(self)
    }
}
