//! The kernels: each era and each proposed fix, as a choice of functions.
//!
//! A function that several eras share stands once, in the module named after what it does
//! (`walk`, `lru`, `rmap`, `split`, …); an era's own module holds what is its own.
//! To add an era, write what it does differently and add a [`Kernel`] to [`Kernel::ALL`].

mod calls;
mod fixes;
mod folio;
mod lru;
mod page;
mod rmap;
mod split;
mod v2_3of3;
mod v3_14;
mod v3_7;
mod v3_9;
mod walk;

use crate::machine::{Area, Asm, Op, Program, Reg, World};
use serde::{Deserialize, Serialize};

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
    /// A split of one address space's huge entry for a region, as `mprotect()` of a part of it makes.
    SplitPmd(u8, u16),
    /// Reclaim comes by the folio at the start of a region.
    Reclaim(u16),
    /// Somebody tries to migrate the folio at the start of a region.
    Migrate(u16),
    /// A page that a file had is taken away from everybody, and freed.
    Truncate(u16),
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
            SysCall::SplitPmd(..) => "mprotect()",
            SysCall::Reclaim(_) => "shrink_folio_list()",
            SysCall::Migrate(_) => "migrate_pages()",
            SysCall::Truncate(_) => "truncate()",
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

/// `munlock_vma_page(page)`, which leaves a page mask in the second variable.
type MunlockPage = fn(&mut Asm<'_>, Reg, Reg);
/// Munlocks what one address maps, and leaves a page mask in the last variable.
type MunlockAt = fn(&mut Asm<'_>, &Kernel, u8, Reg, Reg);

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
    walk: Walk,
    tail_flags: TailFlags,
    munlock_at: MunlockAt,
    munlock_page: MunlockPage,
}

impl Kernel {
    /// Every kernel, in the order of the story.
    pub const ALL: [Kernel; 38] = [
        v3_7::KERNEL,
        v3_7::NO_FLAG_COPY,
        v2_3of3::KERNEL,
        v3_9::KERNEL,
        v3_9::NO_FLAG_COPY,
        v3_14::KERNEL,
        fixes::PTL,
        fixes::PTL_NO_RECHECK,
        fixes::COMPOUND_LOCK,
        fixes::COMPOUND_LOCK_ISOLATE_INSIDE,
        fixes::COMPOUND_LOCK_MASK_0,
        fixes::ANON_VMA,
        fixes::SIZE_OUTSIDE,
        folio::V4_5,
        folio::KEEPS_MARK,
        folio::V4_10,
        folio::V4_11,
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
