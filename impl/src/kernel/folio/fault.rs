//! A fault on a huge page of a file, whose huge entry is gone: the page comes to be mapped by ptes.
//!
//! Up to v5.17 such a page is never marked again: `PG_double_map`, which a pte sets, outlives the ptes.
//!
//! Source: 4.19 mm/memory.c `alloc_set_pte()`, mm/rmap.c `page_add_file_rmap()`; 6.1 mm/memory.c
//! `do_set_pte()`.
//!
//! # What this does not model
//!
//! * A fault that finds the area as large as the page, and maps it by a huge entry again.
//! * Faults on anything else.
//! * The reference of the page cache: a page that is mapped no more is freed, and a fault finds none.

use super::rmap::{self, Covers};
use super::{Era, list};
use crate::machine::{
    Area, Asm, Class, Cond, Mode, Op, Pmd, Reg, RegKind, RegionKind, Source, read,
};

const CITE: &str = "4.19, 6.1 mm/memory.c";

/// A fault at every address of an area that maps nothing.
pub(super) fn fault(k: &mut Asm<'_>, era: &Era, area: &Area) {
    let mm = area.mm;
    k.lock(Class::MmapSem, Mode::Shared, u16::from(mm));
    for (i, region) in (0..).zip(&k.world().regions) {
        let from = area.pages.start.max(region.start);
        let to = area.pages.end.min(region.start + region.len);
        if region.kind != RegionKind::FileThp || from >= to {
            continue;
        }
        let addr = k.local("address", RegKind::Page);
        k.set(addr, from);
        k.while_(addr.get().less_than(to), |k| {
            k.function("do_read_fault", CITE, |k| map(k, era, mm, i, addr));
            k.set(addr, addr + 1);
        });
    }
    k.unlock(Class::MmapSem, u16::from(mm));
}

/// Finds the page in the page cache, locks it, and maps it if nobody has meanwhile.
fn map(k: &mut Asm<'_>, era: &Era, mm: u8, region: u16, addr: Reg) {
    let head = k.world().regions[usize::from(region)].start;
    k.if_(Cond::GetPageUnlessZero(head.into()), |k| {
        k.lock(Class::PageLock, Mode::Exclusive, head);
        k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
        let pmd = k.load("pmd", RegKind::Small, Source::Pmd(mm, region));
        k.if_(pmd.is(Pmd::None), |k| {
            k.emit(Op::SetPmd(mm, region, Pmd::Table))
        });
        k.if_(pmd.is(Pmd::Huge).is_zero(), |k| {
            k.if_else(
                read(Source::PtePresent(mm, addr.into())),
                |_| {},
                |k| {
                    k.emit(Op::SetPte(mm, addr.into()));
                    rmap::added(k, era, mm, addr, Covers::Ptes);
                },
            );
        });
        k.unlock(Class::PageTable, u16::from(mm));
        k.unlock(Class::PageLock, head);
        let page = k.local("page", RegKind::Page);
        k.set(page, head);
        list::put(k, era, page);
    });
}
