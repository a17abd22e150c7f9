//! The kernels: each era and each proposed fix, as a choice of functions.
//!
//! A function that several eras share stands once, in the module named after what it does
//! (`walk`, `lru`, `rmap`, `split`, …); an era's own module holds what is its own.
//! To add an era, write what it does differently and add a [`Kernel`] to [`Kernel::ALL`].

mod calls;
mod collapse;
mod copy;
mod fault;
mod fixes;
mod folio;
mod lru;
mod migrate;
mod page;
mod pagevec;
mod reclaim;
mod rmap;
mod split;
mod v2_3of3;
mod v2_6_38;
mod v3_12;
mod v3_14;
mod v3_7;
mod v3_9;
mod v4_4;
mod walk;

use crate::machine::{Area, Asm, Expr, Op, Program, Reg, RegKind, Source, World};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What a CPU can be told to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SysCall {
    /// `mlock()` of a range.
    Mlock(Area),
    /// `munlock()` of a range.
    Munlock(Area),
    /// `munmap()` of a range.
    Munmap(Area),
    /// The exit of the last thread of an address space.
    Exit(u8),
    /// `fork()`: the first address space is copied to the second, which must be empty.
    Fork(u8, u8),
    /// A split of the huge page of a region, by somebody who reached it by its page: reclaim,
    /// memory failure, page merging.
    Split(u16),
    /// A split of the folio at the start of a region into large folios of half a huge page.
    SplitToLarge(u16),
    /// A page fault in each page of a range that maps nothing yet.
    Fault(Area),
    /// A write to each page of a range, which copies those that others map too.
    Write(Area),
    /// Reclaim of each page of a range, frame by frame: it finds those that some area locks.
    Reclaim(Range<u16>),
    /// Reclaim of the first page of a range in an area that maps its file nonlinearly, so that all of
    /// the range is looked through.
    ReclaimNonlinear(Area),
    /// Migration of each page of a range to the spare frame for it.
    Migrate(Range<u16>),
    /// `unmap_mapping_range()`: a range is unmapped from every address space, by somebody who
    /// truncates the file and holds no `mmap_sem`.
    Truncate(Range<u16>),
    /// khugepaged: the small pages of a region of the first address space become a huge page.
    Collapse(u16),
    /// `lru_add_drain_all()`.
    DrainAll,
    /// A split of one address space's huge entry for a region, as `mprotect()` of a part of it makes.
    SplitPmd(u8, u16),
    /// A page that a driver had is taken away from everybody, and freed.
    FreePage(u16),
    /// The CPU sees to what it has put off.
    Drain,
}

impl SysCall {
    /// The call in the kernel's words.
    pub fn name(&self) -> &'static str {
        match self {
            SysCall::Mlock(_) => "mlock()",
            SysCall::Munlock(_) => "munlock()",
            SysCall::Munmap(_) => "munmap()",
            SysCall::Exit(_) => "exit()",
            SysCall::Fork(..) => "fork()",
            SysCall::Split(_) => "split_huge_page()",
            SysCall::SplitToLarge(_) => "split_huge_page_to_order()",
            SysCall::Fault(_) => "page fault",
            SysCall::Write(_) => "write fault",
            SysCall::Reclaim(_) => "shrink_page_list()",
            SysCall::ReclaimNonlinear(_) => "shrink_page_list() nonlinear",
            SysCall::Migrate(_) => "migrate_pages()",
            SysCall::Truncate(_) => "unmap_mapping_range()",
            SysCall::Collapse(_) => "khugepaged",
            SysCall::DrainAll => "lru_add_drain_all()",
            SysCall::SplitPmd(..) => "mprotect()",
            SysCall::FreePage(_) => "free_page()",
            SysCall::Drain => "lru_add_drain()",
        }
    }
}

/// How far a walk over addresses goes in one iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// Always one base page.
    EveryPage,
    /// To the end of what the last page mask covers.
    ByMask,
}

/// What a split does with `PG_mlocked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailFlags {
    /// Each tail gets the head's flag.
    CopyMlocked,
    /// Tails start without the flag.
    LoseMlocked,
}

/// What a mark counts for in the statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// One, whatever the page's size.
    One,
    /// The page's size in base pages.
    BasePages,
}

impl Counted {
    /// How many base pages a page counts for.
    fn nr_pages(self, k: &mut Asm<'_>, page: Reg) -> Expr {
        match self {
            Counted::One => 1.into(),
            Counted::BasePages => k
                .load("nr_pages", RegKind::Count, Source::NrPages(page.into()))
                .get(),
        }
    }
}

/// What `mlock()` does to a huge page that it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HugeMlock {
    /// Nothing: `follow_trans_huge_pmd()` ignores `FOLL_MLOCK`.
    Ignores,
    /// It marks it.
    Marks,
}

/// What becomes of a page's mark when its last mapping goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastUnmap {
    /// It stays until the page is freed.
    KeepsMark,
    /// `page_remove_rmap()` clears it.
    ClearsMark,
}

/// What becomes of a page that is freed while it is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeMlocked {
    /// It is a bad page, and the statistic hears nothing of it.
    BadPage,
    /// `free_page_mlock()` takes one page off the statistic.
    Uncounts,
}

/// How reclaim and `try_to_munlock()` mark a page that they find in an area with `VM_LOCKED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LazyMlock {
    /// After the PT lock is dropped, if `mmap_sem` can be had.
    UnderMmapSem,
    /// While the PT lock is held.
    UnderPtLock,
}

/// Which pages of a nonlinear mapping `try_to_unmap_cluster()` marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonlinear {
    /// Every page that it finds, locked or not.
    AnyPage,
    /// Those whose page lock can be had at once.
    LockedPages,
}

/// What `remove_migration_pte()` does in an area with `VM_LOCKED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restore {
    /// It leaves the mark of the new page as it is.
    LeavesMark,
    /// It marks the new page.
    Mlocks,
}

/// When copy on write takes the mark off the old page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyOnWrite {
    /// Before the pte changes.
    ClearsFirst,
    /// After the pte has changed.
    MunlocksAfter,
}

/// `munlock_vma_page(page)`, which leaves a page mask in the second variable.
type MunlockPage = fn(&mut Asm<'_>, &Kernel, Reg, Reg);
/// Munlocks what one address of an area maps, and leaves a page mask in the last variable. One that
/// works in batches leaves the last address of the batch in the variable before it.
type MunlockAt = fn(&mut Asm<'_>, &Kernel, &Area, Reg, Reg);

/// How far a migration gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migration {
    /// Pages move to spare frames.
    Moves,
    /// Small pages move to spare frames where there are any; otherwise they are mapped again where they
    /// are, as when a migration fails.
    MayFail,
}

/// What large folios a kernel knows besides huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LargeFolios {
    /// None.
    HugePages,
    /// Smaller ones, mapped by ptes; a split leaves single pages.
    Smaller,
    /// Smaller ones, and splits that leave them (c010d47f107f, v6.9).
    SplitInto,
}

/// Emits the body of a call.
type Calls = fn(&mut Asm<'_>, &Kernel, &SysCall);

/// An era or a proposed fix.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// The name that fixtures use.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// The kernel it differs from, if it is told as a difference.
    pub base: Option<&'static str>,
    /// Where it comes from.
    pub source: &'static str,
    /// How the family of kernels that it belongs to makes calls. What follows are the choices of the
    /// kernels up to v4.4; others keep their own.
    calls: Calls,
    migration: Migration,
    large_folios: LargeFolios,
    huge_files: bool,
    walk: Walk,
    tail_flags: TailFlags,
    munlock_at: MunlockAt,
    munlock_page: MunlockPage,
    mark_counts: Counted,
    clear_counts: Counted,
    huge_mlock: HugeMlock,
    last_unmap: LastUnmap,
    free_mlocked: FreeMlocked,
    lazy_mlock: LazyMlock,
    nonlinear: Nonlinear,
    restore: Restore,
    copy_on_write: CopyOnWrite,
}

impl Kernel {
    /// Every kernel, in the order of the story.
    pub const ALL: [Kernel; 51] = [
        v2_6_38::V2_6_31_RC,
        v2_6_38::V2_6_37,
        v2_6_38::KERNEL,
        v3_7::RC,
        v3_7::KERNEL,
        v3_7::NO_FLAG_COPY,
        v2_3of3::KERNEL,
        v3_9::KERNEL,
        v3_9::NO_FLAG_COPY,
        v3_12::KERNEL,
        v3_12::V3_13,
        v3_14::KERNEL,
        v3_14::V3_15,
        v4_4::KERNEL,
        v4_4::FIX_INT,
        v4_4::FIX_COUNT,
        fixes::LRU_LOCK,
        fixes::PTL,
        fixes::PTL_NO_RECHECK,
        fixes::COMPOUND_LOCK,
        fixes::COMPOUND_LOCK_ISOLATE_INSIDE,
        fixes::COMPOUND_LOCK_MASK_0,
        fixes::ANON_VMA,
        fixes::SIZE_OUTSIDE,
        folio::V4_5,
        folio::KEEPS_MARK,
        folio::V4_8,
        folio::V4_10,
        folio::V4_11,
        folio::V4_12,
        folio::V5_11,
        folio::V5_14_RC,
        folio::V5_14,
        folio::V5_18,
        folio::NO_MARKER,
        folio::CLEARS_FIRST,
        folio::V6_7,
        folio::V6_18,
        folio::CURSOR,
        folio::RMAP_LOCK,
        folio::RMAP_LOCK_SHARED,
        folio::RMAP_LOCK_LATE,
        folio::SPLIT_CLEARS,
        folio::SPLIT_CLEARS_IN_PLACE,
        folio::REWALK,
        folio::CLEARS_AND_REWALKS,
        folio::WALK_WAITS,
        folio::WALK_WAITS_LOCKED,
        folio::WALK_TREATS,
        folio::RESTORE_CLEARS,
        folio::RESTORE_MUNLOCKS,
    ];

    /// The kernel of that name.
    pub fn named(name: &str) -> Option<Kernel> {
        Kernel::ALL.into_iter().find(|kernel| kernel.name == name)
    }

    /// How far a migration gets in the model of this kernel.
    pub fn migration(&self) -> Migration {
        self.migration
    }

    /// What large folios the kernel knows besides huge pages.
    pub fn large_folios(&self) -> LargeFolios {
        self.large_folios
    }

    /// Whether there are huge pages of files.
    pub fn has_huge_files(&self) -> bool {
        self.huge_files
    }

    /// The program of a CPU that makes these calls, one after the other.
    pub fn program(&self, world: &World, calls: &[SysCall]) -> Program {
        let mut asm = Asm::new(world);
        for (i, call) in calls.iter().enumerate() {
            asm.function(call.name(), self.source, |k| {
                k.emit(Op::Enter(i as u8));
                (self.calls)(k, self, call);
                k.emit(Op::Leave(i as u8));
            });
        }
        asm.finish()
    }
}
