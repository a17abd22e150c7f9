//! The kernels since v4.5, in which a split works by migration entries: since v5.18 the lockers of a
//! folio are counted, before that the reverse map is asked.
//!
//! What is said here is of v5.18 and later; `asked` has what is different before.
//!
//! A page on the unevictable list carries `mlock_count`, the number of its mappings with
//! `VM_LOCKED`; a mark goes when the last of them goes.
//! Nobody asks the reverse map at munlock, and nobody takes a page lock for it:
//! mapping, unmapping and the walks of mlock and munlock all report to per-CPU batches, under the PT
//! lock, and a reference holds each page until its batch has been seen to.
//!
//! The functions are written once, and an [`Era`] chooses among them.
//!
//! # What this does not model
//!
//! * `mlock()` ends with `__mm_populate()`, which finds everything present, or waits for it to be.
//! * Large folios of more than two sizes in one scenario, and splits that leave several of them.
//! * Splits, migration and reclaim of huge pages of files; KSM pages.
//! * A split leaves its tails locked until it has mapped them again; here only the head is locked,
//!   so whoever goes for a tail's page lock meanwhile gets it.

mod asked;
mod copy;
mod fault;
mod fixes;
mod list;
mod migrate;
mod mlock;
mod reclaim;
mod rmap;
mod split;
mod unmap;
mod v4_5;
mod v5_18;
mod v6_18;
mod v6_7;
mod walk;

use super::{Kernel, SysCall};
use crate::machine::{Area, Asm, Class, FolioOp, FolioSize, Mode, Reg, RegKind, Source, VmFlags};
use std::ops::Range;

pub(super) use fixes::*;
pub(super) use v4_5::*;
pub(super) use v5_18::{CLEARS_FIRST, KERNEL as V5_18, NO_MARKER};
pub(super) use v6_7::KERNEL as V6_7;
pub(super) use v6_18::KERNEL as V6_18;

/// What the functions of this family choose between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Era {
    /// Whether lockers are counted.
    lockers: Lockers,
    /// Where what mappings report was read.
    rmap: &'static str,
    /// What becomes of a large folio that is mapped by ptes.
    by_ptes: ByPtes,
    /// When a new mapping counts as a locker.
    added: Added,
    /// Where reclaim marks a large folio that was missed.
    missed: Missed,
    /// What a batch does first to a page that loses a locker.
    munlock: Munlock,
    /// Whether mlock's walk keeps the reverse map from counting as well.
    marker: Marker,
    /// What the walks do at a migration entry.
    entry: Entry,
    /// What the walks hold besides the PT lock.
    guard: Guard,
    /// What a split does with the mark of a folio whose references it has frozen.
    frozen: Frozen,
    /// What the restore of a mapping does if nobody locks there.
    restored: Restored,
    /// Whose frees look for a mark that is still there.
    freed: Freed,
    /// How an unmap reports the ptes of a large folio.
    zap: Zap,
}

/// How an unmap reports the ptes of a large folio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zap {
    /// Each for itself, so that one mm takes off as many lockers as it has ptes (v5.18).
    PteByPte,
    /// All that stand in a row at once (10ebac4f95e7, v6.9).
    FolioByFolio,
}

/// Whose frees look for a mark that is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freed {
    /// The frees of pages of the page cache and of anonymous memory (v5.18).
    Released,
    /// All of them (v6.12).
    Any,
}

/// Whether lockers are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lockers {
    /// They are (v5.18). Only then the choices below mean anything.
    Counted,
    /// They are not, and the reverse map is asked (v4.5).
    Asked(asked::Asked),
}

/// What becomes of a large folio that is mapped by ptes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByPtes {
    /// Neither marked nor unmarked (v5.18).
    Ignored,
    /// A walk marks it if it covers all of it, and any part that goes unmarks it (v6.7).
    AsAWhole,
}

/// When a new mapping counts as a locker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Added {
    /// A huge entry, or a pte of a small page (v5.18).
    PmdOrSmall,
    /// A pte of a small page alone (v6.7).
    Small,
    /// All of a folio at once, by whatever entries (v6.18).
    WholeFolio,
}

/// Where reclaim marks a large folio that was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missed {
    /// Large folios mapped by ptes are left alone (v5.18).
    Never,
    /// After its walk has dropped the PT lock (v6.7).
    AfterTheWalk,
    /// In its walk, under the PT lock (v6.18).
    UnderPtLock,
}

/// What a batch does first to a page that loses a locker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Munlock {
    /// It counts down, and clears the mark if nobody is left.
    CountsFirst,
    /// It clears the mark, and sets it again if somebody is left.
    ClearsFirst,
}

/// Whether mlock's walk keeps the reverse map from counting as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    /// `VM_IO` stands beside `VM_LOCKED` for as long as the walk takes.
    Set,
    /// Nothing tells the reverse map of the walk.
    None,
}

/// What the walks do at a migration entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// They go on behind it.
    Skip,
    /// They drop the PT lock, wait for the entry to go, and look again.
    Wait,
    /// They wait for the entry to go with the PT lock held.
    WaitUnderPtLock,
    /// They look up the folio behind it and treat it as if it were mapped.
    Treat,
    /// They go on; mlock walks everything a second time once the marker is gone.
    WalkTwice,
}

/// What the walks hold besides the PT lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    /// `mmap_lock` alone.
    MmapLock,
    /// The anon_vma lock too, around the change of the flags and the walk.
    AnonVma,
    /// The same for reading.
    AnonVmaShared,
    /// The anon_vma lock too, around the walk alone.
    AnonVmaLate,
    /// `mmap_lock` alone, but the flags of an address change when the walk gets there, under the PT
    /// lock, and not before.
    Cursor,
}

/// What a split does with the mark of a folio whose references it has frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frozen {
    /// It leaves it to be copied.
    Kept,
    /// It clears it, counts it off, and takes the folio off the unevictable list.
    Cleared,
    /// It clears it and counts it off, and leaves the folio on its list.
    ClearedInPlace,
}

/// What the restore of a mapping does if nobody locks there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restored {
    /// Nothing.
    Nothing,
    /// It reports a locker less.
    Munlocks,
    /// When all mappings of a marked page are back and nobody counts as its locker, it clears the
    /// mark.
    ClearsUncounted,
}

/// Visits the folios of a range, by their first pages, as somebody does who comes by their page
/// structs: how large one is, and so where the next begins, is read without a lock.
fn for_each_folio(k: &mut Asm<'_>, pages: &Range<u16>, visit: impl FnOnce(&mut Asm<'_>, Reg)) {
    let folio = k.local("folio", RegKind::Page);
    k.set(folio, pages.start);
    let region = k.world().regions[k.world().region_of(pages.start)];
    // The first page of a region is no tail, nor is what follows on a folio.
    if pages.start != region.start {
        let head = rmap::folio_of(k, folio);
        k.set(folio, head);
    }
    if region.len == 1 {
        return visit(k, folio);
    }
    k.while_(folio.get().less_than(pages.end), |k| {
        let step = k.load("step", RegKind::Count, Source::NrPages(folio.into()));
        visit(k, folio);
        k.set(folio, folio + step);
    });
}

/// Emits the body of a call.
fn call(k: &mut Asm<'_>, era: &Era, call: &SysCall) {
    if let Lockers::Asked(asked) = &era.lockers {
        match call {
            SysCall::Mlock(area) => return asked::mlock(k, era, area),
            SysCall::Munlock(area) => return asked::munlock(k, era, asked, area),
            SysCall::Reclaim(pages) => return asked::reclaim(k, era, asked, pages),
            _ => {}
        }
    }
    match call {
        SysCall::Mlock(area) => change_lock(k, era, area, Change::Mlock),
        SysCall::Munlock(area) => change_lock(k, era, area, Change::Munlock),
        SysCall::Munmap(area) => unmap::munmap(k, era, area),
        SysCall::Exit(mm) => unmap::exit_mmap(k, era, *mm),
        SysCall::Fork(parent, child) => unmap::fork(k, *parent, *child),
        SysCall::Split(region) => split::split(k, era, *region, FolioSize::Page),
        SysCall::SplitToLarge(region) => split::split(k, era, *region, FolioSize::Large),
        SysCall::SplitPmd(mm, region) => split_pmd(k, era, *mm, *region),
        SysCall::Reclaim(pages) => reclaim::reclaim(k, era, pages),
        SysCall::Migrate(pages) => migrate::migrate(k, era, pages),
        SysCall::Truncate(pages) => unmap::truncate(k, era, pages),
        SysCall::FreePage(region) => unmap::free_page(k, era, *region),
        SysCall::Drain | SysCall::DrainAll => mlock::drain_local(k, era),
        SysCall::Write(area) => copy::write(k, era, area),
        SysCall::Fault(area) => fault::fault(k, era, area),
        SysCall::Collapse(region) => copy::collapse(k, era, *region),
        // A call of earlier kernels: these have no such areas.
        SysCall::ReclaimNonlinear(_) => {}
    }
}

/// Which of the two calls a walk serves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Mlock,
    Munlock,
}

/// `mlock()` and `munlock()`: area by area, which each region is, the flags, then a walk over what it
/// maps, all under `mmap_lock` held for writing. An area that is as it should be is left alone.
/// Source: 6.1 and 6.12 mm/mlock.c `apply_vma_lock_flags()`, `mlock_fixup()`.
fn change_lock(k: &mut Asm<'_>, era: &Era, range: &Area, change: Change) {
    let mm = u16::from(range.mm);
    k.lock(Class::MmapSem, Mode::Exclusive, mm);
    for area in areas(k, range) {
        k.if_(walk::needs(&area, change), |k| {
            unmap::split_area(k, era, &area);
            walk::mlock_vma_pages_range(k, era, &area, change);
        });
    }
    k.unlock(Class::MmapSem, mm);
}

/// The part of a range that lies in each region.
fn areas(k: &Asm<'_>, range: &Area) -> Vec<Area> {
    let part = |pages: Range<u16>| Area {
        mm: range.mm,
        pages: pages.start.max(range.pages.start)..pages.end.min(range.pages.end),
    };
    let regions = k.world().regions.iter();
    let parts = regions.map(|region| part(region.pages()));
    parts.filter(|area| !area.pages.is_empty()).collect()
}

/// A split of one huge entry, as `mprotect()` of a part of it makes one: the page stays large.
fn split_pmd(k: &mut Asm<'_>, era: &Era, mm: u8, region: u16) {
    k.lock(Class::MmapSem, Mode::Exclusive, u16::from(mm));
    split::split_huge_pmd(k, era, mm, region);
    k.unlock(Class::MmapSem, u16::from(mm));
}

/// Stores the flags of an area.
fn set_vm_flags(k: &mut Asm<'_>, area: &Area, flags: VmFlags) {
    k.emit(crate::machine::Op::Folio(FolioOp::SetVmFlags(
        area.clone(),
        flags,
    )));
}

/// The calls of a kernel of this family.
const fn kernel_of(
    base: Kernel,
    calls: fn(&mut Asm<'_>, &Kernel, &SysCall),
    about: [&'static str; 3],
    derived: Option<&'static str>,
) -> Kernel {
    let [name, text, source] = about;
    Kernel {
        name,
        about: text,
        base: derived,
        source,
        calls,
        migration: super::Migration::MayFail,
        ..base
    }
}
