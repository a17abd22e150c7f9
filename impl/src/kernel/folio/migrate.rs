//! Migration: every mapping of a folio becomes a migration entry and, in the end, a mapping again.
//!
//! 1. The folio is isolated and locked; until it is back on a list its lockers cannot be counted, and
//!    whoever counts gives up.
//! 2. Its mappings become migration entries, each mm under its PT lock.
//! 3. If there is a spare frame for it, it is not mapped any more and nobody else refers to it, the
//!    new page takes its place. No mark is passed on: what is still there now goes with the old page.
//! 4. Since v5.18 the new page goes on a list here, so that its lockers can be counted.
//! 5. Every entry becomes a mapping of the new page, or of the old one if it stays.
//! 6. Up to v5.17 the new page goes on a list here. The old one loses its last reference.
//!
//! Between the two walks nothing but the page locks is held.
//!
//! Source: 4.19 mm/migrate.c `unmap_and_move()`, `__unmap_and_move()`; 6.1 and 6.12 mm/migrate.c
//! `migrate_folio_unmap()`, `migrate_folio_move()`, `remove_migration_ptes()`.
//!
//! # What this does not model
//!
//! * Huge pages and other large folios that move: they get their own mappings back.
//! * Retries: a page that cannot be moved stays.
//! * A copy of `PG_unevictable`, which the list that the page goes on decides anew.

use super::split::{self, Extent, Huge, Target, remove_migration_ptes, try_to_migrate_one};
use super::{Era, Lockers, asked, for_each_folio, list, mlock};
use crate::kernel::walk;
use crate::machine::{
    Asm, Class, Cond, Expr, FolioSize, FolioSource, Mode, Op, Reg, RegKind, Source, read, trylock,
};
use std::ops::Range;

const CITE: &str = "6.1, 6.12 mm/migrate.c";

/// `migrate_pages()` for the folios of a range, to the spare frames of its region if it has any.
pub(super) fn migrate(k: &mut Asm<'_>, era: &Era, pages: &Range<u16>) {
    let world = k.world();
    let region = world.region_of(pages.start) as u16;
    let start = |i: u16| world.regions[usize::from(i)].start;
    let spare = world.spares_of(region).next();
    let offset = spare.map(|spare| start(spare) - start(region));
    let large = world.regions[usize::from(region)].folio_pages() > 1;
    let splits = matches!(&era.lockers, Lockers::Asked(a) if a.migrated == asked::Migrated::Split);
    let splits = splits && large;
    if splits {
        split::split(k, era, region, FolioSize::Page);
    }
    for_each_folio(k, pages, |k, folio| {
        with_isolated(k, era, folio, |k| match offset {
            Some(offset) => unmap_and_move(k, era, region, folio, offset),
            None if splits => {
                // What could not be split does not move (v4.5 `unmap_and_move()`).
                let size = k.load("nr_pages", RegKind::Count, Source::NrPages(folio.into()));
                k.if_(size.is(1), |k| unmap_and_undo(k, era, region, folio));
                Back::Always
            }
            None => {
                unmap_and_undo(k, era, region, folio);
                Back::Always
            }
        });
    });
}

/// Whether the folio that was isolated goes back on its list.
#[derive(Clone, Copy)]
enum Back {
    Always,
    /// Unless the variable is 1.
    Unless(Reg),
}

/// Gets hold of a folio, takes it off its list, locks it, and puts it back.
fn with_isolated(k: &mut Asm<'_>, era: &Era, folio: Reg, body: impl FnOnce(&mut Asm<'_>) -> Back) {
    k.if_(Cond::GetPageUnlessZero(folio.into()), |k| {
        let isolated = list::isolate(k, era, folio);
        k.if_(isolated, |k| {
            let mut back = Back::Always;
            k.if_(trylock(Class::PageLock, Mode::Exclusive, folio), |k| {
                back = body(k);
                k.unlock(Class::PageLock, folio);
            });
            match back {
                Back::Always => list::putback(k, era, folio),
                Back::Unless(moved) => {
                    k.if_else(moved, |_| {}, |k| list::putback(k, era, folio));
                }
            }
        });
        list::put(k, era, folio);
    });
}

fn unmap_and_undo(k: &mut Asm<'_>, era: &Era, region: u16, folio: Reg) {
    let extent = Extent::of(k, region, folio);
    unmap(k, era, extent);
    remap(k, era, extent, Target::Same);
}

fn unmap_and_move(k: &mut Asm<'_>, era: &Era, region: u16, folio: Reg, offset: u16) -> Back {
    let extent = Extent::of(k, region, folio);
    let moved = k.local("moved", RegKind::Flag);
    let dst = k.local("dst", RegKind::Page);
    k.set(moved, 0);
    k.set(dst, folio + offset);
    k.emit(Op::GetPage(dst.into()));
    k.lock(Class::PageLock, Mode::Exclusive, dst);
    unmap(k, era, extent);
    k.function("folio_migrate_mapping", CITE, |k| {
        let mapcount = k.load("mapcount", RegKind::Count, Source::Mapcount(folio.into()));
        k.if_(mapcount.is(0), |k| {
            let extra = Source::Folio(FolioSource::ExtraRefs(folio.into()));
            k.if_else(read(extra), |_| {}, |k| k.set(moved, 1));
        });
    });
    let counted = era.lockers == Lockers::Counted;
    k.if_else(
        moved,
        |k| {
            if counted {
                list::putback(k, era, dst);
            }
            remap(k, era, extent, Target::Moved(dst));
            k.unlock(Class::PageLock, dst);
            if !counted {
                list::putback(k, era, dst);
            }
        },
        |k| {
            remap(k, era, extent, Target::Same);
            k.unlock(Class::PageLock, dst);
        },
    );
    list::put(k, era, dst);
    Back::Unless(moved)
}

/// Step 2.
fn unmap(k: &mut Asm<'_>, era: &Era, extent: Extent) {
    k.function("migrate_folio_unmap", CITE, |k| {
        under_anon_vma(k, extent, |k, mm| {
            try_to_migrate_one(k, era, mm, extent, Huge::Whole);
        });
    });
}

/// Step 5.
fn remap(k: &mut Asm<'_>, era: &Era, extent: Extent, target: Target) {
    let function = match target {
        Target::Same => "migrate_folio_undo_src",
        Target::Moved(_) => "migrate_folio_move",
    };
    k.function(function, CITE, |k| {
        under_anon_vma(k, extent, |k, mm| {
            remove_migration_ptes(k, era, mm, extent, target);
        });
    });
    mlock::drain_local(k, era);
}

/// A walk over those who map a folio.
fn under_anon_vma(k: &mut Asm<'_>, extent: Extent, each: impl Fn(&mut Asm<'_>, u8)) {
    let rmap: Expr = walk::head_of(k, extent.first());
    k.lock(Class::AnonVma, Mode::Shared, rmap.clone());
    for mm in 0..k.world().mms {
        each(k, mm);
    }
    k.unlock(Class::AnonVma, rmap);
}
