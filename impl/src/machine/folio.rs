//! Instructions that the kernels since v4.5 need: entries that are taken away for a while, reference
//! counts that are frozen, counts of lockers, batches per CPU.
//!
//! * A *migration entry* is a pte, or a pmd, that is not present and will be restored.
//! * A *frozen* reference count lets nobody take a reference who has none.
//! * `mlock_count` counts the lockers of a page while it is on the unevictable list.
//! * A *batch* holds pages that a CPU will see to later, each with a reference of its own.
//!
//! Each of them has room in a state only if a program uses it.
//!
//! # What this does not model
//!
//! * Batches of other CPUs are not drained from afar, and nothing preempts a CPU that works on its
//!   own: what is done to a batch needs no lock.
//! * `mlock_count` stops at 7; a scenario that needs more reaches a limit and says so.

use super::footprint::Object;
use super::layout::Changed;
use super::op::{Expr, Flag, Op, Pc, Reg};
use super::packed::{Packer, Plane};
use super::render::{Words, mm};
use super::world::{Area, RegionKind, World};
use serde::{Deserialize, Serialize};

/// What a batch is to do with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Batched {
    /// Take note of a locker less.
    Munlock = 0,
    /// Take note of a locker more.
    Mlock = 1,
    /// Put a new page on the unevictable list, with one locker.
    New = 2,
}

impl From<Batched> for Expr {
    fn from(kind: Batched) -> Expr {
        Expr::Const(kind as i64)
    }
}

/// The sizes of folio that a split can leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FolioSize {
    /// One base page.
    Page,
    /// [`World::large_pages`].
    Large,
}

impl FolioSize {
    /// In base pages.
    pub fn pages(self, world: &World) -> u16 {
        match self {
            FolioSize::Page => 1,
            FolioSize::Large => world.large_pages(),
        }
    }
}

/// The flags of an area that mlock changes, all in one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VmFlags {
    /// Neither of them.
    Unlocked,
    /// `VM_LOCKED`.
    Locked,
    /// `VM_LOCKED`, and `VM_IO` to keep reverse-map walks from counting as well.
    LockedMarked,
}

/// An instruction on folios, their mappings and their counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FolioOp {
    /// Replaces a huge entry by a table of migration entries; its reference passes to this CPU.
    FreezePmd(u8, u16),
    /// Replaces a huge entry by a huge migration entry; its reference passes to this CPU.
    MigratePmd(u8, u16),
    /// Restores a huge migration entry.
    RestorePmd(u8, u16),
    /// Replaces a huge migration entry by a table of them.
    SplitEntry(u8, u16),
    /// Replaces a present pte by a migration entry; its reference passes to this CPU.
    FreezePte(u8, Expr),
    /// Restores a migration entry.
    RestorePte(u8, Expr),
    /// Clears a migration entry for good.
    ClearEntry(u8, Expr),
    /// Freezes a folio's reference count if this CPU holds the only reference; otherwise goes on
    /// elsewhere.
    TryFreezeRefs(Expr, Pc),
    /// Gives a frozen reference count back.
    UnfreezeRefs(Expr),
    /// Makes a tail of a frozen folio the head of one of this size, with the old head's flags and a
    /// reference.
    SplitTail(Expr, FolioSize),
    /// The size of a frozen folio's head becomes [`World::large_pages`].
    Shrink(Expr),
    /// Stores a page's `mlock_count`.
    SetMlockCount(Expr, Expr),
    /// Stores the flags of an area.
    SetVmFlags(Area, VmFlags),
    /// Takes a reference for this CPU's batch; the variable becomes 1 if the batch must be seen to
    /// at once, because it is full or the folio is large.
    BatchAdd(Expr, Batched, Reg),
    /// Drops the first entry of this CPU's batch with its reference; the variable becomes 1 if it
    /// was the last reference.
    BatchPut(Reg),
}

/// Something about folios that one load can fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FolioSource {
    /// Whether a folio has references beside those of its mappings and one of this CPU's.
    ExtraRefs(Expr),
    /// How many address spaces map a huge page by a huge entry.
    PmdMapcount(Expr),
    /// Whether ptes map any page of a folio, or, if it is a file's, ever have.
    MappedByPtes(Expr),
    /// The head of a page's folio.
    Head(Expr),
    /// A page's `mlock_count`.
    MlockCount(Expr),
    /// Whether the pte for an address is a migration entry.
    MigrationEntry(u8, Expr),
    /// Whether an address has `VM_LOCKED` and not `VM_IO`.
    LockedUnmarked(u8, Expr),
    /// Whether any address of a range lacks `VM_LOCKED`.
    Unlocked(Area),
    /// How many ptes from that of a page on, up to an end address, are present and map the same folio.
    PteBatch(u8, Expr, u16),
}

impl FolioOp {
    /// The expressions it evaluates.
    pub(super) fn exprs(&self) -> Vec<&Expr> {
        match self {
            FolioOp::FreezePte(_, e)
            | FolioOp::RestorePte(_, e)
            | FolioOp::ClearEntry(_, e)
            | FolioOp::TryFreezeRefs(e, _)
            | FolioOp::UnfreezeRefs(e)
            | FolioOp::SplitTail(e, _)
            | FolioOp::Shrink(e)
            | FolioOp::BatchAdd(e, ..) => vec![e],
            FolioOp::SetMlockCount(a, b) => vec![a, b],
            FolioOp::FreezePmd(..)
            | FolioOp::MigratePmd(..)
            | FolioOp::SplitEntry(..)
            | FolioOp::RestorePmd(..)
            | FolioOp::SetVmFlags(..)
            | FolioOp::BatchPut(_) => Vec::new(),
        }
    }

    /// The variable it sets.
    pub(super) fn defines(&self) -> Option<Reg> {
        match self {
            FolioOp::BatchAdd(.., reg) | FolioOp::BatchPut(reg) => Some(*reg),
            _ => None,
        }
    }

    /// Whether a reference passes from a mapping to this CPU.
    pub(super) fn takes_reference(&self) -> bool {
        matches!(
            self,
            FolioOp::FreezePmd(..) | FolioOp::MigratePmd(..) | FolioOp::FreezePte(..)
        )
    }

    /// How it reads.
    pub(super) fn text(&self, words: &dyn Words) -> String {
        match self {
            FolioOp::FreezePmd(m, _) => format!("pmd of {} = table of migration entries", mm(*m)),
            FolioOp::MigratePmd(m, _) => format!("pmd of {} = migration entry", mm(*m)),
            FolioOp::SplitEntry(m, _) => format!("split migration entry of {}", mm(*m)),
            FolioOp::RestorePmd(m, _) => format!("pmd of {} = huge again", mm(*m)),
            FolioOp::FreezePte(m, p) => {
                format!("pte of {} at {} = migration entry", mm(*m), words.number(p))
            }
            FolioOp::RestorePte(m, p) => {
                format!("pte of {} at {} restored", mm(*m), words.number(p))
            }
            FolioOp::ClearEntry(m, p) => {
                format!("clear migration entry of {} at {}", mm(*m), words.number(p))
            }
            FolioOp::TryFreezeRefs(p, _) => format!("folio_ref_freeze({})", words.page(p)),
            FolioOp::UnfreezeRefs(p) => format!("folio_ref_unfreeze({})", words.page(p)),
            FolioOp::SplitTail(p, FolioSize::Page) => {
                format!("{} gets the head's flags", words.page(p))
            }
            FolioOp::SplitTail(p, FolioSize::Large) => {
                format!("{} gets the head's flags, and tails", words.page(p))
            }
            FolioOp::Shrink(p) => format!("folio_set_order({}, lower)", words.page(p)),
            FolioOp::SetMlockCount(p, n) => {
                format!("mlock_count({}) = {}", words.page(p), words.number(n))
            }
            FolioOp::SetVmFlags(area, flags) => {
                let sign = match flags {
                    VmFlags::Unlocked => "&= ~VM_LOCKED",
                    VmFlags::Locked => "= VM_LOCKED",
                    VmFlags::LockedMarked => "|= VM_LOCKED | VM_IO",
                };
                let (from, to) = (area.pages.start, area.pages.end.saturating_sub(1));
                format!("vm_flags {sign} ({}: {from}-{to})", mm(area.mm))
            }
            FolioOp::BatchAdd(p, Batched::Mlock, _) => {
                format!("batch mlock of {}", words.page(p))
            }
            FolioOp::BatchAdd(p, Batched::New, _) => format!("batch new {}", words.page(p)),
            FolioOp::BatchAdd(p, Batched::Munlock, _) => {
                format!("batch munlock of {}", words.page(p))
            }
            FolioOp::BatchPut(_) => "folio_put() the first of the batch".to_owned(),
        }
    }
}

impl FolioSource {
    /// The expression it evaluates, if it does.
    pub(super) fn expr(&self) -> Option<&Expr> {
        match self {
            FolioSource::Unlocked(_) => None,
            FolioSource::ExtraRefs(e)
            | FolioSource::PmdMapcount(e)
            | FolioSource::MappedByPtes(e)
            | FolioSource::Head(e)
            | FolioSource::MlockCount(e)
            | FolioSource::MigrationEntry(_, e)
            | FolioSource::LockedUnmarked(_, e)
            | FolioSource::PteBatch(_, e, _) => Some(e),
        }
    }

    /// How it reads.
    pub(super) fn text(&self, words: &dyn Words) -> String {
        match self {
            FolioSource::ExtraRefs(p) => format!("references beside mappings on {}", words.page(p)),
            FolioSource::PmdMapcount(p) => format!("compound_mapcount({})", words.page(p)),
            FolioSource::MappedByPtes(p) => format!("PageDoubleMap({})", words.page(p)),
            FolioSource::Head(p) => format!("page_folio({})", words.page(p)),
            FolioSource::MlockCount(p) => format!("mlock_count({})", words.page(p)),
            FolioSource::MigrationEntry(m, p) => {
                format!("migration entry({}, {})", mm(*m), words.number(p))
            }
            FolioSource::LockedUnmarked(m, p) => {
                format!("VM_LOCKED, not VM_IO ({}, {})", mm(*m), words.number(p))
            }
            FolioSource::Unlocked(area) => format!("not VM_LOCKED({})", mm(area.mm)),
            FolioSource::PteBatch(m, p, _) => {
                format!("folio_pte_batch({}, {})", mm(*m), words.number(p))
            }
        }
    }
}

/// Where the variables of these instructions are; a plane that no program uses has no pages.
#[derive(Clone, Debug)]
pub(super) struct FolioLayout {
    /// `PG_unevictable`.
    pub(super) unevictable: Plane,
    /// `PG_double_map`.
    pub(super) double_map: Plane,
    /// Pages whose reference count is frozen.
    pub(super) frozen: Plane,
    /// Heads of large folios that are smaller than a huge page.
    pub(super) smaller: Plane,
    /// Migration ptes, per address space.
    pub(super) migration: Vec<Plane>,
    /// `VM_IO` as mlock's marker, per address space.
    pub(super) marked: Vec<Plane>,
    /// `mlock_count`, one plane per binary digit, lowest first.
    pub(super) mlock_count: [Plane; 3],
}

impl FolioLayout {
    pub(super) fn new(packer: &mut Packer, world: &World, changed: &Changed<'_>) -> FolioLayout {
        let used = |like: &dyn Fn(&Op) -> bool| {
            if changed.any(like) { world.pages() } else { 0 }
        };
        let lists = used(&|op| matches!(op, Op::SetFlag(Flag::Unevictable, _)));
        let double_map = used(&|op| matches!(op, Op::SetFlag(Flag::DoubleMap, _)));
        let freezes = |op: &Op| matches!(op, Op::Folio(FolioOp::TryFreezeRefs(..)));
        let migration = used(&|op| {
            let entries =
                |f: &FolioOp| matches!(f, FolioOp::FreezePmd(..) | FolioOp::FreezePte(..));
            matches!(op, Op::Folio(f) if entries(f))
        });
        let marked =
            used(&|op| matches!(op, Op::Folio(FolioOp::SetVmFlags(_, VmFlags::LockedMarked))));
        let mut smaller = used(&|op| matches!(op, Op::Folio(FolioOp::Shrink(_))));
        if world.regions.iter().any(|r| r.kind == RegionKind::Large) {
            smaller = world.pages();
        }
        let frozen = packer.of(changed.by_ops(freezes)).plane(used(&freezes));
        let mut plane = |object, pages| packer.of(changed.alone(object)).plane(pages);
        FolioLayout {
            smaller: plane(Object::Shape, smaller),
            unevictable: plane(Flag::Unevictable.into(), lists),
            mlock_count: [(); 3].map(|()| plane(Flag::Unevictable.into(), lists)),
            double_map: plane(Flag::DoubleMap.into(), double_map),
            frozen,
            migration: (0..world.mms)
                .map(|mm| plane(Object::Maps(mm), migration))
                .collect(),
            marked: (0..world.mms)
                .map(|mm| plane(Object::VmLocked(mm), marked))
                .collect(),
        }
    }

    /// The value of a page's `mlock_count`.
    pub(super) fn count(&self, state: &[u64], page: u16) -> i64 {
        let digits = self.mlock_count.iter().enumerate();
        digits
            .map(|(i, plane)| i64::from(plane.get(state, page)) << i)
            .sum()
    }

    /// Stores a page's `mlock_count`; tells whether there is room for it.
    #[must_use]
    pub(super) fn set_count(&self, state: &mut [u64], page: u16, count: i64) -> bool {
        for (i, plane) in self.mlock_count.iter().enumerate() {
            plane.set(state, page, count >> i & 1 == 1);
        }
        (0..8).contains(&count)
    }
}
