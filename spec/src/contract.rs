//! Contracts: which guarantees held in which era.

use std::fmt;
use std::str::FromStr;

use crate::text::{ParseError, serde_as_text};

/// A named set of guarantees that the kernels of one era gave.
///
/// The laws stay the same; a contract says which steps an era permitted itself on the way.
/// A further guarantee that changed over time is a further field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contract {
    /// The name, which is also the text form.
    pub name: &'static str,
    /// What a split, and upkeep, may do to marks.
    pub marks: MarkGuarantee,
    /// When a mark that nobody wants any more is gone.
    pub munlock: MunlockGuarantee,
}

/// What a split may do to the marks of the folio that it breaks, and upkeep, migration for one, to marks
/// that somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkGuarantee {
    /// They leave them alone, at every step.
    Kept,
    /// They may clear them, wanted or not, and mark again, if they account for both.
    ClearedAndRemarked,
}

/// When a mark that nobody wants any more is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MunlockGuarantee {
    /// When all calls have returned.
    AtReturn,
    /// When all calls have returned and what they put off has been seen to.
    WhenSeenTo,
}

impl Contract {
    /// Up to v4.4: a split leaves marks alone.
    pub const ORIGINAL: Contract = Contract {
        name: "original",
        marks: MarkGuarantee::Kept,
        munlock: MunlockGuarantee::AtReturn,
    };

    /// From v4.5: a split unmaps the folio first and maps its parts afterwards, as migration does, and marks go and come with the mappings.
    pub const V4_5: Contract = Contract {
        name: "v4.5",
        marks: MarkGuarantee::ClearedAndRemarked,
        munlock: MunlockGuarantee::AtReturn,
    };

    /// From v5.18: mappings that go take their locker with them; and a page that lost a locker may wait in a batch, marked and counted, until its CPU sees to the batch.
    pub const V5_18: Contract = Contract {
        name: "v5.18",
        marks: MarkGuarantee::ClearedAndRemarked,
        munlock: MunlockGuarantee::WhenSeenTo,
    };

    /// All contracts, oldest first.
    pub const ALL: [Contract; 3] = [Contract::ORIGINAL, Contract::V4_5, Contract::V5_18];
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl FromStr for Contract {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let contract = Contract::ALL
            .into_iter()
            .find(|contract| contract.name == text.trim());
        contract.ok_or_else(|| ParseError::new("a contract: original, v4.5 or v5.18", text))
    }
}

serde_as_text!(Contract);
