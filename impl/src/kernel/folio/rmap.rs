//! What a mapping that comes or goes means for the mark.
//!
//! Source: 5.18 mm/internal.h `mlock_vma_page()`, 6.12 `mlock_vma_folio()`; their callers at the end of
//! the functions in mm/rmap.c that add and remove mappings.

use super::{Added, ByPtes, Era, Lockers, asked, mlock};
use crate::machine::{Asm, FolioSource, Reg, RegKind, Source, read};

/// What a mapping covers of its folio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Covers {
    /// A huge entry, so all of it.
    AllByPmd,
    /// A huge entry that gives way to a table, so all of it.
    PmdForTable,
    /// A table of ptes that came at once, so all of it.
    AllByPtes,
    /// One pte, or some that stand in a row.
    Ptes,
}

/// The head of a page's folio.
pub(super) fn folio_of(k: &mut Asm<'_>, page: Reg) -> Reg {
    let head = FolioSource::Head(page.into());
    k.load("folio", RegKind::Page, Source::Folio(head))
}

/// A huge entry is about to be split. Held on entry: the PT lock.
pub(super) fn before_split_pmd(k: &mut Asm<'_>, era: &Era, head: Reg) {
    if let Lockers::Asked(asked) = &era.lockers {
        asked::before_split_pmd(k, asked, head);
    }
}

/// A mapping has come: mlocks the folio if the area has `VM_LOCKED` and no mlock is walking it.
///
/// Held on entry: the PT lock.
pub(super) fn added(k: &mut Asm<'_>, era: &Era, mm: u8, page: Reg, covers: Covers) {
    if era.lockers != Lockers::Counted {
        return asked::added(k, mm, page, covers);
    }
    k.function("folio_add_anon_rmap", era.rmap, |k| {
        let locked = FolioSource::LockedUnmarked(mm, page.into());
        let mlock = |k: &mut Asm<'_>| {
            k.if_(read(Source::Folio(locked)), |k| {
                mlock::mlock_folio(k, era, page)
            });
        };
        match (covers, era.added) {
            (Covers::AllByPmd, Added::PmdOrSmall | Added::WholeFolio)
            | (Covers::AllByPtes, Added::WholeFolio) => mlock(k),
            (Covers::AllByPmd | Covers::PmdForTable | Covers::AllByPtes, _) => {}
            (Covers::Ptes, _) => {
                let large = Source::PageCompound(page.into());
                k.if_else(read(large), |_| {}, mlock);
            }
        }
    });
}

/// A mapping has gone: munlocks the folio if the area has `VM_LOCKED`, marked or not.
///
/// Held on entry: the PT lock, and the reference that the mapping had.
pub(super) fn removed(k: &mut Asm<'_>, era: &Era, mm: u8, page: Reg, covers: Covers) {
    if era.lockers != Lockers::Counted {
        return asked::removed(k, page, covers);
    }
    k.function("folio_remove_rmap", era.rmap, |k| {
        let locked = read(Source::VmLocked(mm, page.into()));
        match (covers, era.by_ptes) {
            (Covers::AllByPmd | Covers::PmdForTable | Covers::AllByPtes, _) => {
                k.if_(locked, |k| mlock::munlock_folio(k, era, page));
            }
            (Covers::Ptes, ByPtes::Ignored) => {
                let large = Source::PageCompound(page.into());
                k.if_else(
                    read(large),
                    |_| {},
                    |k| k.if_(locked, |k| mlock::munlock_folio(k, era, page)),
                );
            }
            (Covers::Ptes, ByPtes::AsAWhole) => {
                k.if_(locked, |k| {
                    let folio = folio_of(k, page);
                    mlock::munlock_folio(k, era, folio);
                });
            }
        }
    });
}
