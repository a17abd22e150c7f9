//! From a page to those who map it: `page_remove_rmap()`, `clear_page_mlock()`, `try_to_munlock()`.

use super::v3_7::mlock_vma_page;
use super::{Kernel, LastUnmap, LazyMlock, lru, page, walk};
use crate::machine::{
    Asm, Class, Flag, Mode, Op, Pmd, Reg, RegKind, Source, read, test_clear, trylock,
};

/// `clear_page_mlock()`: an mlocked page has lost its last mapping.
///
/// Held on entry: the PT lock under which the mapping went, which keeps a split of this page away
/// (its pmd was not splitting, and a split takes every PT lock first).
/// Source: e6c509f85455 (v3.7) mm/mlock.c; the size in the second line since 8449d21fb49e's follow-up.
pub(super) fn clear_page_mlock(k: &mut Asm<'_>, kernel: &Kernel, page: Reg) {
    k.function("clear_page_mlock", "e6c509f85455 mm/mlock.c", |k| {
        k.if_(test_clear(Flag::Mlocked, page), |k| {
            let nr_pages = kernel.clear_counts.nr_pages(k, page);
            k.emit(Op::ModNrMlock(-nr_pages));
            lru::move_lists(k, page);
        });
    });
}

/// The end of `page_remove_rmap()`, once the mapcount is down: `last` tells whether it was the last.
pub(super) fn page_remove_rmap(k: &mut Asm<'_>, kernel: &Kernel, page: Reg, last: Reg) {
    if kernel.last_unmap == LastUnmap::KeepsMark {
        return;
    }
    k.function("page_remove_rmap", "e6c509f85455 mm/rmap.c", |k| {
        k.if_(last, |k| {
            k.if_(read(Source::Flag(Flag::Mlocked, page.into())), |k| {
                clear_page_mlock(k, kernel, page)
            });
        });
    });
}

/// `zap_huge_pmd()` from the point where the PT lock is held and the entry is huge, not splitting;
/// unlocks. Source: v3.7 mm/huge_memory.c.
pub(super) fn zap_huge_pmd(k: &mut Asm<'_>, kernel: &Kernel, mm: u8, region: u16) {
    k.function("zap_huge_pmd", "v3.7 mm/huge_memory.c", |k| {
        let head = k.local("page", RegKind::Page);
        let last = k.local("last", RegKind::Flag);
        k.set(head, k.world().regions[usize::from(region)].start);
        k.emit(Op::ClearHugePmd(mm, region, last));
        page_remove_rmap(k, kernel, head, last);
        k.unlock(Class::PageTable, u16::from(mm));
        page::put_page(k, kernel, head);
    });
}

/// `zap_pte_range()` for one present pte; the PT lock is held. Source: v3.7 mm/memory.c.
///
/// The mmu gather is left out: the reference is dropped at once, under the PT lock.
/// A migration entry just goes.
pub(super) fn zap_pte(k: &mut Asm<'_>, kernel: &Kernel, mm: u8, addr: Reg) {
    k.function("zap_pte_range", "v3.7 mm/memory.c", |k| {
        k.if_(read(Source::PtePresent(mm, addr.into())), |k| {
            let page = walk::page_at(k, mm, addr);
            let last = k.local("last", RegKind::Flag);
            k.emit(Op::ClearPte(mm, page.into(), last));
            page_remove_rmap(k, kernel, page, last);
            page::put_page(k, kernel, page);
        });
        if let Some(entry) = walk::migration_entry(k, mm, addr) {
            k.if_(entry, |k| k.emit(Op::ClearMigration(mm, entry - 1)));
        }
    });
}

/// `try_to_munlock()`: looks for another area that still wants the page, and marks it again if so.
///
/// A huge entry is never found (`page_check_address()` returns nothing for it up to v4.4), so a huge
/// page is never marked again.
/// The PT lock is dropped before `mmap_sem` is tried, and `VM_LOCKED` looked at again.
/// Held on entry: the page lock; the page is isolated.
/// Source: v3.7 mm/rmap.c `try_to_unmap_anon()`, `try_to_unmap_one()`.
pub(super) fn try_to_munlock(k: &mut Asm<'_>, kernel: &Kernel, page: Reg) {
    k.function("try_to_munlock", "v3.7 mm/rmap.c", |k| {
        lazy_mlock(k, kernel, page)
    });
}

/// What `try_to_munlock()` and reclaim's `try_to_unmap()` do alike: every area with `VM_LOCKED` that
/// maps the page marks it.
pub(super) fn lazy_mlock(k: &mut Asm<'_>, kernel: &Kernel, page: Reg) {
    let area = walk::head_of(k, page);
    k.lock(Class::AnonVma, Mode::Exclusive, area.clone());
    for mm in 0..k.world().mms {
        match kernel.lazy_mlock {
            LazyMlock::UnderMmapSem => mlock_under_mmap_sem(k, kernel, mm, page),
            LazyMlock::UnderPtLock => mlock_under_pt_lock(k, kernel, mm, page),
        }
    }
    k.unlock(Class::AnonVma, area);
}

/// Whether a pte maps this very page; `page_check_address()`.
pub(super) fn pte_maps(k: &Asm<'_>, mm: u8, page: Reg) -> Source {
    if k.world().has_spares() {
        Source::PteMaps(mm, page.into())
    } else {
        Source::PtePresent(mm, page.into())
    }
}

/// Marks the page while the PT lock is held, under which it is unmapped too.
/// Source: b87537d9e2fe (v4.4) mm/rmap.c.
fn mlock_under_pt_lock(k: &mut Asm<'_>, kernel: &Kernel, mm: u8, page: Reg) {
    k.function("try_to_unmap_one", "b87537d9e2fe (v4.4) mm/rmap.c", |k| {
        k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
        let pmd = k.load("pmd", RegKind::Small, Source::PmdAt(mm, page.into()));
        k.if_(pmd.is(Pmd::Table), |k| {
            k.if_(read(pte_maps(k, mm, page)), |k| {
                k.if_(read(Source::VmLocked(mm, page.into())), |k| {
                    mlock_vma_page(k, kernel, page);
                });
            });
        });
        k.unlock(Class::PageTable, u16::from(mm));
    });
}

/// Marks the page after the PT lock was dropped, if `mmap_sem` can be had at once.
fn mlock_under_mmap_sem(k: &mut Asm<'_>, kernel: &Kernel, mm: u8, page: Reg) {
    k.function("try_to_unmap_one", "v3.7 mm/rmap.c", |k| {
        let wanted = k.local("wanted", RegKind::Flag);
        k.set(wanted, 0);
        k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
        let pmd = k.load("pmd", RegKind::Small, Source::PmdAt(mm, page.into()));
        k.if_(pmd.is(Pmd::Table), |k| {
            k.if_(read(pte_maps(k, mm, page)), |k| {
                k.if_(read(Source::VmLocked(mm, page.into())), |k| {
                    k.set(wanted, 1)
                });
            });
        });
        k.unlock(Class::PageTable, u16::from(mm));
        k.if_(wanted, |k| {
            k.if_(trylock(Class::MmapSem, Mode::Shared, u16::from(mm)), |k| {
                k.if_(read(Source::VmLocked(mm, page.into())), |k| {
                    mlock_vma_page(k, kernel, page)
                });
                k.unlock(Class::MmapSem, u16::from(mm));
            });
        });
    });
}
