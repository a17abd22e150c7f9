//! The locks: classes, how they wait, and the order they nest in.
//!
//! ```text
//! mmap_sem                    sleeping, per mm, shared or exclusive
//!   page lock (PG_locked)     sleeping, per page
//!     anon_vma lock           sleeping, per area, shared or exclusive
//!       page_table_lock       spin, per mm
//!         lru_lock            spin, irqs off, one per zone
//!           compound_lock     bit spinlock in page->flags, irqs off, per page
//! ```
//!
//! Source: the order documented at the top of mm/rmap.c (read in 4.1.18), and for the innermost
//! pair `__split_huge_page_refcount()` in mm/huge_memory.c (read in 3.4.5 and 4.1.18), the only
//! place that nests them.
//! The tree is documentation; the checker derives the order from what programs really do and
//! reports a cycle, whichever tree one believes in.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A lock class, in lockdep's sense: all locks that obey the same rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// `mm->mmap_sem`: guards the areas of an address space.
    MmapSem,
    /// `PG_locked`, taken by `lock_page()`.
    PageLock,
    /// `anon_vma->rwsem` (a mutex before v3.8): guards the reverse map of anonymous pages.
    AnonVma,
    /// `mm->page_table_lock`, and the split pte locks, which this model does not tell apart.
    PageTable,
    /// `zone->lru_lock`.
    Lru,
    /// `PG_compound_lock`, taken by `compound_lock()`.
    Compound,
}

/// What a CPU does while it waits for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It sleeps, so it must hold no spinlock.
    Sleeping,
    /// It spins.
    Spin,
}

/// How many locks of a class there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One in the machine.
    Global,
    /// One per address space.
    Mm,
    /// One per region of memory (each region is an area of its own), named by its first page.
    Region,
    /// One per base page.
    Page,
}

/// Whether others may hold the lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// Held for reading: together with other readers.
    Shared,
    /// Held for writing: alone.
    Exclusive,
}

impl Class {
    /// All classes, outermost first.
    pub const ALL: [Class; 6] = [
        Class::MmapSem,
        Class::PageLock,
        Class::AnonVma,
        Class::PageTable,
        Class::Lru,
        Class::Compound,
    ];

    /// The kernel's name for the class.
    pub fn name(self) -> &'static str {
        match self {
            Class::MmapSem => "mmap_sem",
            Class::PageLock => "page lock",
            Class::AnonVma => "anon_vma lock",
            Class::PageTable => "page_table_lock",
            Class::Lru => "lru_lock",
            Class::Compound => "compound_lock",
        }
    }

    /// Whether waiting for it sleeps or spins.
    pub fn kind(self) -> Kind {
        match self {
            Class::MmapSem | Class::PageLock | Class::AnonVma => Kind::Sleeping,
            Class::PageTable | Class::Lru | Class::Compound => Kind::Spin,
        }
    }

    /// How many there are.
    pub fn scope(self) -> Scope {
        match self {
            Class::MmapSem | Class::PageTable => Scope::Mm,
            Class::AnonVma => Scope::Region,
            Class::Lru => Scope::Global,
            Class::PageLock | Class::Compound => Scope::Page,
        }
    }

    /// Whether the class must be taken with interrupts off, because an interrupt may take it too.
    pub fn irqs_off(self) -> bool {
        matches!(self, Class::Lru | Class::Compound)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One lock: its class, and which one of the class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LockName {
    /// The class.
    pub class: Class,
    /// The address space, the region's first page, or the base page; 0 for a global lock.
    pub index: u16,
}

impl fmt::Display for LockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class.scope() {
            Scope::Global => write!(f, "{}", self.class),
            Scope::Mm => write!(
                f,
                "{} of mm {}",
                self.class,
                char::from(b'A' + self.index as u8)
            ),
            Scope::Region => write!(f, "{}", self.class),
            Scope::Page => write!(f, "{} of page {}", self.class, self.index),
        }
    }
}
