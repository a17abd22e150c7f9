//! Transitions: the only ways in which the abstract state may change.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::actor::{Actor, Call, Mm};
use crate::pages::PageSet;
use crate::text::{ParseError, kinds, parse_signed, signed, split_trim};

/// One atomic change of the abstract state, done by one actor, written `CPU0: Clear {0-2}`.
///
/// Guards are in [`State::guards`](crate::State::guards), effects in [`State::effect`](crate::State::effect).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Transition {
    /// A call begins.
    Call {
        /// Who is called.
        actor: Actor,
        /// What for.
        call: Call,
    },
    /// An address space wants further pages, which are there: an area was flagged, or pages became mapped in a flagged area.
    Want {
        /// Who acts.
        actor: Actor,
        /// The address space.
        mm: Mm,
        /// The pages that it now wants too.
        pages: PageSet,
    },
    /// An address space no longer wants pages: an area lost its flag, or pages were unmapped from a flagged area.
    Unwant {
        /// Who acts.
        actor: Actor,
        /// The address space.
        mm: Mm,
        /// The pages that it wants no longer.
        pages: PageSet,
    },
    /// Pages become mlocked.
    #[doc(alias = "TestSetPageMlocked")]
    Mark {
        /// Who acts, and owes the pages from now on.
        actor: Actor,
        /// The pages, a union of folios.
        pages: PageSet,
    },
    /// Pages are mlocked no longer.
    #[doc(alias = "TestClearPageMlocked")]
    Clear {
        /// Who acts, and owes the pages, negative, from now on.
        actor: Actor,
        /// The pages, a union of folios.
        pages: PageSet,
    },
    /// An amount is added to the statistic.
    #[doc(alias = "mod_zone_page_state")]
    Account {
        /// Who pays.
        actor: Actor,
        /// The amount, in base pages.
        delta: i64,
    },
    /// Folios are broken at new heads.
    #[doc(alias = "split_huge_page")]
    Split {
        /// Who acts.
        actor: Actor,
        /// The pages that become heads.
        heads: PageSet,
        /// The pages of the broken folios that are mlocked afterwards.
        mlocked: PageSet,
    },
    /// Neighbouring folios become one.
    #[doc(alias = "khugepaged")]
    Collapse {
        /// Who acts.
        actor: Actor,
        /// The pages of the new folio.
        folio: PageSet,
    },
    /// Pages go back to the allocator, and a mark that is still on them goes with them.
    Free {
        /// Who acts.
        actor: Actor,
        /// The pages, a union of folios.
        pages: PageSet,
    },
    /// The actor's call ends; what it still owes is written off as lost.
    Return {
        /// Who returns.
        actor: Actor,
    },
}

kinds! {
    /// A transition without its operands.
    TransitionKind of Transition:
    Call Want Unwant Mark Clear Account Split Collapse Free Return
}

impl Transition {
    /// Returns who does it.
    pub fn actor(&self) -> Actor {
        match *self {
            Transition::Call { actor, .. }
            | Transition::Want { actor, .. }
            | Transition::Unwant { actor, .. }
            | Transition::Mark { actor, .. }
            | Transition::Clear { actor, .. }
            | Transition::Account { actor, .. }
            | Transition::Split { actor, .. }
            | Transition::Collapse { actor, .. }
            | Transition::Free { actor, .. }
            | Transition::Return { actor } => actor,
        }
    }

    /// Returns the address spaces that it names.
    pub fn mms(&self) -> Vec<Mm> {
        match self {
            Transition::Call { call, .. } => call.mms().collect(),
            Transition::Want { mm, .. } | Transition::Unwant { mm, .. } => vec![*mm],
            _ => Vec::new(),
        }
    }

    /// Returns all pages that it names.
    pub fn pages(&self) -> PageSet {
        match self {
            Transition::Call { call, .. } => call.pages().cloned().unwrap_or_default(),
            Transition::Want { pages, .. }
            | Transition::Unwant { pages, .. }
            | Transition::Mark { pages, .. }
            | Transition::Clear { pages, .. }
            | Transition::Free { pages, .. }
            | Transition::Collapse { folio: pages, .. } => pages.clone(),
            Transition::Split { heads, mlocked, .. } => heads.union(mlocked),
            Transition::Account { .. } | Transition::Return { .. } => PageSet::new(),
        }
    }

    /// Writes the kind with its amount, for a column of a table: `Clear 3`, `Account −4`, `Split`.
    pub fn brief(&self) -> String {
        let kind = self.kind();
        match self {
            Transition::Want { pages, .. }
            | Transition::Unwant { pages, .. }
            | Transition::Mark { pages, .. }
            | Transition::Clear { pages, .. }
            | Transition::Free { pages, .. } => format!("{kind} {}", pages.len()),
            Transition::Account { delta, .. } => format!("{kind} {}", signed(*delta)),
            Transition::Call { .. }
            | Transition::Split { .. }
            | Transition::Collapse { .. }
            | Transition::Return { .. } => kind.to_string(),
        }
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.actor(), self.kind())?;
        match self {
            Transition::Call { call, .. } => write!(f, " {call}"),
            Transition::Want { mm, pages, .. } | Transition::Unwant { mm, pages, .. } => {
                write!(f, " {mm} {pages}")
            }
            Transition::Mark { pages, .. }
            | Transition::Clear { pages, .. }
            | Transition::Free { pages, .. }
            | Transition::Collapse { folio: pages, .. } => write!(f, " {pages}"),
            Transition::Account { delta, .. } => write!(f, " {}", signed(*delta)),
            Transition::Split { heads, mlocked, .. } => {
                write!(f, " at {heads} with {mlocked} mlocked")
            }
            Transition::Return { .. } => Ok(()),
        }
    }
}

impl FromStr for Transition {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse_transition(text)
            .ok_or_else(|| ParseError::new("a transition such as CPU0: Clear {0-2}", text))
    }
}

fn parse_transition(text: &str) -> Option<Transition> {
    let (actor, rest) = split_trim(text, ":")?;
    let actor = actor.parse().ok()?;
    let (kind, operands) = split_trim(rest, " ").unwrap_or((rest, ""));
    Some(match kind {
        "Call" => Transition::Call {
            actor,
            call: operands.parse().ok()?,
        },
        "Want" => {
            let (mm, pages) = parse_want(operands)?;
            Transition::Want { actor, mm, pages }
        }
        "Unwant" => {
            let (mm, pages) = parse_want(operands)?;
            Transition::Unwant { actor, mm, pages }
        }
        "Mark" => Transition::Mark {
            actor,
            pages: operands.parse().ok()?,
        },
        "Clear" => Transition::Clear {
            actor,
            pages: operands.parse().ok()?,
        },
        "Account" => Transition::Account {
            actor,
            delta: parse_signed(operands)?,
        },
        "Split" => {
            let operands = operands.strip_prefix("at")?.strip_suffix("mlocked")?;
            let (heads, mlocked) = split_trim(operands, "with")?;
            let (heads, mlocked) = (heads.parse().ok()?, mlocked.parse().ok()?);
            Transition::Split {
                actor,
                heads,
                mlocked,
            }
        }
        "Collapse" => Transition::Collapse {
            actor,
            folio: operands.parse().ok()?,
        },
        "Free" => Transition::Free {
            actor,
            pages: operands.parse().ok()?,
        },
        "Return" if operands.is_empty() => Transition::Return { actor },
        _ => return None,
    })
}

fn parse_want(operands: &str) -> Option<(Mm, PageSet)> {
    let (mm, pages) = split_trim(operands, " ")?;
    Some((mm.parse().ok()?, pages.parse().ok()?))
}
