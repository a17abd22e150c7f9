//! v3.14: size, test-and-clear and statistic in one `lru_lock` section.
//!
//! A split keeps `lru_lock` from before the first tail's flags are copied until after the head has
//! lost its size, so munlock sees the page wholly before or wholly after it.
//!
//! Small pages go through page vectors as in v3.13; the thread's fix without them is `fix-lru-lock`.

use super::{Kernel, Nonlinear, v3_7, v3_12};
use crate::machine::{
    Asm, Class, Expr, Flag, Mode, Op, Reg, RegKind, Source, page_locked, test_clear,
};

const CITE: &str = "01cc2e58697e (v3.14) mm/mlock.c";

/// v3.14.
pub(super) const KERNEL: Kernel = Kernel {
    name: "v3.14",
    about: "munlock reads the size, clears and counts in one lru_lock section",
    base: Some("v3.13"),
    source: CITE,
    munlock_page: munlock_vma_page,
    ..v3_12::V3_13
};

/// v3.15, for what it changed in `try_to_unmap_cluster()`.
pub(super) const V3_15: Kernel = Kernel {
    name: "v3.15",
    about: "v3.14 whose reclaim marks pages of a nonlinear mapping only with their page lock",
    base: Some("v3.14"),
    source: "57e68e9cd65b (v3.15) mm/rmap.c",
    nonlinear: Nonlinear::LockedPages,
    ..KERNEL
};

/// `munlock_vma_page()`: under `lru_lock`, size, test-and-clear, statistic, isolation; the rest
/// outside. The mask is the size less one, marked or not (since c424be1cbbf8, v3.13).
///
/// Held on entry: `mmap_sem` for writing, and the page lock.
pub(super) fn munlock_vma_page(k: &mut Asm<'_>, kernel: &Kernel, page: Reg, mask: Reg) {
    munlock_under_lru_lock(k, kernel, page, mask, |nr_pages| -nr_pages);
}

/// `munlock_vma_page()` with the amount that goes to the statistic as an expression of the size.
pub(super) fn munlock_under_lru_lock(
    k: &mut Asm<'_>,
    kernel: &Kernel,
    page: Reg,
    mask: Reg,
    amount: fn(Reg) -> Expr,
) {
    k.function("munlock_vma_page", CITE, |k| {
        k.bug_on(page_locked(page), |locked| locked.is(0));
        let isolated = k.local("isolated", RegKind::Flag);
        k.set(isolated, 0);
        k.lock(Class::Lru, Mode::Exclusive, 0);
        let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(page.into()));
        k.set(mask, nr_pages - 1);
        k.if_(test_clear(Flag::Mlocked, page), |k| {
            k.emit(Op::ModNrMlock(amount(nr_pages)));
            k.if_(test_clear(Flag::Lru, page), |k| k.set(isolated, 1));
        });
        k.unlock(Class::Lru, 0);
        k.if_(isolated, |k| v3_7::munlock_isolated_page(k, kernel, page));
    });
}
