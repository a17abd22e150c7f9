//! Guards as data: every reason for which a transition can be refused.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::actor::{Actor, Call, Mm};
use crate::law::Law;
use crate::pages::PageSet;
use crate::text::{kinds, signed};
use crate::transition::Transition;

/// A guard that failed, with the numbers that made it fail; its text says what is the case, `debt is −3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Guard {
    /// The state has no such actor.
    UnknownActor {
        /// The actor named.
        actor: Actor,
    },
    /// The state has no such address space.
    UnknownMm {
        /// The address space named.
        mm: Mm,
    },
    /// Pages outside memory are named.
    OutsideMemory {
        /// The pages outside.
        pages: PageSet,
    },
    /// A call begins, and the actor is still inside another.
    CallInFlight {
        /// The call in flight.
        call: Call,
    },
    /// The actor is inside no call.
    NoCall,
    /// No page is named.
    NoPages,
    /// Pages are named that are not present.
    NotPresent {
        /// The absent pages.
        pages: PageSet,
    },
    /// Folios are named in part, and a mark stands for a whole folio.
    CutsFolio {
        /// The pages left out.
        left_out: PageSet,
    },
    /// Pages are marked that are mlocked already.
    AlreadyMlocked {
        /// The pages mlocked already.
        pages: PageSet,
    },
    /// Pages are cleared that are not mlocked.
    NotMlocked {
        /// The pages not mlocked.
        pages: PageSet,
    },
    /// A split call marks or clears, and the contract says that a split leaves marks alone.
    MarksInSplit,
    /// Pages are cleared or freed that an address space still wants.
    StillWanted {
        /// The pages still wanted.
        pages: PageSet,
        /// The first address space that wants some of them.
        mm: Mm,
    },
    /// Pages are freed that are still mlocked.
    StillMlocked {
        /// The pages still mlocked.
        pages: PageSet,
    },
    /// The amount accounted is not what the actor owes.
    WrongDelta {
        /// What the actor owes.
        debt: i64,
    },
    /// Nothing is accounted, and nothing is owed.
    NothingOwed,
    /// The actor returns while it owes.
    DebtAtReturn {
        /// What the actor owes.
        debt: i64,
    },
    /// A split names heads that are heads already.
    AlreadyHeads {
        /// The pages that are heads already.
        heads: PageSet,
    },
    /// A split changes which pages are mlocked.
    SplitChangesMarks {
        /// The pages of the broken folios that were mlocked before.
        before: PageSet,
        /// The pages that are mlocked afterwards.
        after: PageSet,
    },
    /// The pages collapsed are not neighbours.
    NotOneRun,
    /// The pages collapsed are one folio already.
    OneFolio,
    /// Of the pages collapsed some are mlocked and some are not.
    MixedMarks {
        /// The mlocked ones.
        mlocked: PageSet,
    },
    /// An address space is to want pages that it wants already.
    AlreadyWanted {
        /// The pages wanted already.
        pages: PageSet,
        /// The address space.
        mm: Mm,
    },
    /// An address space is to let go of pages that it does not want.
    NotWanted {
        /// The pages not wanted.
        pages: PageSet,
        /// The address space.
        mm: Mm,
    },
}

kinds! {
    /// A guard without its numbers.
    GuardKind of Guard:
    UnknownActor UnknownMm OutsideMemory CallInFlight NoCall
    NoPages NotPresent CutsFolio AlreadyMlocked NotMlocked MarksInSplit StillWanted StillMlocked
    WrongDelta NothingOwed DebtAtReturn
    AlreadyHeads SplitChangesMarks NotOneRun OneFolio MixedMarks
    AlreadyWanted NotWanted
}

impl GuardKind {
    /// Returns the law that the guard upholds.
    ///
    /// Guards that only keep out ill-formed transitions count towards [`Law::AccountExactly`].
    pub fn law(self) -> Law {
        match self {
            GuardKind::MarksInSplit | GuardKind::SplitChangesMarks | GuardKind::AlreadyHeads => {
                Law::SplitKeeps
            }
            GuardKind::StillWanted => Law::OthersKeep,
            _ => Law::AccountExactly,
        }
    }
}

impl Guard {
    /// Returns the law that the guard upholds.
    pub fn law(&self) -> Law {
        self.kind().law()
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Guard::UnknownActor { actor } => write!(f, "there is no {actor}"),
            Guard::UnknownMm { mm } => write!(f, "there is no address space {mm}"),
            Guard::OutsideMemory { pages } => write!(f, "{pages} outside memory"),
            Guard::CallInFlight { call } => write!(f, "{call} is in flight"),
            Guard::NoCall => write!(f, "no call is in flight"),
            Guard::NoPages => write!(f, "no page is named"),
            Guard::NotPresent { pages } => write!(f, "{pages} not present"),
            Guard::CutsFolio { left_out } => write!(f, "{left_out} of the same folio left out"),
            Guard::AlreadyMlocked { pages } => write!(f, "{pages} already mlocked"),
            Guard::NotMlocked { pages } => write!(f, "{pages} not mlocked"),
            Guard::MarksInSplit => write!(f, "a split leaves marks alone"),
            Guard::StillWanted { pages, mm } => write!(f, "{pages} still wanted by {mm}"),
            Guard::StillMlocked { pages } => write!(f, "{pages} still mlocked"),
            Guard::WrongDelta { debt } => write!(f, "debt is {}", signed(*debt)),
            Guard::NothingOwed => write!(f, "nothing is owed"),
            Guard::DebtAtReturn { debt } => write!(f, "debt is {}", signed(*debt)),
            Guard::AlreadyHeads { heads } => write!(f, "{heads} already a head"),
            Guard::SplitChangesMarks { before, after } => {
                write!(f, "{before} mlocked before, {after} after")
            }
            Guard::NotOneRun => write!(f, "pages are not neighbours"),
            Guard::OneFolio => write!(f, "pages are one folio already"),
            Guard::MixedMarks { mlocked } => write!(f, "only {mlocked} mlocked"),
            Guard::AlreadyWanted { pages, mm } => write!(f, "{pages} already wanted by {mm}"),
            Guard::NotWanted { pages, mm } => write!(f, "{pages} not wanted by {mm}"),
        }
    }
}

/// A transition that was refused, and the guard that refused it: `Account −4 refused: debt is −3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The transition.
    pub transition: Transition,
    /// The guard.
    pub guard: Guard,
}

impl Refusal {
    /// Returns the law that the transition would have broken.
    pub fn law(&self) -> Law {
        self.guard.law()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused: {}", self.transition.brief(), self.guard)
    }
}

impl std::error::Error for Refusal {}
