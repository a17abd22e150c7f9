//! New pages since v4.5: copy on write, and khugepaged.
//!
//! An address space that writes to a page which others map gets a small copy of its own:
//!
//! 1. A huge entry gives way to a table; the folio stays large, and the write is taken up again.
//! 2. Of a page that others map too, a reference is taken, and a new page is filled without the PT lock.
//! 3. If the pte is still there, the new page takes its place. In a locked area it is marked before
//!    anybody can find it; since v5.18 it goes on its list by way of the batch.
//! 4. Up to v5.17 the old page, if it is marked, is munlocked in the end; since v5.18 the mapping that
//!    goes reports itself.
//!
//! Source: 4.19 mm/memory.c `wp_page_copy()`, mm/swap.c `lru_cache_add_active_or_unevictable()`; 6.1 and
//! 6.12 mm/memory.c `wp_page_copy()`, mm/huge_memory.c `do_huge_pmd_wp_page()`, mm/swap.c
//! `folio_add_lru_vma()`, mm/mlock.c `mlock_new_folio()`.
//!
//! khugepaged does what it did before (see [`crate::kernel::collapse`]), but for what goes with mappings:
//! since v5.18 each of the small pages loses a locker when its pte goes, and the huge page gets one.
//!
//! # What this does not model
//!
//! * A huge copy of a huge page, for which up to v5.7 a huge page is looked for first.
//! * One write per region: there is one spare frame for each page.

use super::rmap::Covers;
use super::{Era, Lockers, asked, list, mlock, rmap, split};
use crate::kernel::{collapse, fault, v3_7};
use crate::machine::{
    Area, Asm, Batched, Class, Flag, FolioSource, Mode, Op, Pmd, Reg, RegKind, Source, read,
};

const CITE: &str = "4.19, 6.1, 6.12 mm/memory.c";

/// Writes to every page of an area.
pub(super) fn write(k: &mut Asm<'_>, era: &Era, area: &Area) {
    let mm = area.mm;
    k.lock(Class::MmapSem, Mode::Shared, u16::from(mm));
    for (i, region) in (0..).zip(&k.world().regions) {
        let from = area.pages.start.max(region.start);
        let to = area.pages.end.min(region.start + region.len);
        let Some(spare) = k.world().spares_of(i).next().filter(|_| from < to) else {
            continue;
        };
        let offset = k.world().regions[usize::from(spare)].start - region.start;
        if region.folio_pages() > 1 {
            split_shared_pmd(k, era, mm, i);
        }
        let addr = k.local("address", RegKind::Page);
        k.set(addr, from);
        k.while_(addr.get().less_than(to), |k| {
            k.function("wp_page_copy", CITE, |k| {
                wp_page_copy(k, era, mm, i, addr, offset)
            });
            k.set(addr, addr + 1);
        });
    }
    k.unlock(Class::MmapSem, u16::from(mm));
}

/// `do_huge_pmd_wp_page()` when there is no huge page to be had.
fn split_shared_pmd(k: &mut Asm<'_>, era: &Era, mm: u8, region: u16) {
    let head = k.world().regions[usize::from(region)].start;
    let shared = k.local("shared", RegKind::Flag);
    k.function("do_huge_pmd_wp_page", CITE, |k| {
        k.set(shared, 0);
        k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
        let pmd = k.load("pmd", RegKind::Small, Source::Pmd(mm, region));
        k.if_(pmd.is(Pmd::Huge), |k| {
            let mapcount = k.load("mapcount", RegKind::Count, Source::Mapcount(head.into()));
            k.if_(mapcount.is(1).is_zero(), |k| k.set(shared, 1));
        });
        k.unlock(Class::PageTable, u16::from(mm));
        k.if_(shared, |k| split::split_huge_pmd(k, era, mm, region));
    });
}

fn wp_page_copy(k: &mut Asm<'_>, era: &Era, mm: u8, region: u16, addr: Reg, offset: u16) {
    let old = k.local("old_page", RegKind::Page);
    let copy = k.local("copy", RegKind::Flag);
    k.set(copy, 0);
    k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
    let pmd = k.load("pmd", RegKind::Small, Source::Pmd(mm, region));
    k.if_(pmd.is(Pmd::Table), |k| {
        k.if_(read(Source::PteMaps(mm, addr.into())), |k| {
            k.set(old, addr);
            let mapcount = k.load("mapcount", RegKind::Count, Source::Mapcount(addr.into()));
            k.if_(mapcount.is(1).is_zero(), |k| {
                k.emit(Op::GetPage(old.into()));
                k.set(copy, 1);
            });
        });
    });
    k.unlock(Class::PageTable, u16::from(mm));
    k.if_(copy, |k| {
        let copied = switch_pte(k, era, mm, old, offset);
        if let Lockers::Asked(asked) = &era.lockers {
            k.if_(copied, |k| asked::munlock_copied(k, asked, mm, old));
        }
        list::put(k, era, old);
    });
}

/// Step 3; leaves 1 if the pte has changed.
fn switch_pte(k: &mut Asm<'_>, era: &Era, mm: u8, old: Reg, offset: u16) -> Reg {
    let new = k.local("new_page", RegKind::Page);
    let copied = k.local("page_copied", RegKind::Flag);
    k.set(new, old + offset);
    k.set(copied, 0);
    k.emit(Op::GetPage(new.into()));
    k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
    k.if_(read(Source::PteMaps(mm, old.into())), |k| {
        let last = k.local("last", RegKind::Flag);
        k.emit(Op::ClearPte(mm, old.into(), last));
        add_new(k, era, mm, new);
        k.emit(Op::SetPte(mm, new.into()));
        rmap::removed(k, era, mm, old, Covers::Ptes);
        list::put(k, era, old);
        k.set(copied, 1);
    });
    k.unlock(Class::PageTable, u16::from(mm));
    mlock::drain_local(k, era);
    list::put(k, era, new);
    copied
}

/// khugepaged, on a region of the first address space.
pub(super) fn collapse(k: &mut Asm<'_>, era: &Era, region: u16) {
    let ways = collapse::Ways {
        put_page: &|k, page| list::put(k, era, page),
        isolate: &|k, page| list::isolate(k, era, page),
        putback: &|k, page| list::putback(k, era, page),
        removed: &|k, page, _| rmap::removed(k, era, collapse::MM, page, Covers::Ptes),
        added: &|k, head| add_new(k, era, collapse::MM, head),
    };
    let Some(spare) = k.world().spares_of(region).next() else {
        return;
    };
    let new = k.local("hpage", RegKind::Page);
    k.set(new, k.world().regions[usize::from(spare)].start);
    k.emit(Op::GetPage(new.into()));
    mlock::drain_local(k, era);
    collapse::collapse_huge_page(k, region, ways);
    mlock::drain_local(k, era);
    list::put(k, era, new);
}

/// `folio_add_lru_vma()` of a page that nobody else can find.
fn add_new(k: &mut Asm<'_>, era: &Era, mm: u8, new: Reg) {
    if era.lockers != Lockers::Counted {
        return fault::page_add_new_anon_rmap(k, &v3_7::KERNEL, mm, new);
    }
    k.function("folio_add_lru_vma", "6.1 mm/swap.c, mm/mlock.c", |k| {
        let locked = FolioSource::LockedUnmarked(mm, new.into());
        k.if_else(
            read(Source::Folio(locked)),
            |k| {
                k.emit(Op::SetFlag(Flag::Mlocked, new.into()));
                let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(new.into()));
                k.emit(Op::ModNrMlock(nr_pages.into()));
                mlock::report(k, era, new, Batched::New);
            },
            |k| list::putback(k, era, new),
        );
    });
}
