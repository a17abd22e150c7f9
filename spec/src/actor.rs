//! Names: who acts, whose memory it is, and what was asked for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::pages::PageSet;
use crate::text::{ParseError, split_trim};

/// Someone who acts: a task on its CPU, written `CPU0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(pub u8);

impl Actor {
    /// Returns the actor's place in the lists of a state.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPU{}", self.0)
    }
}

impl FromStr for Actor {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let number = text
            .trim()
            .strip_prefix("CPU")
            .and_then(|number| number.parse().ok());
        number
            .map(Actor)
            .ok_or_else(|| ParseError::new("an actor such as CPU0", text))
    }
}

/// An address space, written `A`, `B`, … and `MM26` past the alphabet.
#[doc(alias = "mm_struct")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mm(pub u8);

impl Mm {
    /// Returns the address space's place in the lists of a state.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for Mm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            letter @ 0..26 => write!(f, "{}", char::from(b'A' + letter)),
            number => write!(f, "MM{number}"),
        }
    }
}

impl FromStr for Mm {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mm = match text.trim().as_bytes() {
            [letter @ b'A'..=b'Z'] => Some(letter - b'A'),
            _ => text
                .trim()
                .strip_prefix("MM")
                .and_then(|number| number.parse().ok()),
        };
        mm.map(Mm)
            .ok_or_else(|| ParseError::new("an address space such as A", text))
    }
}

/// What an actor has been asked to do, written `munlock(A, {0-3})`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Call {
    /// Lock `pages` of `mm` in memory.
    Mlock {
        /// The address space.
        mm: Mm,
        /// The pages asked for.
        pages: PageSet,
    },
    /// Let go of the lock on `pages` of `mm`.
    Munlock {
        /// The address space.
        mm: Mm,
        /// The pages asked for.
        pages: PageSet,
    },
    /// Unmap `pages` of `mm`.
    #[doc(alias = "munmap")]
    Unmap {
        /// The address space.
        mm: Mm,
        /// The pages asked for.
        pages: PageSet,
    },
    /// Tear down `mm` altogether.
    #[doc(alias = "exit_mmap")]
    Exit {
        /// The address space.
        mm: Mm,
    },
    /// Copy `parent` into `child`, which inherits no lock.
    Fork {
        /// The address space that is copied.
        parent: Mm,
        /// The copy.
        child: Mm,
    },
    /// Map `pages` of `mm` where nothing was mapped.
    #[doc(alias = "page fault")]
    Fault {
        /// The address space.
        mm: Mm,
        /// The pages asked for.
        pages: PageSet,
    },
    /// Write to `pages` of `mm`, which copies those that others have too.
    #[doc(alias = "copy on write")]
    Write {
        /// The address space.
        mm: Mm,
        /// The pages written to.
        pages: PageSet,
    },
    /// Try to reclaim `pages`.
    #[doc(alias = "shrink_page_list")]
    Reclaim {
        /// The pages.
        pages: PageSet,
    },
    /// Move the contents of `pages` to other memory.
    #[doc(alias = "migrate_pages")]
    Migrate {
        /// The pages.
        pages: PageSet,
    },
    /// Unmap `pages` from every address space.
    #[doc(alias = "unmap_mapping_range")]
    Truncate {
        /// The pages.
        pages: PageSet,
    },
    /// Make one folio of small ones.
    #[doc(alias = "khugepaged")]
    Collapse {
        /// The pages.
        pages: PageSet,
    },
    /// Finish what every CPU has put off.
    #[doc(alias = "lru_add_drain_all")]
    Drain,
    /// Break one folio into smaller ones.
    #[doc(alias = "split_huge_page")]
    Split {
        /// The pages of the folio.
        folio: PageSet,
    },
}

impl Call {
    /// Says whether it is *upkeep*: done on nobody's behalf, as reclaim, migration, truncation, and
    /// work that was put off.
    pub fn is_upkeep(&self) -> bool {
        matches!(
            self,
            Call::Reclaim { .. } | Call::Migrate { .. } | Call::Truncate { .. } | Call::Drain
        )
    }

    /// Returns the address spaces that the call names.
    pub fn mms(&self) -> impl Iterator<Item = Mm> {
        let named = match *self {
            Call::Mlock { mm, .. }
            | Call::Munlock { mm, .. }
            | Call::Unmap { mm, .. }
            | Call::Fault { mm, .. }
            | Call::Write { mm, .. }
            | Call::Exit { mm } => [Some(mm), None],
            Call::Fork { parent, child } => [Some(parent), Some(child)],
            Call::Split { .. }
            | Call::Reclaim { .. }
            | Call::Migrate { .. }
            | Call::Truncate { .. }
            | Call::Collapse { .. }
            | Call::Drain => [None, None],
        };
        named.into_iter().flatten()
    }

    /// Returns the pages that the call names.
    pub fn pages(&self) -> Option<&PageSet> {
        match self {
            Call::Mlock { pages, .. }
            | Call::Munlock { pages, .. }
            | Call::Unmap { pages, .. }
            | Call::Fault { pages, .. }
            | Call::Write { pages, .. }
            | Call::Reclaim { pages }
            | Call::Migrate { pages }
            | Call::Truncate { pages }
            | Call::Collapse { pages } => Some(pages),
            Call::Split { folio } => Some(folio),
            Call::Exit { .. } | Call::Fork { .. } | Call::Drain => None,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Call::Mlock { mm, pages } => write!(f, "mlock({mm}, {pages})"),
            Call::Munlock { mm, pages } => write!(f, "munlock({mm}, {pages})"),
            Call::Unmap { mm, pages } => write!(f, "unmap({mm}, {pages})"),
            Call::Exit { mm } => write!(f, "exit({mm})"),
            Call::Fork { parent, child } => write!(f, "fork({parent}, {child})"),
            Call::Split { folio } => write!(f, "split({folio})"),
            Call::Fault { mm, pages } => write!(f, "fault({mm}, {pages})"),
            Call::Write { mm, pages } => write!(f, "write({mm}, {pages})"),
            Call::Reclaim { pages } => write!(f, "reclaim({pages})"),
            Call::Migrate { pages } => write!(f, "migrate({pages})"),
            Call::Truncate { pages } => write!(f, "truncate({pages})"),
            Call::Collapse { pages } => write!(f, "collapse({pages})"),
            Call::Drain => write!(f, "drain()"),
        }
    }
}

impl FromStr for Call {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse_call(text).ok_or_else(|| ParseError::new("a call such as munlock(A, {0-3})", text))
    }
}

fn parse_call(text: &str) -> Option<Call> {
    let (name, arguments) = text.trim().strip_suffix(')')?.split_once('(')?;
    match name {
        "exit" => {
            return Some(Call::Exit {
                mm: arguments.parse().ok()?,
            });
        }
        "split" => {
            return Some(Call::Split {
                folio: arguments.parse().ok()?,
            });
        }
        "reclaim" => {
            return Some(Call::Reclaim {
                pages: arguments.parse().ok()?,
            });
        }
        "migrate" => {
            return Some(Call::Migrate {
                pages: arguments.parse().ok()?,
            });
        }
        "truncate" => {
            return Some(Call::Truncate {
                pages: arguments.parse().ok()?,
            });
        }
        "collapse" => {
            return Some(Call::Collapse {
                pages: arguments.parse().ok()?,
            });
        }
        "drain" => return arguments.trim().is_empty().then_some(Call::Drain),
        _ => {}
    }
    let (first, second) = split_trim(arguments, ",")?;
    let mm = first.parse().ok()?;
    Some(match name {
        "mlock" => Call::Mlock {
            mm,
            pages: second.parse().ok()?,
        },
        "munlock" => Call::Munlock {
            mm,
            pages: second.parse().ok()?,
        },
        "unmap" => Call::Unmap {
            mm,
            pages: second.parse().ok()?,
        },
        "fault" => Call::Fault {
            mm,
            pages: second.parse().ok()?,
        },
        "write" => Call::Write {
            mm,
            pages: second.parse().ok()?,
        },
        "fork" => Call::Fork {
            parent: mm,
            child: second.parse().ok()?,
        },
        _ => return None,
    })
}
