//! v4.5 to v5.17: the reverse map is asked who locks, and a huge page is marked only while huge
//! entries alone map it.
//!
//! A huge page that ptes map too is never marked: a part of it may be munlocked, and then a split
//! would give the mark to pages that nobody locks.
//! So the split of a huge entry clears the mark first, and the restore after a split of the page marks
//! the small pages one by one.
//!
//! Source: 4.19.0 mm/mlock.c, mm/gup.c, mm/huge_memory.c, mm/rmap.c; e90309c9f772 (v4.5).
//!
//! # What this does not model
//!
//! * `PageDoubleMap` of an anonymous page is taken to say what it stands for, that ptes map the page too,
//!   and no longer than they do.
//! * Huge pages that ptes map at other addresses than their own, or beside other pages: addresses and
//!   pages are numbered alike here.

use super::rmap::Covers;
use super::{Era, list, unmap};
use crate::kernel::pagevec::{self, Batching, Locked, PutAside, Stops, Uncounted, Ways};
use crate::kernel::reclaim::isolate_lru_pages;
use crate::kernel::rmap::pte_maps;
use crate::kernel::{lru, v3_7, walk};
use crate::machine::{
    Area, Asm, Class, Flag, FolioSource, Mode, Op, Pmd, Reg, RegKind, Region, RegionKind, Source,
    Target, page_locked, read, test_clear, test_set, trylock,
};
use std::ops::Range;

const CITE: &str = "4.19 mm/mlock.c, mm/gup.c";

/// What these kernels choose between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// What serializes munlock's work on the mark.
    pub(super) under: Under,
    /// How far munlock goes on behind a page that was not marked.
    pub(super) unmarked: Unmarked,
    /// What becomes of a huge page that another area locks.
    pub(super) others: Others,
    /// What a split of a huge entry does with the mark.
    pub(super) split: SplitPmd,
    /// Which small pages that munlock could not isolate do not count.
    pub(super) uncounted: Uncounted,
    /// What becomes of a huge page that is to migrate.
    pub(super) migrated: Migrated,
}

/// What becomes of a huge page that is to migrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Migrated {
    /// It is split first (v4.5 mm/migrate.c `unmap_and_move()`).
    Split,
    /// Huge entries become huge migration entries (616b8371539a, v4.14).
    Whole,
}

impl Asked {
    /// How small pages are munlocked.
    fn batching(&self) -> Batching {
        Batching {
            put: PutAside::Later,
            uncounted: self.uncounted,
            locked: match self.under {
                Under::LruLock => Locked::First,
                Under::PageLock => Locked::ByTheFirstIsolated,
            },
            stops: Stops::AtCompound,
        }
    }
}

/// What serializes munlock's work on the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Under {
    /// `lru_lock`, and the page lock (v4.5).
    LruLock,
    /// The page lock, which a split needs as well (v5.11).
    PageLock,
}

/// How far munlock goes on behind a page that was not marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmarked {
    /// By the size of the page (v4.5).
    Size,
    /// By one page, but behind a tail by what its entry maps (655548bf6271, v4.10).
    OneButTails,
    /// By one page (v4.11).
    One,
}

/// What becomes of a huge page that another area locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// It loses its mark: only small pages are marked again (v4.5).
    Forgotten,
    /// The reverse-map walk comes upon it and leaves with the PT lock held (v5.14-rc).
    EarlyReturn,
    /// It is marked again (v5.14).
    Marked,
}

/// What a split of a huge entry does with the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SplitPmd {
    /// It clears it first.
    Clears,
    /// It leaves it.
    Keeps,
}

/// `mlock()`: the flag, then `populate_vma_page_range()` under `mmap_sem` held for reading.
pub(super) fn mlock(k: &mut Asm<'_>, era: &Era, area: &Area) {
    let mm = u16::from(area.mm);
    k.lock(Class::MmapSem, Mode::Exclusive, mm);
    unmap::split_area(k, era, area);
    k.emit(Op::SetVmLocked(area.clone(), true));
    k.unlock(Class::MmapSem, mm);
    k.lock(Class::MmapSem, Mode::Shared, mm);
    let addr = k.local("addr", RegKind::Page);
    let mask = k.local("page_mask", RegKind::Count);
    k.function("populate_vma_page_range", CITE, |k| {
        k.set(addr, area.pages.start);
        k.while_(addr.get().less_than(area.pages.end), |k| {
            follow_page_mlock(k, area.mm, addr, mask);
            k.set(addr, addr + 1 + (!addr & mask));
        });
    });
    k.unlock(Class::MmapSem, mm);
}

/// `follow_page(FOLL_MLOCK)`, and the page fault that waits for a migration entry.
fn follow_page_mlock(k: &mut Asm<'_>, mm: u8, addr: Reg, mask: Reg) {
    k.function("follow_page", CITE, |k| {
        k.loop_(|k, again, done| {
            k.set(mask, 0);
            k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
            let pmd = k.load("pmd", RegKind::Small, Source::PmdAt(mm, addr.into()));
            k.if_(pmd.is(Pmd::HugeZero), |k| {
                k.set(mask, k.world().thp_pages - 1)
            });
            k.if_(pmd.is(Pmd::Migration), |k| wait(k, mm, addr, again));
            k.if_(pmd.is(Pmd::Huge), |k| {
                k.set(mask, k.world().thp_pages - 1);
                let page = walk::page_at(k, mm, addr);
                if_locked(k, mm, addr, |k| mlock_huge(k, page));
            });
            k.if_(pmd.is(Pmd::Table), |k| {
                k.if_else(
                    read(Source::PtePresent(mm, addr.into())),
                    |k| {
                        let page = walk::page_at(k, mm, addr);
                        let large = read(Source::PageCompound(page.into()));
                        k.if_else(
                            large,
                            |_| {},
                            |k| if_locked(k, mm, addr, |k| try_mlock(k, page)),
                        );
                    },
                    |k| {
                        let entry = FolioSource::MigrationEntry(mm, addr.into());
                        k.if_(read(Source::Folio(entry)), |k| wait(k, mm, addr, again));
                    },
                );
            });
            k.unlock(Class::PageTable, u16::from(mm));
            k.goto(done);
        });
    });
}

/// Whether the area still has `VM_LOCKED`: `mmap_sem` was dropped since it was set.
fn if_locked(k: &mut Asm<'_>, mm: u8, addr: Reg, then: impl FnOnce(&mut Asm<'_>)) {
    k.if_(read(Source::VmLocked(mm, addr.into())), then);
}

/// Huge entries alone map the page, one if it is anonymous, or it is left alone.
fn mlock_huge(k: &mut Asm<'_>, page: Reg) {
    let head = k.local("page", RegKind::Page);
    k.set(head, walk::head_of(k, page));
    let try_if_not_by_ptes = |k: &mut Asm<'_>| {
        let by_ptes = Source::Folio(FolioSource::MappedByPtes(head.into()));
        k.if_else(read(by_ptes), |_| {}, |k| try_mlock(k, head));
    };
    // Of a file's page there may be any number of huge entries.
    if k.world().is_of_files() {
        return try_if_not_by_ptes(k);
    }
    let by_pmds = Source::Folio(FolioSource::PmdMapcount(head.into()));
    let by_pmds = k.load("compound_mapcount", RegKind::Count, by_pmds);
    k.if_(by_pmds.is(1), try_if_not_by_ptes);
}

fn try_mlock(k: &mut Asm<'_>, page: Reg) {
    k.if_(trylock(Class::PageLock, Mode::Exclusive, page), |k| {
        v3_7::mlock_vma_page(k, &v3_7::KERNEL, page);
        k.unlock(Class::PageLock, page);
    });
}

/// Drops the PT lock and waits for a migration entry to go: whoever made it holds the page lock.
fn wait(k: &mut Asm<'_>, mm: u8, addr: Reg, again: Target) {
    k.unlock(Class::PageTable, u16::from(mm));
    k.function("migration_entry_wait", CITE, |k| {
        let small = |r: &Region| r.kind == RegionKind::Small;
        let folio = match k.world().regions.iter().all(small) {
            true => addr.into(),
            false => walk::head_of(k, addr),
        };
        k.lock(Class::PageLock, Mode::Exclusive, folio.clone());
        k.unlock(Class::PageLock, folio);
    });
    k.goto(again);
}

/// `munlock()`.
pub(super) fn munlock(k: &mut Asm<'_>, era: &Era, asked: &Asked, area: &Area) {
    let mm = u16::from(area.mm);
    k.lock(Class::MmapSem, Mode::Exclusive, mm);
    k.if_(read(Source::VmLockedIn(area.clone())), |k| {
        unmap::split_area(k, era, area);
        munlock_vma_pages_range(k, era, asked, area);
    });
    k.unlock(Class::MmapSem, mm);
}

/// What `munmap()` and exit do first.
pub(super) fn munlock_before_unmap(k: &mut Asm<'_>, era: &Era, asked: &Asked, area: &Area) {
    k.if_(read(Source::VmLockedIn(area.clone())), |k| {
        munlock_vma_pages_range(k, era, asked, area);
    });
}

/// `munlock_vma_pages_range()`: migration entries are skipped.
fn munlock_vma_pages_range(k: &mut Asm<'_>, era: &Era, asked: &Asked, area: &Area) {
    let addr = k.local("addr", RegKind::Page);
    let mask = k.local("page_mask", RegKind::Count);
    k.function("munlock_vma_pages_range", CITE, |k| {
        k.emit(Op::SetVmLocked(area.clone(), false));
        k.set(addr, area.pages.start);
        k.while_(addr.get().less_than(area.pages.end), |k| {
            let found = k.local("found_mask", RegKind::Count);
            let (got, page) = follow_page_get(k, area.mm, addr, found);
            k.set(mask, 0);
            if asked.unmarked == Unmarked::OneButTails {
                k.set(mask, found);
            }
            k.if_(got, |k| {
                munlock_found(k, era, asked, area, (addr, page, mask))
            });
            k.set(addr, addr + 1 + mask);
        });
    });
}

/// `follow_page(FOLL_GET | FOLL_DUMP)`: a reference on the page that an address maps, a tail perhaps;
/// nothing for a migration entry. `found` becomes how many pages, less one, the entry maps.
fn follow_page_get(k: &mut Asm<'_>, mm: u8, addr: Reg, found: Reg) -> (Reg, Reg) {
    let got = k.local("got", RegKind::Flag);
    let page = k.function("follow_page", CITE, |k| {
        k.set(got, 0);
        k.set(found, 0);
        k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
        let pmd = k.load("pmd", RegKind::Small, Source::PmdAt(mm, addr.into()));
        k.if_(pmd.is(Pmd::Huge), |k| {
            k.set(got, 1);
            k.set(found, k.world().thp_pages - 1);
        });
        k.if_(pmd.is(Pmd::Table), |k| {
            k.if_(read(Source::PtePresent(mm, addr.into())), |k| k.set(got, 1));
        });
        let page = walk::page_at(k, mm, addr);
        k.if_(got, |k| k.emit(Op::GetPage(page.into())));
        k.unlock(Class::PageTable, u16::from(mm));
        page
    });
    (got, page)
}

/// What is done to the page that an address maps, of which a reference is held: a huge page is
/// munlocked by its head alone, small pages in batches.
fn munlock_found(
    k: &mut Asm<'_>,
    era: &Era,
    asked: &Asked,
    area: &Area,
    (addr, found, mask): (Reg, Reg, Reg),
) {
    let page = k.local("page", RegKind::Page);
    k.set(page, found);
    let head = super::rmap::folio_of(k, page);
    k.if_else(
        head.is(page),
        |k| {
            k.if_else(
                read(Source::PageTransHuge(page.into())),
                |k| {
                    k.lock(Class::PageLock, Mode::Exclusive, page);
                    munlock_vma_page(k, asked, page, mask);
                    k.unlock(Class::PageLock, page);
                    list::put(k, era, page);
                },
                |k| {
                    let ways = Ways {
                        put_page: &|k, page| list::put(k, era, page),
                        isolated: &|k, page| munlock_isolated_page(k, asked, page),
                    };
                    pagevec::munlock_from(k, area, (addr, page), asked.batching(), ways);
                    k.set(mask, 0);
                },
            );
        },
        |k| {
            // The kernel that was not written keeps marks where ptes map, so it cannot assert this.
            if asked.split == SplitPmd::Clears {
                k.bug_on(Source::Flag(Flag::Mlocked, head.into()), |marked| {
                    marked.get()
                });
            }
            list::put(k, era, page);
        },
    );
}

/// The end of `wp_page_copy()`: in a locked area the old page is munlocked, if it is marked.
pub(super) fn munlock_copied(k: &mut Asm<'_>, asked: &Asked, mm: u8, page: Reg) {
    let mask = k.local("page_mask", RegKind::Count);
    k.if_(read(Source::VmLocked(mm, page.into())), |k| {
        k.lock(Class::PageLock, Mode::Exclusive, page);
        k.if_(read(Source::Flag(Flag::Mlocked, page.into())), |k| {
            munlock_vma_page(k, asked, page, mask);
        });
        k.unlock(Class::PageLock, page);
    });
}

/// `munlock_vma_page()`. Held on entry: `mmap_sem`, the page lock.
fn munlock_vma_page(k: &mut Asm<'_>, asked: &Asked, page: Reg, mask: Reg) {
    k.function("munlock_vma_page", CITE, |k| {
        k.bug_on(page_locked(page), |locked| locked.is(0));
        let isolated = k.local("isolated", RegKind::Flag);
        k.set(isolated, 0);
        k.set(mask, 0);
        if asked.under == Under::LruLock {
            k.lock(Class::Lru, Mode::Exclusive, 0);
        }
        let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(page.into()));
        if asked.unmarked == Unmarked::Size {
            k.set(mask, nr_pages - 1);
        }
        k.if_(test_clear(Flag::Mlocked, page), |k| {
            k.set(mask, nr_pages - 1);
            k.emit(Op::ModNrMlock(-nr_pages));
            match asked.under {
                Under::LruLock => k.if_(test_clear(Flag::Lru, page), |k| k.set(isolated, 1)),
                Under::PageLock => {
                    let off = lru::isolate_lru_page(k, page);
                    k.set(isolated, off);
                }
            }
        });
        if asked.under == Under::LruLock {
            k.unlock(Class::Lru, 0);
        }
        k.if_(isolated, |k| munlock_isolated_page(k, asked, page));
    });
}

/// `__munlock_isolated_page()`.
fn munlock_isolated_page(k: &mut Asm<'_>, asked: &Asked, page: Reg) {
    let mapcount = k.load("mapcount", RegKind::Count, Source::Mapcount(page.into()));
    k.if_(mapcount.get().less_than(2).is_zero(), |k| {
        try_to_munlock(k, asked, page)
    });
    lru::putback_lru_page(k, page);
}

/// `try_to_munlock()`: looks for another area that still wants the page, and marks it again if so.
/// Held on entry: the page lock; the page is isolated.
fn try_to_munlock(k: &mut Asm<'_>, asked: &Asked, page: Reg) {
    k.function("try_to_munlock", CITE, |k| {
        let area = walk::head_of(k, page);
        k.lock(Class::AnonVma, Mode::Exclusive, area.clone());
        for mm in 0..k.world().mms {
            page_mlock_one(k, asked, mm, page);
        }
        k.unlock(Class::AnonVma, area);
    });
}

fn page_mlock_one(k: &mut Asm<'_>, asked: &Asked, mm: u8, page: Reg) {
    k.function("page_mlock_one", CITE, |k| {
        k.block(|k, done| {
            k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
            let pmd = k.load("pmd", RegKind::Small, Source::PmdAt(mm, page.into()));
            let mapped = match k.world().has_spares() {
                true => walk::page_at(k, mm, page).is(page),
                false => 1.into(),
            };
            k.if_(pmd.is(Pmd::Huge) & mapped, |k| {
                k.if_(read(Source::VmLocked(mm, page.into())), |k| {
                    match asked.others {
                        Others::Forgotten => {}
                        Others::EarlyReturn => k.goto(done),
                        Others::Marked => v3_7::mlock_vma_page(k, &v3_7::KERNEL, page),
                    }
                });
            });
            k.if_(pmd.is(Pmd::Table), |k| {
                k.if_(read(pte_maps(k, mm, page)), |k| {
                    k.if_(read(Source::VmLocked(mm, page.into())), |k| {
                        let large = read(Source::PageCompound(page.into()));
                        k.if_else(
                            large,
                            |_| {},
                            |k| v3_7::mlock_vma_page(k, &v3_7::KERNEL, page),
                        );
                    });
                });
            });
            k.unlock(Class::PageTable, u16::from(mm));
        });
    });
}

/// `shrink_page_list()`: of a page that is not marked every mapping is asked, and an area with
/// `VM_LOCKED` marks it, under the PT lock. Nothing is unmapped.
/// Source: 4.19 mm/vmscan.c, mm/rmap.c `try_to_unmap_one()`.
pub(super) fn reclaim(k: &mut Asm<'_>, era: &Era, asked: &Asked, pages: &Range<u16>) {
    super::for_each_folio(k, pages, |k, page| {
        let isolated = isolate_lru_pages(k, page);
        k.if_(isolated, |k| {
            k.if_(trylock(Class::PageLock, Mode::Exclusive, page), |k| {
                k.if_else(
                    read(Source::Flag(Flag::Mlocked, page.into())),
                    |_| {},
                    |k| try_to_munlock(k, asked, page),
                );
                k.unlock(Class::PageLock, page);
            });
            lru::putback_lru_page(k, page);
            list::put(k, era, page);
        });
    });
}

/// A huge entry is about to be split. Held on entry: the PT lock.
pub(super) fn before_split_pmd(k: &mut Asm<'_>, asked: &Asked, head: Reg) {
    if asked.split == SplitPmd::Clears {
        clear_page_mlock(k, head);
    }
}

/// A mapping has come: a small page is marked if its area has `VM_LOCKED`, and a huge page by a huge
/// entry too. Held on entry: the PT lock, the page lock.
pub(super) fn added(k: &mut Asm<'_>, mm: u8, page: Reg, covers: Covers) {
    let mark = |k: &mut Asm<'_>| {
        k.if_(read(Source::VmLocked(mm, page.into())), |k| {
            mark_mapped(k, page)
        });
    };
    match covers {
        Covers::AllByPmd => {
            let by_ptes = Source::Folio(FolioSource::MappedByPtes(page.into()));
            k.if_else(read(by_ptes), |_| {}, mark);
        }
        Covers::PmdForTable | Covers::AllByPtes => {}
        Covers::Ptes if k.world().is_of_files() => {
            let head = super::rmap::folio_of(k, page);
            k.emit(Op::SetFlag(Flag::DoubleMap, head.into()));
            clear_page_mlock(k, head);
        }
        Covers::Ptes => {
            let large = read(Source::PageCompound(page.into()));
            k.if_else(large, |_| {}, mark);
        }
    }
}

/// `mlock_vma_page()` of a page that a migration has locked.
fn mark_mapped(k: &mut Asm<'_>, page: Reg) {
    k.function("mlock_vma_page", CITE, |k| {
        k.if_else(
            test_set(Flag::Mlocked, page),
            |_| {},
            |k| {
                let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(page.into()));
                k.emit(Op::ModNrMlock(nr_pages.into()));
                lru::move_lists(k, page);
            },
        );
    });
}

/// A mapping has gone: a mark goes with the last huge entry, or the last pte of a small page.
/// Held on entry: the PT lock.
pub(super) fn removed(k: &mut Asm<'_>, page: Reg, covers: Covers) {
    k.function("page_remove_rmap", CITE, |k| {
        let left = match covers {
            Covers::Ptes => Source::Mapcount(page.into()),
            // The split of the entry has seen to the mark.
            Covers::PmdForTable => return,
            Covers::AllByPmd | Covers::AllByPtes => {
                Source::Folio(FolioSource::PmdMapcount(page.into()))
            }
        };
        let large = k.load("compound", RegKind::Flag, Source::PageCompound(page.into()));
        let by_pte = covers == Covers::Ptes;
        k.if_(large.is(i64::from(!by_pte)), |k| {
            let left = k.load("mapcount", RegKind::Count, left);
            k.if_(left.is(0), |k| clear_page_mlock(k, page));
        });
    });
}

/// `clear_page_mlock()`.
fn clear_page_mlock(k: &mut Asm<'_>, page: Reg) {
    k.function("clear_page_mlock", CITE, |k| {
        k.if_(test_clear(Flag::Mlocked, page), |k| {
            let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(page.into()));
            k.emit(Op::ModNrMlock(-nr_pages));
            lru::move_lists(k, page);
        });
    });
}
