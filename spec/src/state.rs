//! The abstract state: pages, marks, one number, and who owes it what.

use serde::{Deserialize, Serialize};

pub use crate::actor::{Actor, Call, Mm};
use crate::folios::Folios;
use crate::pages::PageSet;

/// Everything that mlock accounting is about; all amounts are base pages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Which pages move together.
    pub folios: Folios,
    /// The pages that hold memory, and have not been freed.
    pub present: PageSet,
    /// The pages that count as mlocked: a folio's mark stands for all its pages.
    #[doc(alias = "PG_mlocked")]
    pub mlocked: PageSet,
    /// The published statistic.
    #[doc(alias = "NR_MLOCK")]
    pub nr_mlock: i64,
    /// Per actor: what it has changed in `mlocked` and not yet added to `nr_mlock`.
    pub debt: Vec<i64>,
    /// What actors still owed when they returned: what `nr_mlock` will never hear of.
    pub lost: i64,
    /// Per address space: the pages it maps inside an area that is to be kept in memory.
    #[doc(alias = "VM_LOCKED")]
    pub wanted: Vec<PageSet>,
    /// Per actor: the call it is inside of.
    pub call: Vec<Option<Call>>,
}

impl State {
    /// Builds a state in which all pages are present, none is mlocked or wanted, and nobody is inside a call.
    pub fn new(folios: Folios, actors: usize, mms: usize) -> Self {
        State {
            present: PageSet::range(0..folios.pages()),
            mlocked: PageSet::new(),
            nr_mlock: 0,
            debt: vec![0; actors],
            lost: 0,
            wanted: vec![PageSet::new(); mms],
            call: vec![None; actors],
            folios,
        }
    }

    /// Returns the pages that some address space wants.
    pub fn all_wanted(&self) -> PageSet {
        self.wanted
            .iter()
            .fold(PageSet::new(), |all, pages| all.union(pages))
    }

    /// Says whether no call is in flight.
    pub fn is_quiescent(&self) -> bool {
        self.call.iter().all(Option::is_none)
    }

    /// Returns `nr_mlock + Σ debt + lost − |mlocked|`, which no transition changes, and which is 0 in sound books.
    ///
    /// With a balance of 0, at quiescence, `nr_mlock` is wrong by exactly `−lost`.
    pub fn balance(&self) -> i64 {
        let owed = self
            .debt
            .iter()
            .fold(self.lost, |sum, debt| sum.wrapping_add(*debt));
        self.nr_mlock
            .wrapping_add(owed)
            .wrapping_sub(count(&self.mlocked))
    }

    /// Returns what `actor` owes, 0 if there is no such actor.
    pub fn debt_of(&self, actor: Actor) -> i64 {
        self.debt.get(actor.index()).copied().unwrap_or(0)
    }

    /// Returns the call that `actor` is inside of.
    pub fn call_of(&self, actor: Actor) -> Option<&Call> {
        self.call.get(actor.index()).and_then(Option::as_ref)
    }

    /// Returns the pages that `mm` wants, `None` if there is no such address space.
    pub fn wanted_by(&self, mm: Mm) -> Option<&PageSet> {
        self.wanted.get(mm.index())
    }
}

/// Returns the number of pages as a signed amount.
pub(crate) fn count(pages: &PageSet) -> i64 {
    i64::try_from(pages.len()).unwrap_or(i64::MAX)
}
