//! The laws, each with a sentence, a formula and a reason.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::contract::{Contract, MunlockGuarantee};
use crate::pages::PageSet;
use crate::state::State;
use crate::text::ParseError;

/// Something that mlock accounting promises.
///
/// The first five speak of the abstract state and are judged in this crate.
/// [`Progress`](Law::Progress), [`LockOrder`](Law::LockOrder) and [`NoBug`](Law::NoBug) speak of locks, waiting and asserts;
/// an abstract state has none of these, so whoever has the concrete steps must judge them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Law {
    /// The statistic and what is owed to it make up the mlocked pages.
    AccountExactly,
    /// A split leaves marks alone.
    SplitKeeps,
    /// What nobody wants is not mlocked.
    MunlockTakesEffect,
    /// What somebody wants is mlocked.
    MlockTakesEffect,
    /// Nobody takes a mark that another still wants.
    OthersKeep,
    /// Everybody gets on.
    Progress,
    /// Locks are taken in one order.
    LockOrder,
    /// No assert fires.
    NoBug,
}

impl Law {
    /// All laws.
    pub const ALL: [Law; 8] = [
        Law::AccountExactly,
        Law::SplitKeeps,
        Law::MunlockTakesEffect,
        Law::MlockTakesEffect,
        Law::OthersKeep,
        Law::Progress,
        Law::LockOrder,
        Law::NoBug,
    ];

    /// Returns the name, which is also the text form.
    pub fn name(self) -> &'static str {
        match self {
            Law::AccountExactly => "AccountExactly",
            Law::SplitKeeps => "SplitKeeps",
            Law::MunlockTakesEffect => "MunlockTakesEffect",
            Law::MlockTakesEffect => "MlockTakesEffect",
            Law::OthersKeep => "OthersKeep",
            Law::Progress => "Progress",
            Law::LockOrder => "LockOrder",
            Law::NoBug => "NoBug",
        }
    }

    /// Returns the law as a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Law::AccountExactly => {
                "The statistic plus what its changers still owe it is the number of mlocked pages, and nobody returns owing."
            }
            Law::SplitKeeps => "A split never changes which pages are mlocked.",
            Law::MunlockTakesEffect => {
                "When no call is in flight, every mlocked page is wanted by somebody."
            }
            Law::MlockTakesEffect => {
                "When no call is in flight, every present page that somebody wants is mlocked."
            }
            Law::OthersKeep => "Nobody clears or frees a page that somebody still wants.",
            Law::Progress => {
                "Every call returns: nobody waits for ever, and nobody goes round for ever."
            }
            Law::LockOrder => {
                "All locks are taken in one order, and nobody sleeps under a spinlock."
            }
            Law::NoBug => "No assert of the kernel fires.",
        }
    }

    /// Returns the law as a formula.
    pub fn formula(self) -> &'static str {
        match self {
            Law::AccountExactly => "nr_mlock + Σₐ debt[a] = |mlocked| ∧ (Return(a) ⇒ debt[a] = 0)",
            Law::SplitKeeps => "Split ⇒ mlocked′ = mlocked",
            Law::MunlockTakesEffect => "(∀a: call[a] = ∅) ⇒ mlocked ⊆ ⋃ wanted",
            Law::MlockTakesEffect => "(∀a: call[a] = ∅) ⇒ present ∩ ⋃ wanted ⊆ mlocked",
            Law::OthersKeep => "Clear(P) ∨ Free(P) ⇒ P ∩ ⋃ wanted = ∅",
            Law::Progress => "□(call[a] ≠ ∅ ⇒ ◇ call[a] = ∅)",
            Law::LockOrder => "(held → taken)⁺ is irreflexive",
            Law::NoBug => "□ ¬BUG",
        }
    }

    /// Returns why the kernel wants it.
    pub fn why(self) -> &'static str {
        match self {
            Law::AccountExactly => {
                "The statistic only ever changes by differences, so an error once made is never put right: it stays until the next boot."
            }
            Law::SplitKeeps => {
                "A split does not touch the statistic: it counts on many small marks weighing as much as the one large mark before."
            }
            Law::MunlockTakesEffect => {
                "A page that stays mlocked for nobody cannot be reclaimed, and the memory is lost to everyone."
            }
            Law::MlockTakesEffect => {
                "A page that is wanted and not mlocked is offered to reclaim again and again, and looks free to whoever reads the statistic."
            }
            Law::OthersKeep => {
                "Pages are shared: letting go of one's own lock must not undo somebody else's."
            }
            Law::Progress => "A system call that never returns hangs its process, and soon others.",
            Law::LockOrder => {
                "Two orders of the same two locks are a deadlock that waits for its moment."
            }
            Law::NoBug => {
                "The kernel's own asserts state what its authors relied on; one that fires stops the machine."
            }
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Law {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let law = Law::ALL.into_iter().find(|law| law.name() == text.trim());
        law.ok_or_else(|| ParseError::new("a law such as AccountExactly", text))
    }
}

/// What kernels with lists and batches know of pages, beside the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtRest {
    /// The pages that somebody has put off to see to.
    pub put_off: PageSet,
    /// The pages that a list keeps from reclaim, marked or not.
    pub kept: PageSet,
}

/// A law that a quiescent state breaks, and the pages at fault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// The law.
    pub law: Law,
    /// The pages at fault, never empty.
    pub pages: PageSet,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = match self.law {
            Law::MunlockTakesEffect => "mlocked for nobody",
            Law::MlockTakesEffect => "wanted but not mlocked",
            _ => "at fault",
        };
        write!(f, "{}: {} {fault}", self.law, self.pages)
    }
}

impl State {
    /// Returns how a quiescent state breaks [`Law::MunlockTakesEffect`] and [`Law::MlockTakesEffect`].
    ///
    /// While a call is in flight another may rightly be half-way, so the answer is then empty.
    /// The other laws speak of steps: the guards judge those that the abstract state can see.
    pub fn quiescent_violations(&self) -> Vec<Violation> {
        self.violations_at_rest(&Contract::ORIGINAL, &AtRest::default())
    }

    /// As [`quiescent_violations`](State::quiescent_violations), under a contract that may permit a mark to outlive the call that should clear it.
    ///
    /// Under [`MunlockGuarantee::WhenSeenTo`] a page that was put off may keep a mark that nobody wants; every other page is judged as ever, and so is this one, as soon as it has been seen to.
    pub fn violations_at_rest(&self, contract: &Contract, lists: &AtRest) -> Vec<Violation> {
        if !self.is_quiescent() {
            return Vec::new();
        }
        let wanted = self.all_wanted();
        let kept = self.mlocked.union(&lists.kept).intersection(&self.present);
        let stray = match contract.munlock {
            MunlockGuarantee::AtReturn => kept.difference(&wanted),
            MunlockGuarantee::WhenSeenTo => kept.difference(&wanted.union(&lists.put_off)),
        };
        let missed = wanted.intersection(&self.present).difference(&self.mlocked);
        [
            (Law::MunlockTakesEffect, stray),
            (Law::MlockTakesEffect, missed),
        ]
        .into_iter()
        .filter(|(_, pages)| !pages.is_empty())
        .map(|(law, pages)| Violation { law, pages })
        .collect()
    }
}
