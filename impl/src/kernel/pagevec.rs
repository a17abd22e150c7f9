//! munlock in batches, since v3.12: small pages are collected, each with a reference, and cleared
//! under one `lru_lock` section.
//!
//! 1. Fill: under the PT lock, the ptes after the first page are followed as long as they are present.
//! 2. Phase 1, under `lru_lock` and *without* the page locks: test-and-clear, isolation; one change of
//!    the statistic for all of them. Who was not marked or cannot be isolated is put aside.
//! 3. Phase 2, page by page under its lock: who is mapped once is put aside for the fast way back, the
//!    others go the way of `munlock_vma_page()`.
//! 4. Phase 3: those on the fast way go back to their list together.
//!
//! Source: 7225522bb429, 1ebb7cc6a583, 7a8010cd3627 (v3.12) mm/mlock.c, read in 4.1 and 4.19; 3db19aa39bac
//! (v5.11) and what was merged around it.
//!
//! # What this does not model
//!
//! Zones: all pages are of one. The vector holds the fourteen pages of `PAGEVEC_SIZE` in the order of
//! their frames.

use super::{lru, walk};
use crate::machine::{
    Area, Asm, Batch, Class, Flag, Mode, Op, Pagevec, Reg, RegKind, Source, read, test_clear,
};

const CITE: &str = "1ebb7cc6a583 (v3.12) mm/mlock.c";
const FILL: &str = "7a8010cd3627 (v3.12) mm/mlock.c";
/// `PAGEVEC_SIZE`.
const SIZE: u16 = 14;

const PVEC: Pagevec = Pagevec::Own(Batch::Munlock);
const ASIDE: Pagevec = Pagevec::Own(Batch::Putback);

/// Where the references of the pages put aside in phase 1 are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PutAside {
    /// At once, under `lru_lock`.
    UnderLruLock,
    /// When `lru_lock` is dropped.
    Later,
}

/// Which pages put aside in phase 1 do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Uncounted {
    /// All of them, even those that were cleared.
    All,
    /// Those that were not marked.
    Unmarked,
}

/// When phase 1 takes `lru_lock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Locked {
    /// First of all.
    First,
    /// With the first page that it has isolated, by its bit alone (v5.11).
    ByTheFirstIsolated,
}

/// Where the fill stops besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stops {
    /// Nowhere: what a table maps is small.
    Nowhere,
    /// At a page that is part of a huge one (v4.5).
    AtCompound,
}

/// How a kernel munlocks in batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batching {
    pub(super) put: PutAside,
    pub(super) uncounted: Uncounted,
    pub(super) locked: Locked,
    pub(super) stops: Stops,
}

/// Emits something that is done to a page.
pub(super) type OnPage<'a> = &'a dyn Fn(&mut Asm<'_>, Reg);

/// What a family of kernels does in its own way.
#[derive(Clone, Copy)]
pub(super) struct Ways<'a> {
    /// `put_page()`.
    pub(super) put_page: OnPage<'a>,
    /// `__munlock_isolated_page()`.
    pub(super) isolated: OnPage<'a>,
}

/// Munlocks a small page and those that follow it, and leaves the last address of the batch in the
/// variable. The page has a reference, which goes.
pub(super) fn munlock_from(
    k: &mut Asm<'_>,
    area: &Area,
    (addr, page): (Reg, Reg),
    how: Batching,
    ways: Ways<'_>,
) {
    k.emit(Op::VecAdd(PVEC, page.into()));
    fill(k, area, addr, how.stops);
    munlock_pagevec(k, how, ways);
}

/// `__munlock_pagevec_fill()`: collects the pages behind the addresses after `addr`, up to the end of
/// the page table, and leaves the last of these addresses in it.
///
/// `get_locked_pte()` takes for granted that the entry above is a table.
fn fill(k: &mut Asm<'_>, area: &Area, addr: Reg, stops: Stops) {
    let mm = area.mm;
    k.function("__munlock_pagevec_fill", FILL, |k| {
        let end = k.local("end", RegKind::Page);
        let next = k.local("start", RegKind::Page);
        k.set(end, walk::head_of(k, addr) + k.world().thp_pages);
        k.if_(end.get().less_than(area.pages.end).is_zero(), |k| {
            k.set(end, area.pages.end)
        });
        k.set(next, addr + 1);
        k.bug_on(Source::PmdAt(mm, addr.into()), walk::is_huge);
        k.lock(Class::PageTable, Mode::Exclusive, u16::from(mm));
        k.block(|k, full| {
            k.while_(next.get().less_than(end), |k| {
                k.if_else(
                    read(Source::PtePresent(mm, next.into())),
                    |k| {
                        let page = walk::page_at(k, mm, next);
                        if stops == Stops::AtCompound {
                            k.if_(read(Source::PageCompound(page.into())), |k| k.goto(full));
                        }
                        k.emit(Op::GetPage(page.into()));
                        k.emit(Op::VecAdd(PVEC, page.into()));
                        k.set(next, next + 1);
                        k.if_(PVEC.count().is(SIZE), |k| k.goto(full));
                    },
                    |k| k.goto(full),
                );
            });
        });
        k.unlock(Class::PageTable, u16::from(mm));
        k.set(addr, next - 1);
    });
}

/// `__munlock_pagevec()`.
fn munlock_pagevec(k: &mut Asm<'_>, how: Batching, ways: Ways<'_>) {
    k.function("__munlock_pagevec", CITE, |k| {
        isolate(k, how, ways.put_page);
        lru::for_each(k, PVEC, |k, page| munlock_isolated(k, page, ways));
        k.if_(ASIDE.count(), |k| put_back_fast(k, ways.put_page));
    });
}

/// Phase 1.
fn isolate(k: &mut Asm<'_>, how: Batching, put_page: OnPage<'_>) {
    let delta = k.local("delta_munlocked", RegKind::Count);
    let aside = k.local("aside", RegKind::Flag);
    let lruvec =
        (how.locked == Locked::ByTheFirstIsolated).then(|| k.local("lruvec", RegKind::Flag));
    k.set(delta, -PVEC.count());
    match lruvec {
        Some(lruvec) => k.set(lruvec, 0),
        None => k.lock(Class::Lru, Mode::Exclusive, 0),
    }
    lru::for_each(k, PVEC, |k, page| {
        k.set(aside, 0);
        k.if_else(
            test_clear(Flag::Mlocked, page),
            |k| {
                k.if_else(
                    test_clear(Flag::Lru, page),
                    |k| {
                        if let Some(lruvec) = lruvec {
                            lru::relock(k, lruvec);
                        }
                    },
                    |k| {
                        k.set(aside, 1);
                        if how.uncounted == Uncounted::All {
                            k.set(delta, delta + 1);
                        }
                    },
                );
            },
            |k| {
                k.set(aside, 1);
                k.set(delta, delta + 1);
            },
        );
        k.if_(aside, |k| match how.put {
            PutAside::UnderLruLock => {
                k.emit(Op::VecTake(PVEC, page.into()));
                put_page(k, page);
            }
            PutAside::Later => k.emit(Op::VecMove(PVEC, ASIDE, page.into())),
        });
    });
    k.emit(Op::ModNrMlock(delta.into()));
    match lruvec {
        Some(lruvec) => k.if_(lruvec, |k| k.unlock(Class::Lru, 0)),
        None => k.unlock(Class::Lru, 0),
    }
    if how.put == PutAside::Later {
        lru::release_all(k, ASIDE, put_page);
    }
}

/// Phase 2, for one page: `__putback_lru_fast_prepare()` and the slow way.
fn munlock_isolated(k: &mut Asm<'_>, page: Reg, ways: Ways<'_>) {
    let fast = k.local("fast", RegKind::Flag);
    k.lock(Class::PageLock, Mode::Exclusive, page);
    k.set(fast, 0);
    let mapcount = k.load("mapcount", RegKind::Count, Source::Mapcount(page.into()));
    k.if_(mapcount.get().less_than(2), |k| {
        k.if_else(
            read(Source::Flag(Flag::Mlocked, page.into())),
            |_| {},
            |k| k.set(fast, 1),
        );
    });
    k.if_else(
        fast,
        |k| {
            k.emit(Op::VecMove(PVEC, ASIDE, page.into()));
            k.unlock(Class::PageLock, page);
        },
        |k| {
            (ways.isolated)(k, page);
            k.unlock(Class::PageLock, page);
            k.emit(Op::VecTake(PVEC, page.into()));
            (ways.put_page)(k, page);
        },
    );
}

/// Phase 3: `__putback_lru_fast()`.
fn put_back_fast(k: &mut Asm<'_>, put_page: OnPage<'_>) {
    k.function(
        "__putback_lru_fast",
        "5b40998ae35c (v3.12) mm/mlock.c",
        |k| {
            k.lock(Class::Lru, Mode::Exclusive, 0);
            lru::for_each(k, ASIDE, |k, page| {
                k.emit(Op::SetFlag(Flag::Lru, page.into()))
            });
            k.unlock(Class::Lru, 0);
            lru::release_all(k, ASIDE, put_page);
        },
    );
}
