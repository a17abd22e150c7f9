//! `split_huge_pmd()` and `split_huge_page()` since v5.18.
//!
//! A split of a huge entry replaces it by a table; the folio stays large.
//!
//! A split of the folio, by somebody who holds its lock and a reference:
//!
//! 1. The anon_vma lock keeps the list of those who map the folio still.
//! 2. If anybody but the mappings and the caller holds a reference, it gives up.
//! 3. Every mapping becomes migration entries, each mm under its PT lock. Each is reported as a
//!    locker less if its area has `VM_LOCKED` *at that moment*.
//! 4. The reference count is frozen, which fails if a reference has come meanwhile.
//! 5. Under `lru_lock`, from the last tail down, each tail gets the head's flags, `PG_mlocked` among
//!    them, and becomes a folio; the head loses its size last.
//! 6. Page by page, and for each page mm by mm, the migration entries become mappings again, each
//!    under the PT lock; each is reported as a locker more if its area has `VM_LOCKED`, and not mlock's
//!    marker, *at that moment*.
//! 7. The splitter drops its references on the tails.
//!
//! Neither `mmap_lock` nor anything else that stops a change of `VM_LOCKED` is held.
//!
//! Source: 6.1 and 6.12 mm/huge_memory.c `__split_huge_pmd_locked()`, `split_huge_page_to_list()`,
//! `unmap_folio()`, `__split_huge_page()`, `remap_page()`; mm/rmap.c `try_to_migrate_one()`; mm/migrate.c
//! `remove_migration_pte()`.
//!
//! # What this does not model
//!
//! The check of step 2 also fails for a folio in the middle of being unmapped; here a mapping and its
//! reference go in one step.

use super::rmap::Covers;
use super::{Added, Era, Frozen, Restored, list, mlock, rmap, unmap};
use crate::kernel::rmap::pte_maps;
use crate::machine::{
    Asm, Class, Cond, Expr, Flag, FolioOp, FolioSize, FolioSource, Mode, Op, Pmd, Reg, RegKind,
    RegionKind, Source, page_locked, read, test_clear,
};

const CITE: &str = "6.1, 6.12 mm/huge_memory.c, mm/rmap.c, mm/migrate.c";

/// A split into folios of a size, by somebody who came by way of a region's first page, if the page is
/// still there.
pub(super) fn split(k: &mut Asm<'_>, era: &Era, region: u16, into: FolioSize) {
    let folio = k.local("folio", RegKind::Page);
    k.set(folio, k.world().regions[usize::from(region)].start);
    k.if_(Cond::GetPageUnlessZero(folio.into()), |k| {
        k.lock(Class::PageLock, Mode::Exclusive, folio);
        split_huge_page(k, era, region, folio, into);
        k.unlock(Class::PageLock, folio);
        list::put(k, era, folio);
    });
}

/// `split_huge_page_to_list()`. Held on entry: the folio lock and a reference.
fn split_huge_page(k: &mut Asm<'_>, era: &Era, region: u16, head: Reg, into: FolioSize) {
    let start = k.world().regions[usize::from(region)].start;
    k.function("split_huge_page_to_list", CITE, |k| {
        k.bug_on(page_locked(head), |locked| locked.is(0));
        k.lock(Class::AnonVma, Mode::Exclusive, start);
        k.block(|k, done| {
            let extent = Extent::of(k, region, head);
            let part = into.pages(k.world());
            let enough = extent.first.get() + part;
            k.if_else(enough.less_than(extent.end), |_| {}, |k| k.goto(done));
            let extra = Source::Folio(FolioSource::ExtraRefs(head.into()));
            k.if_(read(extra), |k| k.goto(done));
            for mm in 0..k.world().mms {
                try_to_migrate_one(k, era, mm, extent, Huge::Split);
            }
            let frozen = k.local("frozen", RegKind::Flag);
            k.set(frozen, 0);
            k.if_(Cond::FreezeRefs(head.into()), |k| {
                split_frozen(k, era, extent, into);
                k.set(frozen, 1);
            });
            k.if_else(
                frozen,
                |k| {
                    remap_parts(k, era, extent, into);
                    put_tails(k, era, extent, part);
                },
                |k| remap_whole(k, era, extent),
            );
        });
        k.unlock(Class::AnonVma, start);
    });
}

/// Step 5: nobody has a reference but the splitter, so nobody looks.
fn split_frozen(k: &mut Asm<'_>, era: &Era, extent: Extent, into: FolioSize) {
    let head = extent.first;
    let part = into.pages(k.world());
    k.function("__split_huge_page", CITE, |k| {
        k.lock(Class::Lru, Mode::Exclusive, 0);
        if era.frozen != Frozen::Kept {
            let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(head.into()));
            k.if_(test_clear(Flag::Mlocked, head), |k| {
                k.emit(Op::ModNrMlock(-nr_pages));
                if era.frozen == Frozen::Cleared {
                    list::clear_unevictable(k, head);
                }
            });
        }
        let tail = k.local("tail", RegKind::Page);
        k.set(tail, extent.end - part);
        k.while_(tail.is(head).is_zero(), |k| {
            k.emit(Op::Folio(FolioOp::SplitTail(tail.into(), into)));
            k.set(tail, tail - part);
        });
        k.emit(match into {
            FolioSize::Page => Op::ClearCompound(head.into()),
            FolioSize::Large => Op::Folio(FolioOp::Shrink(head.into())),
        });
        k.unlock(Class::Lru, 0);
        k.emit(Op::Folio(FolioOp::UnfreezeRefs(head.into())));
    });
}

/// Step 6 after a split, folio by folio.
fn remap_parts(k: &mut Asm<'_>, era: &Era, extent: Extent, into: FolioSize) {
    let part = into.pages(k.world());
    k.function("remap_page", CITE, |k| {
        let page = k.local("page", RegKind::Page);
        k.set(page, extent.first);
        k.while_(page.get().less_than(extent.end), |k| {
            for mm in 0..k.world().mms {
                match into {
                    FolioSize::Page => remove_migration_pte(k, era, mm, page),
                    FolioSize::Large => {
                        let folio = Extent::from(k, extent.region, page, part);
                        remove_migration_ptes(k, era, mm, folio, Target::Same);
                    }
                }
            }
            if era.restored == Restored::ClearsUncounted {
                clear_uncounted(k, page);
            }
            k.set(page, page + part);
        });
    });
}

/// The migration entry of one mm for a small page.
fn remove_migration_pte(k: &mut Asm<'_>, era: &Era, mm: u8, page: Reg) {
    let ptl = u16::from(mm);
    k.function("remove_migration_pte", CITE, |k| {
        k.lock(Class::PageTable, Mode::Exclusive, ptl);
        restore_pte(k, era, mm, page, Target::Same);
        k.unlock(Class::PageTable, ptl);
    });
}

/// Step 6 if the folio could not be split: one walk, table by table. A huge entry that became a table
/// on the way stays one.
fn remap_whole(k: &mut Asm<'_>, era: &Era, extent: Extent) {
    k.function("remap_page", CITE, |k| {
        for mm in 0..k.world().mms {
            remove_migration_ptes(k, era, mm, extent, Target::Same);
        }
    });
}

/// What a migration entry becomes.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// A mapping of the page that it stands for.
    Same,
    /// A mapping of the page that has taken its place.
    Moved(Reg),
}

/// The migration entries of one mm for a folio, under one hold of its PT lock.
pub(super) fn remove_migration_ptes(
    k: &mut Asm<'_>,
    era: &Era,
    mm: u8,
    extent: Extent,
    target: Target,
) {
    let Extent { region, first, end } = extent;
    k.function("remove_migration_pte", CITE, |k| {
        let addr = k.local("addr", RegKind::Page);
        k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
        let pmd = k.load("pmd", RegKind::Small, Source::Pmd(mm, region));
        k.if_(pmd.is(Pmd::Migration), |k| {
            k.set(addr, first);
            k.emit(Op::Folio(FolioOp::RestorePmd(mm, region)));
            rmap::added(k, era, mm, addr, Covers::AllByPmd);
        });
        k.if_(pmd.is(Pmd::Table), |k| {
            k.set(addr, first);
            k.while_(addr.get().less_than(end), |k| {
                restore_pte(k, era, mm, addr, target);
                k.set(addr, addr + 1);
            });
        });
        k.unlock(Class::PageTable, u16::from(mm));
    });
}

/// One migration entry, if it is still there.
///
/// The store that maps another page is two here: for the specification the area lets go of one page
/// and takes another. Nobody sees what is between them, for the PT lock is held.
fn restore_pte(k: &mut Asm<'_>, era: &Era, mm: u8, page: Reg, target: Target) {
    let entry = FolioSource::MigrationEntry(mm, page.into());
    k.if_(read(Source::Folio(entry)), |k| {
        let page = match target {
            Target::Same => {
                k.emit(Op::Folio(FolioOp::RestorePte(mm, page.into())));
                page
            }
            Target::Moved(page_now) => {
                k.emit(Op::Folio(FolioOp::ClearEntry(mm, page.into())));
                k.emit(Op::SetPte(mm, page_now.into()));
                page_now
            }
        };
        rmap::added(k, era, mm, page, Covers::Ptes);
        if era.restored == Restored::Munlocks {
            k.if_else(
                read(Source::VmLocked(mm, page.into())),
                |_| {},
                |k| mlock::munlock_folio(k, era, page),
            );
        }
        mlock::drain_local(k, era);
    });
}

/// All mappings of a small page are back, and every locker among them has been counted: a mark that
/// nobody counts for is a mark for nobody.
fn clear_uncounted(k: &mut Asm<'_>, page: Reg) {
    k.function("mlock_clear_uncounted", CITE, |k| {
        k.if_(test_clear(Flag::Lru, page), |k| {
            k.lock(Class::Lru, Mode::Exclusive, 0);
            let count = list::count(k, page);
            k.if_(count.is(0), |k| {
                list::count_off(k, page);
                list::clear_unevictable(k, page);
            });
            k.emit(Op::SetFlag(Flag::Lru, page.into()));
            k.unlock(Class::Lru, 0);
        });
    });
}

/// Step 7.
fn put_tails(k: &mut Asm<'_>, era: &Era, extent: Extent, part: u16) {
    let tail = k.local("tail", RegKind::Page);
    k.set(tail, extent.first + part);
    k.while_(tail.get().less_than(extent.end), |k| {
        k.if_(Cond::PutSplitRef(tail.into()), |k| {
            list::release(k, era, tail)
        });
        k.set(tail, tail + part);
    });
}

/// What becomes of a huge entry that is to become migration entries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Huge {
    /// A table of them.
    Split,
    /// One huge one.
    Whole,
}

impl Huge {
    /// What goes with the huge entry.
    fn covers(self) -> Covers {
        match self {
            Huge::Split => Covers::PmdForTable,
            Huge::Whole => Covers::AllByPmd,
        }
    }
}

/// The pages of a folio, which are also the addresses where it is mapped.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    region: u16,
    first: Reg,
    end: Reg,
}

impl Extent {
    /// The first page.
    pub(super) fn first(self) -> Reg {
        self.first
    }

    /// A number of pages from the first on.
    fn from(k: &mut Asm<'_>, region: u16, first: Reg, pages: impl Into<Expr>) -> Extent {
        let end = k.local("end", RegKind::Page);
        k.set(end, first + pages);
        Extent { region, first, end }
    }

    /// A folio's that is locked, so that it stays what it is.
    pub(super) fn of(k: &mut Asm<'_>, region: u16, first: Reg) -> Extent {
        let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(first.into()));
        Extent::from(k, region, first, nr_pages)
    }
}

/// `try_to_migrate_one()`: the mappings of a folio in one mm become migration entries.
///
/// Held on entry: the folio lock, the anon_vma lock.
pub(super) fn try_to_migrate_one(k: &mut Asm<'_>, era: &Era, mm: u8, extent: Extent, huge: Huge) {
    let Extent { region, first, end } = extent;
    k.function("try_to_migrate_one", CITE, |k| {
        let addr = k.local("addr", RegKind::Page);
        k.set(addr, first);
        k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
        let pmd = k.load("pmd", RegKind::Small, Source::Pmd(mm, region));
        k.if_(pmd.is(Pmd::Huge), |k| {
            if huge == Huge::Split {
                rmap::before_split_pmd(k, era, addr);
            }
            k.emit(Op::Folio(match huge {
                Huge::Split => FolioOp::FreezePmd(mm, region),
                Huge::Whole => FolioOp::MigratePmd(mm, region),
            }));
            rmap::removed(k, era, mm, addr, huge.covers());
            list::put(k, era, addr);
        });
        k.if_(pmd.is(Pmd::Table), |k| {
            k.while_(addr.get().less_than(end), |k| {
                k.if_(read(pte_maps(k, mm, addr)), |k| {
                    k.emit(Op::Folio(FolioOp::FreezePte(mm, addr.into())));
                    rmap::removed(k, era, mm, addr, Covers::Ptes);
                    mlock::drain_local(k, era);
                    list::put(k, era, addr);
                });
                k.set(addr, addr + 1);
            });
        });
        k.unlock(Class::PageTable, u16::from(mm));
    });
}

/// `split_huge_pmd()`: a table instead of a huge entry, in one mm.
///
/// The ptes that come and the entry that goes are both reported, in this order, if the era reports
/// ptes that come for a whole folio at once. A file's huge entry just goes, for faults to find the page.
pub(super) fn split_huge_pmd(k: &mut Asm<'_>, era: &Era, mm: u8, region: u16) {
    let of = k.world().regions[usize::from(region)];
    k.function("__split_huge_pmd", CITE, |k| {
        let folio = k.local("folio", RegKind::Page);
        k.set(folio, of.start);
        k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
        let pmd = k.load("pmd", RegKind::Small, Source::Pmd(mm, region));
        k.if_(pmd.is(Pmd::Huge), |k| {
            rmap::before_split_pmd(k, era, folio);
            if of.kind == RegionKind::FileThp {
                return unmap::zap_huge_pmd(k, era, mm, region, folio);
            }
            k.emit(Op::FillTable(mm, region));
            if era.added == Added::WholeFolio {
                rmap::added(k, era, mm, folio, Covers::AllByPtes);
            }
            rmap::removed(k, era, mm, folio, Covers::PmdForTable);
        });
        k.if_(pmd.is(Pmd::Migration), |k| {
            k.emit(Op::Folio(FolioOp::SplitEntry(mm, region)));
        });
        k.unlock(Class::PageTable, u16::from(mm));
    });
}
