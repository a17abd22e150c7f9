//! The fixes that the thread discusses, on top of v3.9, each with what its careless form gets wrong.
//!
//! Andrea Arcangeli, 8 Feb 2013, names four things that stop a split: the PT lock, `lru_lock`,
//! `compound_lock` and the anon_vma lock. The `lru_lock` was merged, in v3.14.

use super::{Kernel, lru, page, v3_7, v3_9, v3_14, walk};
use crate::machine::{
    Area, Asm, Class, Expr, Flag, Mode, Op, Pmd, Reg, RegKind, Source, page_locked, read,
    test_clear, trylock,
};

const MAIL: &str = "mail of 8 Feb 2013, Andrea Arcangeli and Michel Lespinasse";

/// What was merged in the end, as the thread would have had it: on v3.9, before page vectors.
pub(super) const LRU_LOCK: Kernel = Kernel {
    name: "fix-lru-lock",
    about: "munlock reads the size, clears and counts in one lru_lock section",
    base: Some("v3.9"),
    source: "01cc2e58697e (v3.14) mm/mlock.c, on v3.9",
    munlock_page: v3_14::munlock_vma_page,
    ..v3_9::KERNEL
};

/// The first suggestion: munlock where mlock is, under the PT lock.
pub(super) const PTL: Kernel = Kernel {
    name: "fix-ptl",
    about: "munlock under the PT lock: trylock, else drop, lock, retake, recheck",
    base: Some("v3.9"),
    source: MAIL,
    munlock_at: munlock_under_ptl,
    ..v3_9::KERNEL
};

/// The first suggestion without "see if we locked the right page".
pub(super) const PTL_NO_RECHECK: Kernel = Kernel {
    name: "fix-ptl-no-recheck",
    about: "fix-ptl that does not look again after it retook the PT lock",
    base: Some("fix-ptl"),
    munlock_at: munlock_under_ptl_no_recheck,
    ..PTL
};

/// The second suggestion: `compound_lock`.
pub(super) const COMPOUND_LOCK: Kernel = Kernel {
    name: "fix-compound-lock",
    about: "munlock clears, reads the size and counts under compound_lock",
    base: Some("v3.9"),
    source: MAIL,
    munlock_page: munlock_under_compound_lock,
    ..v3_9::KERNEL
};

/// The second suggestion, with the isolation left where v3.9 has it: inside.
pub(super) const COMPOUND_LOCK_ISOLATE_INSIDE: Kernel = Kernel {
    name: "fix-compound-lock-isolate-inside",
    about: "fix-compound-lock that isolates the page before it drops compound_lock",
    base: Some("fix-compound-lock"),
    munlock_page: munlock_under_compound_lock_isolate_inside,
    ..COMPOUND_LOCK
};

/// The second suggestion with v3.9's habit of returning mask 0 for a page that was not marked.
pub(super) const COMPOUND_LOCK_MASK_0: Kernel = Kernel {
    name: "fix-compound-lock-mask-0",
    about: "fix-compound-lock that returns mask 0 for an unmarked page, and so visits tails",
    base: Some("fix-compound-lock"),
    munlock_page: munlock_under_compound_lock_mask_0,
    ..COMPOUND_LOCK
};

/// The fourth lock on the list, for which nobody proposed code.
pub(super) const ANON_VMA: Kernel = Kernel {
    name: "fix-anon-vma",
    about: "munlock clears, reads the size and counts under the anon_vma lock",
    base: Some("v3.9"),
    source: MAIL,
    munlock_page: munlock_under_anon_vma,
    ..v3_9::KERNEL
};

/// `lru_lock` around the wrong part: the size is read after it is dropped.
pub(super) const SIZE_OUTSIDE: Kernel = Kernel {
    name: "fix-lru-size-outside",
    about: "test-and-clear under lru_lock, but size and statistic after it",
    base: Some("v3.9"),
    source: MAIL,
    munlock_page: munlock_size_outside,
    ..v3_9::KERNEL
};

/// Whether `fix-ptl` looks at the page table again after it had to drop the PT lock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Recheck {
    Yes,
    No,
}

fn munlock_under_ptl(k: &mut Asm<'_>, kernel: &Kernel, area: &Area, addr: Reg, mask: Reg) {
    munlock_with_ptl(k, kernel, area.mm, addr, mask, Recheck::Yes);
}

fn munlock_under_ptl_no_recheck(
    k: &mut Asm<'_>,
    kernel: &Kernel,
    area: &Area,
    addr: Reg,
    mask: Reg,
) {
    munlock_with_ptl(k, kernel, area.mm, addr, mask, Recheck::No);
}

/// Munlocks what an address maps under the PT lock: a split must mark this entry before it touches
/// a flag, and cannot while the lock is held.
///
/// The page lock comes first in the order and sleeps, so under the PT lock it can only be tried.
/// If that fails: take a reference, drop the PT lock, sleep for the page lock, take the PT lock again,
/// and look again, for in between the entry may have become splitting, split or empty.
/// The reverse-map walk needs the anon_vma lock, which comes before the PT lock, so it has to wait
/// until that is dropped.
fn munlock_with_ptl(
    k: &mut Asm<'_>,
    kernel: &Kernel,
    mm: u8,
    addr: Reg,
    mask: Reg,
    recheck: Recheck,
) {
    let ptl = u16::from(mm);
    k.function("munlock_follow_page", MAIL, |k| {
        let isolated = k.local("isolated", RegKind::Flag);
        let page = k.local("page", RegKind::Page);
        let found = k.local("present", RegKind::Flag);
        k.loop_(|k, again, done| {
            k.set(isolated, 0);
            k.set(found, 0);
            k.set(mask, 0);
            let pmd = walk::lock_pmd(k, mm, addr);
            k.if_(pmd.is(Pmd::HugeZero), |k| {
                k.set(mask, k.world().thp_pages - 1)
            });
            k.if_(walk::is_huge(pmd), |k| {
                k.set(found, 1);
                let at = walk::page_at(k, mm, addr);
                k.set(page, walk::head_of(k, at));
            });
            k.if_(pmd.is(Pmd::Table), |k| {
                k.if_(read(Source::PtePresent(mm, addr.into())), |k| {
                    k.set(found, 1)
                });
                let at = walk::page_at(k, mm, addr);
                k.set(page, at);
            });
            k.if_(found.is(0), |k| {
                k.unlock(Class::PageTable, ptl);
                k.goto(done);
            });
            k.emit(Op::GetPage(page.into()));
            k.if_else(
                trylock(Class::PageLock, Mode::Exclusive, page),
                |_| {},
                |k| {
                    k.unlock(Class::PageTable, ptl);
                    k.lock(Class::PageLock, Mode::Exclusive, page);
                    k.lock(Class::PageTable, Mode::Exclusive, ptl);
                    if recheck == Recheck::Yes {
                        let now = k.load("pmd_now", RegKind::Small, Source::PmdAt(mm, addr.into()));
                        k.if_(now.is(pmd).is_zero(), |k| {
                            k.unlock(Class::PageTable, ptl);
                            k.unlock(Class::PageLock, page);
                            page::put_page(k, kernel, page);
                            k.goto(again);
                        });
                    }
                },
            );
            k.bug_on(page_locked(page), |locked| locked.is(0));
            let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(page.into()));
            k.set(mask, nr_pages - 1);
            k.if_(test_clear(Flag::Mlocked, page), |k| {
                k.emit(Op::ModNrMlock(-nr_pages));
                let off = lru::isolate_lru_page(k, page);
                k.set(isolated, off);
            });
            k.unlock(Class::PageTable, ptl);
            k.if_(isolated, |k| v3_7::munlock_isolated_page(k, kernel, page));
            k.unlock(Class::PageLock, page);
            page::put_page(k, kernel, page);
            k.goto(done);
        });
    });
}

/// What a `munlock_vma_page()` under some lock does once the lock is dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Isolate {
    Inside,
    Outside,
}

/// Which mask it returns for a page that was not marked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UnmarkedMask {
    Size,
    Zero,
}

fn munlock_under_compound_lock(k: &mut Asm<'_>, kernel: &Kernel, page: Reg, mask: Reg) {
    munlock_under(
        k,
        kernel,
        (Class::Compound, page.into()),
        page,
        mask,
        Isolate::Outside,
        UnmarkedMask::Size,
    );
}

fn munlock_under_compound_lock_isolate_inside(
    k: &mut Asm<'_>,
    kernel: &Kernel,
    page: Reg,
    mask: Reg,
) {
    munlock_under(
        k,
        kernel,
        (Class::Compound, page.into()),
        page,
        mask,
        Isolate::Inside,
        UnmarkedMask::Size,
    );
}

fn munlock_under_compound_lock_mask_0(k: &mut Asm<'_>, kernel: &Kernel, page: Reg, mask: Reg) {
    munlock_under(
        k,
        kernel,
        (Class::Compound, page.into()),
        page,
        mask,
        Isolate::Outside,
        UnmarkedMask::Zero,
    );
}

fn munlock_under_anon_vma(k: &mut Asm<'_>, kernel: &Kernel, page: Reg, mask: Reg) {
    let area = walk::head_of(k, page);
    munlock_under(
        k,
        kernel,
        (Class::AnonVma, area),
        page,
        mask,
        Isolate::Outside,
        UnmarkedMask::Size,
    );
}

/// `munlock_vma_page()` with test-and-clear, size and statistic under one more lock.
///
/// Held on entry: `mmap_sem` for writing, and the page lock.
/// A lock that a split holds from the first copied flag to the head's loss of its size makes the size
/// sure whether or not the page is marked, so the mask can always tell it.
fn munlock_under(
    k: &mut Asm<'_>,
    kernel: &Kernel,
    (class, index): (Class, Expr),
    page: Reg,
    mask: Reg,
    isolate: Isolate,
    unmarked: UnmarkedMask,
) {
    k.function("munlock_vma_page", MAIL, |k| {
        k.bug_on(page_locked(page), |locked| locked.is(0));
        let isolated = k.local("isolated", RegKind::Flag);
        let cleared = k.local("cleared", RegKind::Flag);
        k.set(isolated, 0);
        k.set(mask, 0);
        k.lock(class, Mode::Exclusive, index.clone());
        k.if_else(
            test_clear(Flag::Mlocked, page),
            |k| {
                let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(page.into()));
                k.emit(Op::ModNrMlock(-nr_pages));
                k.set(mask, nr_pages - 1);
                k.set(cleared, 1);
            },
            |k| {
                k.set(cleared, 0);
                if unmarked == UnmarkedMask::Size {
                    let nr = k.load("nr_pages", RegKind::Count, Source::NrPages(page.into()));
                    k.set(mask, nr - 1);
                }
            },
        );
        let off_list = |k: &mut Asm<'_>| {
            k.if_(cleared, |k| {
                let off = lru::isolate_lru_page(k, page);
                k.set(isolated, off);
            });
        };
        if isolate == Isolate::Inside {
            off_list(k);
        }
        k.unlock(class, index);
        if isolate == Isolate::Outside {
            off_list(k);
        }
        k.if_(isolated, |k| v3_7::munlock_isolated_page(k, kernel, page));
    });
}

fn munlock_size_outside(k: &mut Asm<'_>, kernel: &Kernel, page: Reg, mask: Reg) {
    k.function("munlock_vma_page", MAIL, |k| {
        k.bug_on(page_locked(page), |locked| locked.is(0));
        let cleared = k.local("cleared", RegKind::Flag);
        k.set(cleared, 0);
        k.set(mask, 0);
        k.lock(Class::Lru, Mode::Exclusive, 0);
        k.if_(test_clear(Flag::Mlocked, page), |k| k.set(cleared, 1));
        k.unlock(Class::Lru, 0);
        k.if_(cleared, |k| {
            let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(page.into()));
            k.emit(Op::ModNrMlock(-nr_pages));
            k.set(mask, nr_pages - 1);
            v3_7::isolate_and_putback(k, kernel, page);
        });
    });
}
