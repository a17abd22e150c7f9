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
//! Source: 7225522bb429, 1ebb7cc6a583, 7a8010cd3627 (v3.12) mm/mlock.c, read in 4.1.
//!
//! # What this does not model
//!
//! Zones: all pages are of one. The vector holds the fourteen pages of `PAGEVEC_SIZE` in the order of
//! their frames.

use super::{Kernel, lru, page, v3_7, walk};
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

/// Munlocks what an address maps: a huge page as ever, a small page with those that follow it.
pub(super) fn munlock_at(
    k: &mut Asm<'_>,
    kernel: &Kernel,
    area: &Area,
    (addr, mask): (Reg, Reg),
    put: PutAside,
    uncounted: Uncounted,
) {
    let (got, page) = walk::follow_page_get(k, area.mm, addr, mask);
    k.if_(got, |k| {
        k.if_else(
            read(Source::PageTransHuge(page.into())),
            |k| {
                k.lock(Class::PageLock, Mode::Exclusive, page);
                (kernel.munlock_page)(k, kernel, page, mask);
                k.unlock(Class::PageLock, page);
                page::put_page(k, kernel, page);
            },
            |k| {
                k.emit(Op::VecAdd(PVEC, page.into()));
                fill(k, area, addr);
                munlock_pagevec(k, kernel, put, uncounted);
                k.set(mask, 0);
            },
        );
    });
}

/// `__munlock_pagevec_fill()`: collects the pages behind the addresses after `addr`, up to the end of
/// the page table, and leaves the last of these addresses in it.
///
/// `get_locked_pte()` takes for granted that the entry above is a table.
fn fill(k: &mut Asm<'_>, area: &Area, addr: Reg) {
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
fn munlock_pagevec(k: &mut Asm<'_>, kernel: &Kernel, put: PutAside, uncounted: Uncounted) {
    k.function("__munlock_pagevec", CITE, |k| {
        isolate(k, kernel, put, uncounted);
        lru::for_each(k, PVEC, |k, page| munlock_isolated(k, kernel, page));
        k.if_(ASIDE.count(), |k| put_back_fast(k, kernel));
    });
}

/// Phase 1.
fn isolate(k: &mut Asm<'_>, kernel: &Kernel, put: PutAside, uncounted: Uncounted) {
    let delta = k.local("delta_munlocked", RegKind::Count);
    let aside = k.local("aside", RegKind::Flag);
    k.set(delta, -PVEC.count());
    k.lock(Class::Lru, Mode::Exclusive, 0);
    lru::for_each(k, PVEC, |k, page| {
        k.set(aside, 0);
        k.if_else(
            test_clear(Flag::Mlocked, page),
            |k| {
                k.if_else(
                    test_clear(Flag::Lru, page),
                    |_| {},
                    |k| {
                        k.set(aside, 1);
                        if uncounted == Uncounted::All {
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
        k.if_(aside, |k| match put {
            PutAside::UnderLruLock => {
                k.emit(Op::VecTake(PVEC, page.into()));
                page::put_page(k, kernel, page);
            }
            PutAside::Later => k.emit(Op::VecMove(PVEC, ASIDE, page.into())),
        });
    });
    k.emit(Op::ModNrMlock(delta.into()));
    k.unlock(Class::Lru, 0);
    if put == PutAside::Later {
        lru::release_all(k, kernel, ASIDE);
    }
}

/// Phase 2, for one page: `__putback_lru_fast_prepare()` and the slow way.
fn munlock_isolated(k: &mut Asm<'_>, kernel: &Kernel, page: Reg) {
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
            v3_7::munlock_isolated_page(k, kernel, page);
            k.unlock(Class::PageLock, page);
            k.emit(Op::VecTake(PVEC, page.into()));
            page::put_page(k, kernel, page);
        },
    );
}

/// Phase 3: `__putback_lru_fast()`.
fn put_back_fast(k: &mut Asm<'_>, kernel: &Kernel) {
    k.function(
        "__putback_lru_fast",
        "5b40998ae35c (v3.12) mm/mlock.c",
        |k| {
            k.lock(Class::Lru, Mode::Exclusive, 0);
            lru::for_each(k, ASIDE, |k, page| {
                k.emit(Op::SetFlag(Flag::Lru, page.into()))
            });
            k.unlock(Class::Lru, 0);
            lru::release_all(k, kernel, ASIDE);
        },
    );
}
