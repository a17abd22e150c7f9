//! The walk of mlock and munlock over the pages of an area.
//!
//! First the flags: from here on mappings that come and go know what the area wants.
//! `VM_IO` beside `VM_LOCKED`, which no area may have otherwise, tells them that mlock's walk is on its
//! way and will do the counting, so that nobody counts twice.
//! Then the walk, under the PT lock of each table; what is not present is skipped.
//!
//! Source: 6.1 and 6.12 mm/mlock.c `mlock_vma_pages_range()`, `mlock_pte_range()`.

use super::{ByPtes, Change, Entry, Era, Guard, Marker, mlock, rmap, set_vm_flags};
use crate::kernel::walk::page_at;
use crate::machine::{
    Area, Asm, Class, Cond, Expr, Flag, FolioSource, Mode, Pmd, Reg, RegKind, RegionKind, Source,
    Target, VmFlags, read,
};

const CITE: &str = "6.1, 6.12 mm/mlock.c";

/// Whether a call has something to do: `mlock_fixup()` leaves areas alone that are as they should be.
pub(super) fn needs(area: &Area, change: Change) -> Cond {
    match change {
        Change::Mlock => read(Source::Folio(FolioSource::Unlocked(area.clone()))),
        Change::Munlock => read(Source::VmLockedIn(area.clone())),
    }
}

/// `mlock_vma_pages_range()`. Held on entry: `mmap_lock` for writing.
pub(super) fn mlock_vma_pages_range(k: &mut Asm<'_>, era: &Era, area: &Area, change: Change) {
    let flags = match (change, era.marker) {
        (Change::Munlock, _) => VmFlags::Unlocked,
        (Change::Mlock, Marker::Set) => VmFlags::LockedMarked,
        (Change::Mlock, Marker::None) => VmFlags::Locked,
    };
    k.function("mlock_vma_pages_range", CITE, |k| {
        let guarded = matches!(era.guard, Guard::AnonVma | Guard::AnonVmaShared);
        if guarded {
            rmap_locks(k, area, |k, i| {
                k.lock(Class::AnonVma, mode_of(era.guard), i)
            });
        }
        if era.guard != Guard::Cursor {
            set_vm_flags(k, area, flags);
        }
        if era.guard == Guard::AnonVmaLate {
            rmap_locks(k, area, |k, i| {
                k.lock(Class::AnonVma, mode_of(era.guard), i)
            });
        }
        mlock::drain_local(k, era);
        walk(k, era, area, change, Round::First);
        mlock::drain_local(k, era);
        if flags == VmFlags::LockedMarked && era.guard != Guard::Cursor {
            set_vm_flags(k, area, VmFlags::Locked);
        }
        if guarded || era.guard == Guard::AnonVmaLate {
            rmap_locks(k, area, |k, i| k.unlock(Class::AnonVma, i));
        }
        if era.entry == Entry::WalkTwice && change == Change::Mlock {
            walk(k, era, area, change, Round::Second);
            mlock::drain_local(k, era);
        }
    });
}

/// How the walk holds the anon_vma lock.
fn mode_of(guard: Guard) -> Mode {
    if guard == Guard::AnonVmaShared {
        Mode::Shared
    } else {
        Mode::Exclusive
    }
}

/// Takes or gives back the anon_vma locks of the regions that an area touches.
fn rmap_locks(k: &mut Asm<'_>, area: &Area, each: impl Fn(&mut Asm<'_>, u16)) {
    for region in k.world().regions.clone() {
        if region.start < area.pages.end && area.pages.start < region.start + region.len {
            each(k, region.start);
        }
    }
}

/// Which walk it is, for a kernel that walks twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    First,
    Second,
}

/// `walk_page_range()`: one table after the other.
fn walk(k: &mut Asm<'_>, era: &Era, area: &Area, change: Change, round: Round) {
    for (i, region) in k.world().regions.clone().into_iter().enumerate() {
        let from = area.pages.start.max(region.start);
        let to = area.pages.end.min(region.start + region.len);
        if from < to {
            let part = Part {
                mm: area.mm,
                region: i as u16,
                from,
                to,
            };
            k.function("mlock_pte_range", CITE, |k| {
                mlock_pte_range(k, era, &part, change, round)
            });
        }
    }
}

/// The part of an area that one table, or one huge entry, maps.
struct Part {
    mm: u8,
    region: u16,
    from: u16,
    to: u16,
}

fn mlock_pte_range(k: &mut Asm<'_>, era: &Era, part: &Part, change: Change, round: Round) {
    let ptl = u16::from(part.mm);
    let addr = k.local("addr", RegKind::Page);
    k.set(addr, part.from);
    k.loop_(|k, again, done| {
        k.lock(Class::PageTable, Mode::Exclusive, ptl);
        if era.guard == Guard::Cursor {
            pass(k, part, change);
        }
        let pmd = k.load("pmd", RegKind::Small, Source::Pmd(part.mm, part.region));
        k.if_(pmd.is(Pmd::Migration), |k| {
            at_entry(k, era, part, addr, change, again);
        });
        k.if_(pmd.is(Pmd::Huge), |k| treat(k, era, addr, change, round));
        for spare in k.world().spares_of(part.region) {
            let collapsed = k.load("collapsed", RegKind::Small, Source::Pmd(part.mm, spare));
            k.if_(collapsed.is(Pmd::Huge), |k| {
                let head = k.local("folio", RegKind::Page);
                k.set(head, k.world().regions[usize::from(spare)].start);
                treat(k, era, head, change, round);
            });
        }
        k.if_(pmd.is(Pmd::Table), |k| {
            k.while_(addr.get().less_than(part.to), |k| {
                let step = k.local("step", RegKind::Count);
                k.set(step, 1);
                k.if_else(
                    read(Source::PtePresent(part.mm, addr.into())),
                    |k| at_pte(k, era, part, addr, step, (change, round)),
                    |k| {
                        if era.entry != Entry::Skip && era.entry != Entry::WalkTwice {
                            let entry = FolioSource::MigrationEntry(part.mm, addr.into());
                            k.if_(read(Source::Folio(entry)), |k| {
                                at_entry(k, era, part, addr, change, again);
                            });
                        }
                    },
                );
                k.set(addr, addr + step);
            });
        });
        k.unlock(Class::PageTable, ptl);
        k.goto(done);
    });
}

/// The walk has got to a table: from here on the new flags hold for what it maps.
fn pass(k: &mut Asm<'_>, part: &Part, change: Change) {
    let area = Area {
        mm: part.mm,
        pages: part.from..part.to,
    };
    let flags = match change {
        Change::Munlock => VmFlags::Unlocked,
        Change::Mlock => VmFlags::Locked,
    };
    set_vm_flags(k, &area, flags);
}

/// A present pte: a small page, or a large folio of which it maps a part.
fn at_pte(
    k: &mut Asm<'_>,
    era: &Era,
    part: &Part,
    addr: Reg,
    step: Reg,
    (change, round): (Change, Round),
) {
    let page = page_at(k, part.mm, addr);
    k.if_else(
        read(Source::PageCompound(page.into())),
        |k| {
            if era.by_ptes == ByPtes::Ignored {
                return;
            }
            let folio = rmap::folio_of(k, page);
            let batch = FolioSource::PteBatch(part.mm, page.into(), part.to);
            let mapped = k.load("pages", RegKind::Count, Source::Folio(batch));
            k.set(step, mapped);
            match change {
                Change::Munlock => treat(k, era, folio, change, round),
                // mlock_folio only what the walk covers and the area maps as a whole.
                Change::Mlock => {
                    let nr_pages = Source::NrPages(folio.into());
                    let nr_pages = k.load("nr_pages", RegKind::Count, nr_pages);
                    k.if_(mapped.is(nr_pages), |k| {
                        treat(k, era, folio, change, round);
                    });
                }
            }
        },
        |k| treat(k, era, page, change, round),
    );
}

fn treat(k: &mut Asm<'_>, era: &Era, folio: Reg, change: Change, round: Round) {
    match (change, round) {
        (Change::Munlock, _) => mlock::munlock_folio(k, era, folio),
        (Change::Mlock, Round::First) => mlock::mlock_folio(k, era, folio),
        // What is marked by now is taken to be counted.
        (Change::Mlock, Round::Second) => k.if_else(
            read(Source::Flag(Flag::Mlocked, folio.into())),
            |_| {},
            |k| mlock::mlock_folio(k, era, folio),
        ),
    }
}

/// A migration entry; what it stands for may be frozen.
///
/// `migration_entry_wait()` waits for the lock of the folio behind the entry, without a reference:
/// whoever made the entry holds that lock until the mapping is back.
/// A split holds the lock of the huge page's head for all of its pages, so that is the one to wait for;
/// a page of a huge page that was split before is migrated under its own, which is not modelled.
fn at_entry(k: &mut Asm<'_>, era: &Era, part: &Part, addr: Reg, change: Change, again: Target) {
    let ptl = u16::from(part.mm);
    let region = k.world().regions[usize::from(part.region)];
    let behind = |k: &mut Asm<'_>| -> Expr {
        match region.kind {
            RegionKind::Small => addr.into(),
            RegionKind::Large => rmap::folio_of(k, addr).into(),
            _ => region.start.into(),
        }
    };
    match era.entry {
        Entry::Skip | Entry::WalkTwice => {}
        Entry::Wait => {
            let locked = behind(k);
            k.unlock(Class::PageTable, ptl);
            wait(k, locked);
            k.goto(again);
        }
        Entry::WaitUnderPtLock => {
            let locked = behind(k);
            wait(k, locked);
            k.unlock(Class::PageTable, ptl);
            k.goto(again);
        }
        Entry::Treat => {
            let folio = rmap::folio_of(k, addr);
            k.if_(Cond::GetPageUnlessZero(folio.into()), |k| {
                treat(k, era, folio, change, Round::First);
                super::list::put(k, era, folio);
            });
        }
    }
}

fn wait(k: &mut Asm<'_>, folio: Expr) {
    k.function("migration_entry_wait", CITE, |k| {
        k.lock(Class::PageLock, Mode::Exclusive, folio.clone());
        k.unlock(Class::PageLock, folio);
    });
}
