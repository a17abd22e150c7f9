//! v3.14: size, test-and-clear and statistic in one `lru_lock` section.
//!
//! A split keeps `lru_lock` from before the first tail's flags are copied until after the head has
//! lost its size, so munlock sees the page wholly before or wholly after it.
//!
//! # What this does not model
//!
//! The page vectors that small pages have gone through since v3.12: here every page goes through
//! `munlock_vma_page()`.

use super::{Kernel, v3_7, v3_9};
use crate::machine::{Asm, Class, Flag, Mode, Op, Reg, RegKind, Source, page_locked, test_clear};

const CITE: &str = "01cc2e58697e (v3.14) mm/mlock.c";

/// v3.14.
pub(super) const KERNEL: Kernel = Kernel {
    name: "v3.14",
    about: "munlock reads the size, clears and counts in one lru_lock section",
    base: Some("v3.9"),
    source: CITE,
    munlock_page: munlock_vma_page,
    ..v3_9::KERNEL
};

/// `munlock_vma_page()`: under `lru_lock`, size, test-and-clear, statistic, isolation; the rest
/// outside. The mask is the size less one, marked or not (since c424be1cbbf8, v3.13).
///
/// Held on entry: `mmap_sem` for writing, and the page lock.
fn munlock_vma_page(k: &mut Asm<'_>, page: Reg, mask: Reg) {
    k.function("munlock_vma_page", CITE, |k| {
        k.bug_on(page_locked(page), |locked| locked.is(0));
        let isolated = k.local("isolated", RegKind::Flag);
        k.set(isolated, 0);
        k.lock(Class::Lru, Mode::Exclusive, 0);
        let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(page.into()));
        k.set(mask, nr_pages - 1);
        k.if_(test_clear(Flag::Mlocked, page), |k| {
            k.emit(Op::ModNrMlock(-nr_pages));
            k.if_(test_clear(Flag::Lru, page), |k| k.set(isolated, 1));
        });
        k.unlock(Class::Lru, 0);
        k.if_(isolated, |k| v3_7::munlock_isolated_page(k, page));
    });
}
