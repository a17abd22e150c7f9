//! khugepaged: the small pages of a page table are copied into one huge page.
//!
//! 1. A huge page is allocated.
//! 2. Under `mmap_sem` and the anon_vma lock, both for writing, the page table is taken out of the
//!    entry, under the PT lock, if one area holds all of it.
//! 3. Every page of it is locked and isolated; if one cannot be, or somebody else refers to it, all is
//!    undone.
//! 4. Page by page, its pte is cleared, its mark with it, and the page is freed.
//! 5. The huge page is marked if the area is locked, and mapped, under the PT lock.
//!
//! Source: v3.7 mm/huge_memory.c `collapse_huge_page()`, `__collapse_huge_page_isolate()`,
//! `__collapse_huge_page_copy()`.
//!
//! # What this does not model
//!
//! * Empty ptes, which the kernel fills with zeroes: a table with one is left alone. So is one with a page
//!   that others map too, which since v5.8 need not be.
//! * Areas, but for where `VM_LOCKED` begins and ends. The kernel looks for the area before it takes the
//!   anon_vma lock; `mmap_sem` keeps it as it is either way.
//! * What is read here is v3.7; the steps that touch a mark are each family's own.

use super::fault::page_add_new_anon_rmap;
use super::pagevec::OnPage;
use super::{Kernel, lru, page, rmap};
use crate::machine::{
    Area, Asm, Batch, Class, FolioSource, Mode, Op, Pagevec, Pmd, Reg, RegKind, Region, Source,
    read, trylock,
};

const CITE: &str = "v3.7 mm/huge_memory.c";
/// The address space whose pages are collapsed.
pub(super) const MM: u8 = 0;
/// The pages that are isolated, each with the reference that isolation takes.
const ISOLATED: Pagevec = Pagevec::Own(Batch::Putback);

/// What a family of kernels does in its own way.
#[derive(Clone, Copy)]
pub(super) struct Ways<'a> {
    /// `put_page()`.
    pub(super) put_page: OnPage<'a>,
    /// `isolate_lru_page()`: leaves 1 in the variable that it returns if the page is isolated.
    pub(super) isolate: &'a dyn Fn(&mut Asm<'_>, Reg) -> Reg,
    /// `putback_lru_page()`.
    pub(super) putback: OnPage<'a>,
    /// `page_remove_rmap()`, of a page and whether that was its last mapping.
    pub(super) removed: &'a dyn Fn(&mut Asm<'_>, Reg, Reg),
    /// `page_add_new_anon_rmap()` of the huge page, and its way to a list.
    pub(super) added: OnPage<'a>,
}

/// Collapses a region as the kernels up to v4.4 do.
pub(super) fn collapse(k: &mut Asm<'_>, kernel: &Kernel, region: u16) {
    let ways = Ways {
        put_page: &|k, page| page::put_page(k, kernel, page),
        isolate: &|k, page| lru::isolate_lru_page(k, page),
        putback: &|k, page| lru::putback_lru_page(k, page),
        removed: &|k, page, last| rmap::page_remove_rmap(k, kernel, page, last),
        added: &|k, head| page_add_new_anon_rmap(k, kernel, MM, head),
    };
    collapse_huge_page(k, region, ways);
}

/// Collapses a region of the first address space into the spare frames for it.
pub(super) fn collapse_huge_page(k: &mut Asm<'_>, region: u16, ways: Ways<'_>) {
    let world = k.world();
    let frames = |i: u16| world.regions.get(usize::from(i)).copied();
    let spare = world.spares_of(region).next();
    let (Some(spare), Some(old)) = (spare, frames(region)) else {
        return;
    };
    let Some(new) = frames(spare) else { return };
    let ptl = u16::from(MM);
    k.function("collapse_huge_page", CITE, |k| {
        k.emit(Op::MakeCompound(spare));
        k.lock(Class::MmapSem, Mode::Exclusive, ptl);
        k.lock(Class::AnonVma, Mode::Exclusive, old.start);
        let table = k.local("table", RegKind::Flag);
        k.set(table, 0);
        in_one_area(k, &old, |k| {
            k.lock(Class::PageTable, Mode::Exclusive, ptl);
            let pmd = k.load("pmd", RegKind::Small, Source::Pmd(MM, region));
            k.if_(pmd.is(Pmd::Table), |k| {
                k.emit(Op::SetPmd(MM, region, Pmd::None));
                k.set(table, 1);
            });
            k.unlock(Class::PageTable, ptl);
        });
        k.if_else(
            table,
            |k| {
                let isolated = isolate(k, &old, ways);
                k.if_else(
                    isolated,
                    |k| {
                        k.unlock(Class::AnonVma, old.start);
                        copy(k, ways);
                        let head = k.local("new_page", RegKind::Page);
                        k.set(head, new.start);
                        k.lock(Class::PageTable, Mode::Exclusive, ptl);
                        (ways.added)(k, head);
                        k.emit(Op::SetPmd(MM, spare, Pmd::Huge));
                        k.unlock(Class::PageTable, ptl);
                    },
                    |k| {
                        k.lock(Class::PageTable, Mode::Exclusive, ptl);
                        k.emit(Op::SetPmd(MM, region, Pmd::Table));
                        k.unlock(Class::PageTable, ptl);
                        lru::for_each(k, ISOLATED, |k, page| release_pte_page(k, page, ways));
                        lru::release_all(k, ISOLATED, ways.put_page);
                        k.unlock(Class::AnonVma, old.start);
                    },
                );
            },
            |k| k.unlock(Class::AnonVma, old.start),
        );
        k.unlock(Class::MmapSem, ptl);
    });
}

/// What is to be done if one area holds the whole region: where a part of it is locked there are two.
fn in_one_area(k: &mut Asm<'_>, old: &Region, then: impl FnOnce(&mut Asm<'_>)) {
    let area = || Area {
        mm: MM,
        pages: old.pages(),
    };
    let locked = k.load("locked", RegKind::Flag, Source::VmLockedIn(area()));
    let unlocked = Source::Folio(FolioSource::Unlocked(area()));
    let unlocked = k.load("unlocked", RegKind::Flag, unlocked);
    k.if_else(locked & unlocked, |_| {}, then);
}

/// Step 3; leaves 1 if all pages are isolated.
fn isolate(k: &mut Asm<'_>, old: &Region, ways: Ways<'_>) -> Reg {
    let all = k.local("isolated", RegKind::Flag);
    k.function("__collapse_huge_page_isolate", CITE, |k| {
        let page = k.local("page", RegKind::Page);
        k.set(all, 0);
        k.set(page, old.start);
        k.lock(Class::PageTable, Mode::Exclusive, u16::from(MM));
        k.block(|k, out| {
            k.while_(page.get().less_than(old.start + old.len), |k| {
                let present = read(Source::PteMaps(MM, page.into()));
                k.if_else(present, |_| {}, |k| k.goto(out));
                for mm in 1..k.world().mms {
                    k.if_(read(Source::PteMaps(mm, page.into())), |k| k.goto(out));
                }
                k.if_(read(Source::HeldElsewhere(page.into())), |k| k.goto(out));
                let locked = trylock(Class::PageLock, Mode::Exclusive, page);
                k.if_else(locked, |_| {}, |k| k.goto(out));
                let isolated = (ways.isolate)(k, page);
                k.if_(isolated.is(0), |k| {
                    k.unlock(Class::PageLock, page);
                    k.goto(out);
                });
                k.emit(Op::GetPage(page.into()));
                k.emit(Op::VecAdd(ISOLATED, page.into()));
                k.set(page, page + 1);
            });
            k.set(all, 1);
        });
        k.unlock(Class::PageTable, u16::from(MM));
    });
    all
}

/// Step 4.
fn copy(k: &mut Asm<'_>, ways: Ways<'_>) {
    k.function("__collapse_huge_page_copy", CITE, |k| {
        lru::for_each(k, ISOLATED, |k, page| {
            let last = k.local("last", RegKind::Flag);
            release_pte_page(k, page, ways);
            k.lock(Class::PageTable, Mode::Exclusive, u16::from(MM));
            k.emit(Op::ClearPte(MM, page.into(), last));
            (ways.removed)(k, page, last);
            k.unlock(Class::PageTable, u16::from(MM));
            (ways.put_page)(k, page);
            k.emit(Op::VecTake(ISOLATED, page.into()));
            (ways.put_page)(k, page);
        });
    });
}

/// `release_pte_page()`: back on a list, and unlocked.
fn release_pte_page(k: &mut Asm<'_>, page: Reg, ways: Ways<'_>) {
    k.unlock(Class::PageLock, page);
    (ways.putback)(k, page);
}
