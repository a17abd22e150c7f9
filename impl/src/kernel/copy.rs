//! Copy on write: an address space that writes to a page which others map gets a copy of its own.
//!
//! In an area with `VM_LOCKED` the copy is marked as any new page is, and a small old page is
//! munlocked, so that nobody with an unlocked area keeps a marked page: up to 2.6.37 before the pte
//! changes, since then afterwards.
//! A huge old page keeps its mark.
//!
//! Source: v3.7 mm/memory.c `do_wp_page()`, mm/huge_memory.c `do_huge_pmd_wp_page()`; 2.6.37
//! mm/memory.c.
//!
//! # What this does not model
//!
//! The new mapping appears in one step with what it replaces gone: the mapcount of the old page drops
//! a moment before the kernel drops it, under the same PT lock.
//! One write per region: there is one spare frame for each page.

use super::fault::page_add_new_anon_rmap;
use super::{CopyOnWrite, Kernel, page, rmap, walk};
use crate::machine::{Area, Asm, Class, Mode, Op, Pmd, Reg, RegKind, RegionKind, Source, read};

/// Writes to every page of an area.
pub(super) fn write(k: &mut Asm<'_>, kernel: &Kernel, area: &Area) {
    let world = k.world();
    let mm = area.mm;
    k.lock(Class::MmapSem, Mode::Shared, u16::from(mm));
    for (i, region) in (0..).zip(&world.regions) {
        let from = area.pages.start.max(region.start);
        let to = area.pages.end.min(region.start + region.len);
        let Some(spare) = world.spares_of(i).next().filter(|_| from < to) else {
            continue;
        };
        if region.kind == RegionKind::Thp {
            write_huge(k, kernel, mm, i, spare);
        } else {
            let addr = k.local("address", RegKind::Page);
            k.set(addr, from);
            k.while_(addr.get().less_than(to), |k| {
                write_small(k, kernel, mm, addr, spare);
                k.set(addr, addr + 1);
            });
        }
    }
    k.unlock(Class::MmapSem, u16::from(mm));
}

/// `do_huge_pmd_wp_page()`.
fn write_huge(k: &mut Asm<'_>, kernel: &Kernel, mm: u8, region: u16, spare: u16) {
    k.function("do_huge_pmd_wp_page", "v3.7 mm/huge_memory.c", |k| {
        let (page, new_page) = (
            k.local("page", RegKind::Page),
            k.local("new_page", RegKind::Page),
        );
        let copy = k.local("copy", RegKind::Flag);
        let ptl = u16::from(mm);
        k.set(page, k.world().regions[usize::from(region)].start);
        k.set(new_page, k.world().regions[usize::from(spare)].start);
        k.set(copy, 0);
        k.lock(Class::PageTable, Mode::Exclusive, ptl);
        let pmd = k.load("pmd", RegKind::Small, Source::Pmd(mm, region));
        k.if_(pmd.is(Pmd::Huge), |k| {
            let mapcount = k.load("mapcount", RegKind::Count, Source::Mapcount(page.into()));
            k.if_(mapcount.is(1).is_zero(), |k| {
                k.emit(Op::GetPage(page.into()));
                k.set(copy, 1);
            });
        });
        k.unlock(Class::PageTable, ptl);
        k.if_(copy, |k| {
            k.lock(Class::PageTable, Mode::Exclusive, ptl);
            let pmd = k.load("pmd", RegKind::Small, Source::Pmd(mm, region));
            k.if_(pmd.is(Pmd::Huge), |k| {
                let last = k.local("last", RegKind::Flag);
                k.emit(Op::ClearHugePmd(mm, region, last));
                page_add_new_anon_rmap(k, kernel, mm, new_page);
                k.emit(Op::SetPmd(mm, spare, Pmd::Huge));
                rmap::page_remove_rmap(k, kernel, page, last);
                page::put_page(k, kernel, page);
            });
            k.unlock(Class::PageTable, ptl);
            page::put_page(k, kernel, page);
        });
    });
}

/// `do_wp_page()`.
fn write_small(k: &mut Asm<'_>, kernel: &Kernel, mm: u8, addr: Reg, spare: u16) {
    k.function("do_wp_page", "v3.7 mm/memory.c", |k| {
        let world = k.world();
        let first = world.regions[usize::from(spare)].start;
        let offset = first - world.address_of(first);
        let old_page = k.local("old_page", RegKind::Page);
        let copy = k.local("copy", RegKind::Flag);
        k.set(copy, 0);
        let pmd = walk::lock_pmd(k, mm, addr);
        k.if_(pmd.is(Pmd::Table), |k| {
            k.if_(read(Source::PteMaps(mm, addr.into())), |k| {
                k.set(old_page, addr);
                let mapcount = k.load("mapcount", RegKind::Count, Source::Mapcount(addr.into()));
                k.if_(mapcount.is(1).is_zero(), |k| {
                    k.emit(Op::GetPage(old_page.into()));
                    k.set(copy, 1);
                });
            });
        });
        k.unlock(Class::PageTable, u16::from(mm));
        k.if_(copy, |k| {
            if kernel.copy_on_write == CopyOnWrite::ClearsFirst {
                forget_mark(k, kernel, mm, addr, old_page);
            }
            let copied = switch_pte(k, kernel, mm, old_page, offset);
            if kernel.copy_on_write == CopyOnWrite::MunlocksAfter {
                k.if_(copied, |k| forget_mark(k, kernel, mm, addr, old_page));
            }
            page::put_page(k, kernel, old_page);
        });
    });
}

/// Puts a pte for the copy where the old page was, if it is there still; leaves 1 if so.
fn switch_pte(k: &mut Asm<'_>, kernel: &Kernel, mm: u8, old_page: Reg, offset: u16) -> Reg {
    let new_page = k.local("new_page", RegKind::Page);
    let copied = k.local("page_copied", RegKind::Flag);
    k.set(new_page, old_page + offset);
    k.set(copied, 0);
    k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
    k.if_(read(Source::PteMaps(mm, old_page.into())), |k| {
        let last = k.local("last", RegKind::Flag);
        k.emit(Op::ClearPte(mm, old_page.into(), last));
        page_add_new_anon_rmap(k, kernel, mm, new_page);
        k.emit(Op::SetPte(mm, new_page.into()));
        rmap::page_remove_rmap(k, kernel, old_page, last);
        page::put_page(k, kernel, old_page);
        k.set(copied, 1);
    });
    k.unlock(Class::PageTable, u16::from(mm));
    copied
}

/// Takes the mark off the old page, in an area with `VM_LOCKED`.
fn forget_mark(k: &mut Asm<'_>, kernel: &Kernel, mm: u8, addr: Reg, old_page: Reg) {
    k.if_(read(Source::VmLocked(mm, addr.into())), |k| {
        k.lock(Class::PageLock, Mode::Exclusive, old_page);
        match kernel.copy_on_write {
            CopyOnWrite::ClearsFirst => rmap::clear_page_mlock(k, kernel, old_page),
            CopyOnWrite::MunlocksAfter => {
                let mask = k.local("page_mask", RegKind::Count);
                (kernel.munlock_page)(k, kernel, old_page, mask);
            }
        }
        k.unlock(Class::PageLock, old_page);
    });
}
