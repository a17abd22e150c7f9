//! Page faults: a page comes to be mapped where nothing was.
//!
//! Source: v3.7 mm/huge_memory.c `do_huge_pmd_anonymous_page()`, mm/memory.c `do_anonymous_page()`,
//! mm/rmap.c `page_add_new_anon_rmap()`, mm/internal.h `mlocked_vma_newpage()`.
//!
//! # What this does not model
//!
//! Allocation: the frames are there from the start, and nobody but the fault can reach them; where
//! something else may have freed them there is no fault.

use super::{Kernel, lru, walk};
use crate::machine::{
    Area, Asm, Class, Flag, Mode, Op, Pmd, Reg, RegKind, RegionKind, Source, read, test_set,
};

/// A fault at every address of an area that maps nothing.
pub(super) fn fault(k: &mut Asm<'_>, kernel: &Kernel, area: &Area) {
    let mm = area.mm;
    k.lock(Class::MmapSem, Mode::Shared, u16::from(mm));
    for (i, region) in (0..).zip(&k.world().regions) {
        let from = area.pages.start.max(region.start);
        let to = area.pages.end.min(region.start + region.len);
        if from >= to {
            continue;
        }
        if region.kind == RegionKind::Thp {
            fault_huge(k, kernel, mm, i);
        } else {
            fault_small(k, kernel, mm, i, from..to);
        }
    }
    k.unlock(Class::MmapSem, u16::from(mm));
}

fn fault_huge(k: &mut Asm<'_>, kernel: &Kernel, mm: u8, region: u16) {
    k.function("do_huge_pmd_anonymous_page", "v3.7 mm/huge_memory.c", |k| {
        let head = k.local("page", RegKind::Page);
        k.set(head, k.world().regions[usize::from(region)].start);
        k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
        let pmd = k.load("pmd", RegKind::Small, Source::Pmd(mm, region));
        k.if_(pmd.is(Pmd::None), |k| {
            page_add_new_anon_rmap(k, kernel, mm, head);
            k.emit(Op::SetPmd(mm, region, Pmd::Huge));
        });
        k.unlock(Class::PageTable, u16::from(mm));
    });
}

fn fault_small(k: &mut Asm<'_>, kernel: &Kernel, mm: u8, region: u16, pages: std::ops::Range<u16>) {
    k.function("do_anonymous_page", "v3.7 mm/memory.c", |k| {
        let page = k.local("page", RegKind::Page);
        k.set(page, pages.start);
        k.while_(page.get().less_than(pages.end), |k| {
            let pmd = walk::lock_pmd(k, mm, page);
            k.if_(pmd.is(Pmd::None), |k| {
                k.emit(Op::SetPmd(mm, region, Pmd::Table))
            });
            k.if_else(
                read(Source::PtePresent(mm, page.into())),
                |_| {},
                |k| {
                    page_add_new_anon_rmap(k, kernel, mm, page);
                    k.emit(Op::SetPte(mm, page.into()));
                },
            );
            k.unlock(Class::PageTable, u16::from(mm));
            k.set(page, page + 1);
        });
    });
}

/// `page_add_new_anon_rmap()`: a new page in a locked area is marked and counted before anybody can
/// find it, and goes to a list.
///
/// Held on entry: the PT lock under which the page is about to be mapped.
pub(super) fn page_add_new_anon_rmap(k: &mut Asm<'_>, kernel: &Kernel, mm: u8, page: Reg) {
    k.function(
        "page_add_new_anon_rmap",
        "v3.7 mm/rmap.c, mm/internal.h",
        |k| {
            k.if_(read(Source::VmLocked(mm, page.into())), |k| {
                k.if_else(
                    test_set(Flag::Mlocked, page),
                    |_| {},
                    |k| {
                        let nr_pages = kernel.mark_counts.nr_pages(k, page);
                        k.emit(Op::ModNrMlock(nr_pages));
                    },
                );
            });
            lru::putback_lru_page(k, page);
        },
    );
}
