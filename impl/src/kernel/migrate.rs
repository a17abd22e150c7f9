//! Migration of small pages: another frame takes a page's place.
//!
//! 1. The page is isolated and locked.
//! 2. Every pte that maps it becomes a migration entry, each under its PT lock. Since v3.7 the last
//!    one clears `PG_mlocked`, as any last unmap does.
//! 3. If nobody else refers to the page, its flags are copied: `mlock_migrate_page()` passes a mark on.
//! 4. Every migration entry becomes a pte for the new page, or for the old one if step 3 failed.
//!    Since v4.4 an area with `VM_LOCKED` marks the page here.
//!
//! Source: v3.7 mm/migrate.c `unmap_and_move()`, `migrate_page_copy()`, `remove_migration_pte()`,
//! mm/internal.h `mlock_migrate_page()`; 51afb12ba809 (v4.4).
//!
//! # What this does not model
//!
//! * Huge pages, which NUMA balancing migrates in its own way.
//! * Retries: a page that cannot be moved stays.

use super::v3_7::mlock_vma_page;
use super::{Kernel, Restore, lru, page, reclaim, rmap, walk};
use crate::machine::{Asm, Class, Expr, Flag, Mode, Op, Reg, RegKind, Source, read, test_clear};
use std::ops::Range;

const CITE: &str = "v3.7 mm/migrate.c";

/// Migrates the pages of a range to the spare frames of their region.
pub(super) fn migrate_pages(k: &mut Asm<'_>, kernel: &Kernel, pages: &Range<u16>) {
    let world = k.world();
    let region = world.region_of(pages.start) as u16;
    let start = |i: u16| world.regions.get(usize::from(i)).map_or(0, |r| r.start);
    let Some(spare) = world.spares_of(region).next() else {
        return;
    };
    let offset = start(spare) - start(region);
    lru::drain_all(k, kernel);
    let page = k.local("page", RegKind::Page);
    let newpage = k.local("newpage", RegKind::Page);
    k.set(page, pages.start);
    k.while_(page.get().less_than(pages.end), |k| {
        let isolated = reclaim::isolate_lru_pages(k, page);
        k.if_(isolated, |k| {
            k.set(newpage, page + offset);
            unmap_and_move(k, kernel, page, newpage);
            page::put_page(k, kernel, page);
        });
        k.set(page, page + 1);
    });
}

/// Leaves the page, moved or not, unlocked and on a list; the caller's reference keeps the old one.
fn unmap_and_move(k: &mut Asm<'_>, kernel: &Kernel, page: Reg, newpage: Reg) {
    k.function("unmap_and_move", CITE, |k| {
        let target = k.local("target", RegKind::Page);
        k.lock(Class::PageLock, Mode::Exclusive, page);
        k.set(target, page);
        let mapcount = k.load("mapcount", RegKind::Count, Source::Mapcount(page.into()));
        k.if_(mapcount, |k| {
            k.emit(Op::GetPage(newpage.into()));
            k.lock(Class::PageLock, Mode::Exclusive, newpage);
            try_to_unmap(k, kernel, page);
            let left = k.load("mapcount", RegKind::Count, Source::Mapcount(page.into()));
            k.if_(left.is(0), |k| {
                k.if_else(
                    read(Source::HeldElsewhere(page.into())),
                    |_| {},
                    |k| {
                        mlock_migrate_page(k, kernel, page, newpage);
                        k.set(target, newpage);
                    },
                );
            });
            remove_migration_ptes(k, kernel, page, target);
            k.unlock(Class::PageLock, newpage);
            k.if_(target.is(newpage), |k| lru::putback_lru_page(k, newpage));
            page::put_page(k, kernel, newpage);
        });
        k.if_(target.is(page), |k| lru::putback_lru_page(k, page));
        k.unlock(Class::PageLock, page);
    });
}

/// Step 2.
fn try_to_unmap(k: &mut Asm<'_>, kernel: &Kernel, page: Reg) {
    k.function("try_to_unmap", "v3.7 mm/rmap.c", |k| {
        let area = walk::head_of(k, page);
        k.lock(Class::AnonVma, Mode::Exclusive, area.clone());
        for mm in 0..k.world().mms {
            k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
            k.if_(read(rmap::pte_maps(k, mm, page)), |k| {
                let last = k.local("last", RegKind::Flag);
                k.emit(Op::PteToMigration(mm, page.into(), last));
                rmap::page_remove_rmap(k, kernel, page, last);
                page::put_page(k, kernel, page);
            });
            k.unlock(Class::PageTable, u16::from(mm));
        }
        k.unlock(Class::AnonVma, area);
    });
}

/// Step 3, as far as marks go.
fn mlock_migrate_page(k: &mut Asm<'_>, kernel: &Kernel, page: Reg, newpage: Reg) {
    k.function(
        "mlock_migrate_page",
        "b291f000393f (2.6.28) mm/internal.h",
        |k| {
            k.if_(test_clear(Flag::Mlocked, page), |k| {
                let nr_pages = k.local("nr_pages", RegKind::Count);
                let size = kernel.mark_counts.nr_pages(k, page);
                k.set(nr_pages, size);
                k.emit(Op::ModNrMlock(-nr_pages));
                k.emit(Op::SetFlag(Flag::Mlocked, newpage.into()));
                k.emit(Op::ModNrMlock(nr_pages.into()));
            });
        },
    );
}

/// Step 4.
fn remove_migration_ptes(k: &mut Asm<'_>, kernel: &Kernel, page: Reg, target: Reg) {
    k.function("remove_migration_ptes", CITE, |k| {
        let area = walk::head_of(k, page);
        k.lock(Class::AnonVma, Mode::Exclusive, area.clone());
        for mm in 0..k.world().mms {
            k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
            let entry = Source::MigrationAt(mm, page.into());
            let entry = k.load("entry", RegKind::Page, entry);
            k.if_(entry.is(page + 1), |k| {
                k.emit(Op::MigrationToPte(mm, page.into(), target.into()));
                if kernel.restore == Restore::Mlocks {
                    let locked = Source::VmLocked(mm, Expr::from(page));
                    k.if_(read(locked), |k| mlock_vma_page(k, kernel, target));
                }
            });
            k.unlock(Class::PageTable, u16::from(mm));
        }
        k.unlock(Class::AnonVma, area);
    });
}
