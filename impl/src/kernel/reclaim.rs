//! Reclaim, as far as it concerns marks: it comes upon pages that some area locks, and marks them.
//!
//! Source: v3.7 mm/vmscan.c `shrink_page_list()`, mm/rmap.c `try_to_unmap()`,
//! `try_to_unmap_cluster()`.
//!
//! # What this does not model
//!
//! Pages that nobody locks are found referenced, and kept: nothing is written out or unmapped.
//! Huge pages are left alone; the kernel splits them first.

use super::v3_7::mlock_vma_page;
use super::{Kernel, Nonlinear, lru, page, rmap, walk};
use crate::machine::{
    Area, Asm, Class, Cond, Flag, Mode, Pmd, Reg, RegKind, Source, read, trylock,
};
use std::ops::Range;

/// Reclaims the pages of a range, one by one.
pub(super) fn shrink_page_list(k: &mut Asm<'_>, kernel: &Kernel, pages: &Range<u16>) {
    let page = k.local("page", RegKind::Page);
    k.set(page, pages.start);
    k.while_(page.get().less_than(pages.end), |k| {
        let isolated = isolate_lru_pages(k, page);
        k.if_(isolated, |k| {
            k.if_(trylock(Class::PageLock, Mode::Exclusive, page), |k| {
                shrink_page(k, kernel, page);
                k.unlock(Class::PageLock, page);
            });
            lru::putback_lru_page(k, page);
            page::put_page(k, kernel, page);
        });
        k.set(page, page + 1);
    });
}

/// `isolate_lru_pages()`, for one page: whoever walks a list meets what is on it, takes a reference
/// and takes it off. Leaves 1 in the returned variable if so.
pub(super) fn isolate_lru_pages(k: &mut Asm<'_>, page: Reg) -> Reg {
    let isolated = k.local("isolated", RegKind::Flag);
    k.function("isolate_lru_pages", "v3.7 mm/vmscan.c", |k| {
        k.set(isolated, 0);
        k.lock(Class::Lru, Mode::Exclusive, 0);
        k.if_(read(Source::Flag(Flag::Lru, page.into())), |k| {
            k.if_(Cond::GetPageUnlessZero(page.into()), |k| {
                lru::clear(k, page.into());
                k.set(isolated, 1);
            });
        });
        k.unlock(Class::Lru, 0);
    });
    isolated
}

/// A page that is marked already is culled; of a page that is not, every mapping is asked.
fn shrink_page(k: &mut Asm<'_>, kernel: &Kernel, page: Reg) {
    k.if_else(
        read(Source::Flag(Flag::Mlocked, page.into())),
        |_| {},
        |k| {
            let mapcount = k.load("mapcount", RegKind::Count, Source::Mapcount(page.into()));
            k.if_(mapcount, |k| {
                k.function("try_to_unmap", "v3.7 mm/rmap.c", |k| {
                    rmap::lazy_mlock(k, kernel, page);
                });
            });
        },
    );
}

/// Reclaim of the first page of an area that maps its file nonlinearly: nobody knows where, so that
/// the ptes of the area are looked through, and every page found in a locked area is marked.
///
/// The page looked for is isolated and locked; the others are neither.
pub(super) fn shrink_nonlinear(k: &mut Asm<'_>, kernel: &Kernel, area: &Area) {
    let check_page = k.local("check_page", RegKind::Page);
    k.set(check_page, area.pages.start);
    let found = walk::page_at(k, area.mm, check_page);
    k.set(check_page, found);
    let isolated = isolate_lru_pages(k, check_page);
    k.if_(isolated, |k| {
        k.if_(trylock(Class::PageLock, Mode::Exclusive, check_page), |k| {
            try_to_unmap_cluster(k, kernel, area, check_page);
            k.unlock(Class::PageLock, check_page);
        });
        lru::putback_lru_page(k, check_page);
        page::put_page(k, kernel, check_page);
    });
}

/// `try_to_unmap_cluster()`. Source: v3.7 mm/rmap.c; 57e68e9cd65b (v3.15).
fn try_to_unmap_cluster(k: &mut Asm<'_>, kernel: &Kernel, area: &Area, check_page: Reg) {
    let mm = area.mm;
    k.function("try_to_unmap_cluster", "v3.7 mm/rmap.c", |k| {
        k.if_(trylock(Class::MmapSem, Mode::Shared, u16::from(mm)), |k| {
            k.if_(read(Source::VmLocked(mm, area.pages.start.into())), |k| {
                let addr = k.local("address", RegKind::Page);
                k.set(addr, area.pages.start);
                let pmd = walk::lock_pmd(k, mm, addr);
                k.if_(pmd.is(Pmd::Table), |k| {
                    k.while_(addr.get().less_than(area.pages.end), |k| {
                        k.if_(read(Source::PtePresent(mm, addr.into())), |k| {
                            let page = walk::page_at(k, mm, addr);
                            mlock_in_cluster(k, kernel, page, check_page);
                        });
                        k.set(addr, addr + 1);
                    });
                });
                k.unlock(Class::PageTable, u16::from(mm));
            });
            k.unlock(Class::MmapSem, u16::from(mm));
        });
    });
}

fn mlock_in_cluster(k: &mut Asm<'_>, kernel: &Kernel, page: Reg, check_page: Reg) {
    match kernel.nonlinear {
        Nonlinear::AnyPage => mlock_vma_page(k, kernel, page),
        Nonlinear::LockedPages => k.if_else(
            page.is(check_page),
            |k| mlock_vma_page(k, kernel, page),
            |k| {
                k.if_(trylock(Class::PageLock, Mode::Exclusive, page), |k| {
                    mlock_vma_page(k, kernel, page);
                    k.unlock(Class::PageLock, page);
                });
            },
        ),
    }
}
