//! Reclaim: it comes for a folio by way of the lists, and marks what it finds in a locked area.
//!
//! It takes a reference, isolates the folio, and puts it back in the end; in between its lockers
//! cannot be counted, and whoever counts gives up.
//!
//! # What this does not model
//!
//! Reclaim that gets as far as to unmap anything: what it finds young or locked it puts back.

use super::{Era, Missed, for_each_folio, list, mlock};
use crate::machine::{
    Asm, Class, Cond, Expr, Flag, FolioSource, Mode, Pmd, Reg, RegKind, Source, read, test_clear,
    trylock,
};
use std::ops::Range;

const CITE: &str = "6.1, 6.12 mm/vmscan.c, mm/rmap.c";

/// `shrink_folio_list()` for the folios of a range that are on an evictable list: asks the mappings,
/// and marks what an area with `VM_LOCKED` maps.
/// Source: 6.1 and 6.12 mm/vmscan.c, mm/rmap.c `folio_referenced_one()`.
pub(super) fn reclaim(k: &mut Asm<'_>, era: &Era, pages: &Range<u16>) {
    let region = k.world().region_of(pages.start) as u16;
    for_each_folio(k, pages, |k, folio| shrink_folio(k, era, region, folio));
}

fn shrink_folio(k: &mut Asm<'_>, era: &Era, region: u16, folio: Reg) {
    let isolated = isolate_evictable(k, era, folio);
    k.if_(isolated, |k| {
        k.if_(trylock(Class::PageLock, Mode::Exclusive, folio), |k| {
            // What is marked by now is not asked after.
            k.if_else(
                read(Source::Flag(Flag::Mlocked, folio.into())),
                |_| {},
                |k| folio_referenced(k, era, region, folio),
            );
            k.unlock(Class::PageLock, folio);
        });
        list::putback(k, era, folio);
        list::put(k, era, folio);
    });
}

/// `isolate_lru_folios()`: takes what it finds on an evictable list, and a reference on it.
fn isolate_evictable(k: &mut Asm<'_>, era: &Era, folio: Reg) -> Reg {
    let isolated = k.local("isolated", RegKind::Flag);
    k.function("isolate_lru_folios", CITE, |k| {
        k.set(isolated, 0);
        k.lock(Class::Lru, Mode::Exclusive, 0);
        let kept = read(Source::Flag(Flag::Unevictable, folio.into()));
        k.if_else(
            kept,
            |_| {},
            |k| {
                k.if_(Cond::GetPageUnlessZero(folio.into()), |k| {
                    k.if_else(
                        test_clear(Flag::Lru, folio),
                        |k| k.set(isolated, 1),
                        |k| list::put(k, era, folio),
                    );
                });
            },
        );
        k.unlock(Class::Lru, 0);
    });
    isolated
}

/// `folio_referenced()`: from mapping to mapping, until one asks to stop.
fn folio_referenced(k: &mut Asm<'_>, era: &Era, region: u16, folio: Reg) {
    let start = k.world().regions[usize::from(region)].start;
    k.function("folio_referenced", CITE, |k| {
        let lock = trylock(Class::AnonVma, Mode::Shared, start);
        k.if_(lock, |k| {
            k.block(|k, done| {
                for mm in 0..k.world().mms {
                    let found = folio_referenced_one(k, era, mm, region, folio);
                    k.if_(found, |k| k.goto(done));
                }
            });
            k.unlock(Class::AnonVma, start);
        });
    });
}

/// `folio_referenced_one()`: leaves 1 in the returned variable if the area has `VM_LOCKED`, in which
/// case the walk over the mappings ends here.
fn folio_referenced_one(k: &mut Asm<'_>, era: &Era, mm: u8, region: u16, folio: Reg) -> Reg {
    let found = k.local("vm_locked", RegKind::Flag);
    let region_of = k.world().regions[usize::from(region)];
    let end = region_of.start + region_of.len;
    k.function("folio_referenced_one", CITE, |k| {
        let late = k.local("mlock_late", RegKind::Flag);
        k.set(found, 0);
        k.set(late, 0);
        k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
        let pmd = k.load("pmd", RegKind::Small, Source::Pmd(mm, region));
        let locked = |k: &mut Asm<'_>, then: &dyn Fn(&mut Asm<'_>)| {
            let unmarked = FolioSource::LockedUnmarked(mm, folio.into());
            k.if_(read(Source::Folio(unmarked)), then);
        };
        k.if_(pmd.is(Pmd::Huge), |k| {
            locked(k, &|k| {
                k.set(found, 1);
                mlock::mlock_folio(k, era, folio);
            });
        });
        k.if_(pmd.is(Pmd::Table), |k| {
            let mapped = FolioSource::PteBatch(mm, folio.into(), end);
            let mapped = k.load("ptes", RegKind::Count, Source::Folio(mapped));
            let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(folio.into()));
            k.if_else(
                Expr::from(1).less_than(nr_pages),
                |k| {
                    if era.missed == Missed::Never {
                        return;
                    }
                    k.if_(mapped.is(nr_pages), |k| {
                        locked(k, &|k| {
                            k.set(found, 1);
                            match era.missed {
                                Missed::UnderPtLock => mlock::mlock_folio(k, era, folio),
                                _ => k.set(late, 1),
                            }
                        });
                    });
                },
                |k| {
                    k.if_(mapped, |k| {
                        locked(k, &|k| {
                            k.set(found, 1);
                            mlock::mlock_folio(k, era, folio);
                        });
                    });
                },
            );
        });
        k.unlock(Class::PageTable, u16::from(mm));
        if era.missed == Missed::AfterTheWalk {
            k.if_(late, |k| mlock::mlock_folio(k, era, folio));
        }
    });
    found
}
