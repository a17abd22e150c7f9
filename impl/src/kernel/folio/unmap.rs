//! `munmap()`, exit and fork: since v5.18 nobody munlocks first, and mappings that go report themselves.
//!
//! # What this does not model
//!
//! * The mmu gather: the reference of a mapping is dropped at once, under the PT lock.
//! * `exit_mmap()` takes `mmap_lock` for reading, which nobody is left to notice.

use super::rmap::Covers;
use super::{Era, Freed, Lockers, Zap, asked, for_each_folio, list, rmap, set_vm_flags, split};
use crate::kernel::walk;
use crate::machine::{
    Area, Asm, Class, Cond, Expr, FolioOp, FolioSource, Mode, Op, Pmd, Reg, RegKind, Source,
    VmFlags, read,
};
use std::ops::Range;

const CITE: &str = "6.1 mm/mmap.c, mm/memory.c, mm/huge_memory.c";

/// `munmap()`. The flags go with the area, after its mappings.
/// Source: 6.1 mm/mmap.c `do_mas_align_munmap()`.
pub(super) fn munmap(k: &mut Asm<'_>, era: &Era, area: &Area) {
    k.lock(Class::MmapSem, Mode::Exclusive, u16::from(area.mm));
    split_area(k, era, area);
    if let Lockers::Asked(asked) = &era.lockers {
        asked::munlock_before_unmap(k, era, asked, area);
    }
    zap_area(k, era, area);
    set_vm_flags(k, area, VmFlags::Unlocked);
    k.unlock(Class::MmapSem, u16::from(area.mm));
}

/// `exit_mmap()`. Source: 6.1 mm/mmap.c.
pub(super) fn exit_mmap(k: &mut Asm<'_>, era: &Era, mm: u8) {
    let regions = k.world().regions.clone();
    let own = regions.iter().filter(|region| region.home.is_none());
    k.function("exit_mmap", CITE, |k| {
        for pages in own.map(crate::machine::Region::pages) {
            let area = Area { mm, pages };
            if let Lockers::Asked(asked) = &era.lockers {
                asked::munlock_before_unmap(k, era, asked, &area);
            }
            zap_area(k, era, &area);
            set_vm_flags(k, &area, VmFlags::Unlocked);
        }
    });
}

/// `vma_adjust_trans_huge()`: splits the huge entries that an area begins or ends inside of; the folios
/// stay large. Source: 6.1 mm/huge_memory.c.
pub(super) fn split_area(k: &mut Asm<'_>, era: &Era, area: &Area) {
    for (i, region) in k.world().regions.clone().into_iter().enumerate() {
        let cuts = |at: u16| region.start < at && at < region.start + region.len;
        if cuts(area.pages.start) || cuts(area.pages.end) {
            k.function("vma_adjust_trans_huge", CITE, |k| {
                for frames in std::iter::once(i as u16).chain(k.world().spares_of(i as u16)) {
                    split::split_huge_pmd(k, era, area.mm, frames);
                }
            });
        }
    }
}

/// `unmap_vmas()` for an area that cuts through no huge entry.
fn zap_area(k: &mut Asm<'_>, era: &Era, area: &Area) {
    let mm = area.mm;
    for (i, region) in k.world().regions.clone().into_iter().enumerate() {
        let from = area.pages.start.max(region.start);
        let to = area.pages.end.min(region.start + region.len);
        if from >= to {
            continue;
        }
        let addr = k.local("addr", RegKind::Page);
        k.function("unmap_vmas", CITE, |k| {
            k.set(addr, from);
            k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
            let pmd = k.load("pmd", RegKind::Small, Source::Pmd(mm, i as u16));
            k.if_(pmd.is(Pmd::Huge), |k| {
                zap_huge_pmd(k, era, mm, i as u16, addr)
            });
            for spare in k.world().spares_of(i as u16) {
                let collapsed = k.load("collapsed", RegKind::Small, Source::Pmd(mm, spare));
                k.if_(collapsed.is(Pmd::Huge), |k| {
                    let head = k.local("folio", RegKind::Page);
                    k.set(head, k.world().regions[usize::from(spare)].start);
                    zap_huge_pmd(k, era, mm, spare, head);
                });
            }
            let gone = pmd.is(Pmd::HugeZero) + pmd.is(Pmd::Migration);
            k.if_(gone, |k| k.emit(Op::SetPmd(mm, i as u16, Pmd::None)));
            k.if_(pmd.is(Pmd::Table), |k| {
                k.while_(addr.get().less_than(to), |k| {
                    zap_ptes(k, era, mm, addr, to);
                    k.set(addr, addr + 1);
                });
            });
            k.unlock(Class::PageTable, u16::from(mm));
        });
    }
}

pub(super) fn zap_huge_pmd(k: &mut Asm<'_>, era: &Era, mm: u8, region: u16, head: Reg) {
    k.function("zap_huge_pmd", CITE, |k| {
        let last = k.local("last", RegKind::Flag);
        k.emit(Op::ClearHugePmd(mm, region, last));
        rmap::removed(k, era, mm, head, Covers::AllByPmd);
        list::put(k, era, head);
    });
}

/// What stands at an address: a pte and those behind it for the same folio, up to an end, if they go
/// together; or a migration entry. Leaves the address at the last that is gone.
fn zap_ptes(k: &mut Asm<'_>, era: &Era, mm: u8, addr: Reg, to: u16) {
    // Where pages change places ptes go one by one here.
    let zap = match k.world().has_spares() {
        true => Zap::PteByPte,
        false => era.zap,
    };
    k.function("zap_pte_range", CITE, |k| match zap {
        Zap::PteByPte => zap_pte(k, era, mm, addr),
        Zap::FolioByFolio => {
            let batch = FolioSource::PteBatch(mm, addr.into(), to);
            let left = k.load("nr", RegKind::Count, Source::Folio(batch));
            k.if_else(
                left,
                |k| {
                    k.while_(Expr::from(1).less_than(left), |k| {
                        clear_pte(k, mm, addr);
                        list::put(k, era, addr);
                        k.set(addr, addr + 1);
                        k.set(left, left - 1);
                    });
                    clear_pte(k, mm, addr);
                    rmap::removed(k, era, mm, addr, Covers::Ptes);
                    list::put(k, era, addr);
                },
                |k| zap_entry(k, mm, addr),
            );
        }
    });
}

/// One pte, or the migration entry in its place.
fn zap_pte(k: &mut Asm<'_>, era: &Era, mm: u8, addr: Reg) {
    k.if_else(
        read(Source::PtePresent(mm, addr.into())),
        |k| {
            let page = walk::page_at(k, mm, addr);
            clear_pte(k, mm, page);
            rmap::removed(k, era, mm, page, Covers::Ptes);
            list::put(k, era, page);
        },
        |k| zap_entry(k, mm, addr),
    );
}

fn clear_pte(k: &mut Asm<'_>, mm: u8, addr: Reg) {
    let last = k.local("last", RegKind::Flag);
    k.emit(Op::ClearPte(mm, addr.into(), last));
}

/// The migration entry for an address, if there is one.
fn zap_entry(k: &mut Asm<'_>, mm: u8, addr: Reg) {
    let entry = FolioSource::MigrationEntry(mm, addr.into());
    k.if_(read(Source::Folio(entry)), |k| {
        k.emit(Op::Folio(FolioOp::ClearEntry(mm, addr.into())));
    });
}

/// `truncate_inode_pages()` for small pages: unmaps each everywhere, whatever the areas say, and drops
/// the reference that its owner has.
/// Source: 6.1 mm/truncate.c, mm/memory.c `unmap_mapping_folio()`.
pub(super) fn truncate(k: &mut Asm<'_>, era: &Era, pages: &Range<u16>) {
    for_each_folio(k, pages, |k, page| {
        unmap_everywhere(k, era, page, |k| list::put(k, era, page));
    });
}

/// The same for a page that a driver got from the page allocator and had mapped: `free_page()` drops
/// the reference. Source: 66edc3a5894c (v6.12) mm/page_alloc.c, and what it says of before.
pub(super) fn free_page(k: &mut Asm<'_>, era: &Era, region: u16) {
    let page = k.local("page", RegKind::Page);
    k.set(page, k.world().regions[usize::from(region)].start);
    unmap_everywhere(k, era, page, |k| {
        k.function("free_page", CITE, |k| {
            k.if_(Cond::PutPage(page.into()), |k| {
                if era.freed == Freed::Any {
                    list::count_off(k, page);
                }
                k.emit(Op::Free(page.into()));
            });
        });
    });
}

/// Unmaps a small page from every mm, under the lock of the reverse map.
fn unmap_everywhere(k: &mut Asm<'_>, era: &Era, page: Reg, put: impl FnOnce(&mut Asm<'_>)) {
    let start = walk::head_of(k, page);
    k.if_(Cond::GetPageUnlessZero(page.into()), |k| {
        k.lock(Class::AnonVma, Mode::Shared, start.clone());
        for mm in 0..k.world().mms {
            k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
            k.function("zap_pte_range", CITE, |k| zap_pte(k, era, mm, page));
            k.unlock(Class::PageTable, u16::from(mm));
        }
        k.unlock(Class::AnonVma, start);
        put(k);
    });
}

/// `fork()`: the child maps what the parent maps, migration entries among it, and locks nothing.
///
/// The child is on the list of those who map the pages before it maps any, and after the parent, so
/// a walk over that list misses nothing.
/// Source: 6.1 kernel/fork.c `dup_mmap()`, mm/rmap.c `anon_vma_fork()`, mm/memory.c `copy_page_range()`.
pub(super) fn fork(k: &mut Asm<'_>, parent: u8, child: u8) {
    k.lock(Class::MmapSem, Mode::Exclusive, u16::from(parent));
    for (i, region) in k.world().regions.clone().into_iter().enumerate() {
        if region.home.is_none() {
            k.function("anon_vma_fork", CITE, |k| {
                k.lock(Class::AnonVma, Mode::Exclusive, region.start);
                k.unlock(Class::AnonVma, region.start);
            });
        }
        k.function("copy_page_range", CITE, |k| {
            k.lock(Class::PageTable, Mode::Exclusive, u16::from(child));
            k.lock(Class::PageTable, Mode::Exclusive, u16::from(parent));
            k.emit(Op::CopyPmd(parent, child, i as u16));
            k.unlock(Class::PageTable, u16::from(parent));
            k.unlock(Class::PageTable, u16::from(child));
        });
    }
    k.unlock(Class::MmapSem, u16::from(parent));
}
