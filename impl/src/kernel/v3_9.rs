//! v3.9: both sides advance by what they found, so that a huge page is visited once.
//!
//! The race of v3.7 is still there, but its aftermath changes: tails that a split copied the flag to
//! before it was cleared are now skipped, and stay marked.
//!
//! # What this does not model
//!
//! munlock of a page that is mapped elsewhere in the same address space.

use super::{Kernel, TailFlags, Walk, v3_7};
use crate::machine::{Asm, Flag, Op, Reg, RegKind, Source, page_locked, test_clear};

const CITE: &str = "ff6a6da60b89 (v3.9) mm/mlock.c";

/// v3.9.
pub(super) const KERNEL: Kernel = Kernel {
    name: "v3.9",
    about: "a huge page is visited once; munlock is otherwise as in v3.7",
    base: Some("v3.7"),
    source: CITE,
    walk: Walk::ByMask,
    munlock_page: munlock_vma_page,
    ..v3_7::KERNEL
};

/// The thread's claim that visiting a huge page once cures the double count, put to the test with the
/// split that would double count.
pub(super) const NO_FLAG_COPY: Kernel = Kernel {
    name: "claim-accelerated-mlock",
    about: "v3.9 with a split that leaves PG_mlocked off the tails",
    base: Some("claim-no-flag-copy"),
    source: "mail of 8 Feb 2013, Andrea Arcangeli, on the mlock side",
    tail_flags: TailFlags::LoseMlocked,
    ..KERNEL
};

/// `munlock_vma_page()`: test-and-clear first, size afterwards, and the size less one as the mask;
/// the mask is 0 if the page was not marked, whatever its size.
///
/// Held on entry: `mmap_sem` for writing, and the lock of this very page struct.
pub(super) fn munlock_vma_page(k: &mut Asm<'_>, kernel: &Kernel, page: Reg, mask: Reg) {
    k.function("munlock_vma_page", CITE, |k| {
        k.set(mask, 0);
        k.bug_on(page_locked(page), |locked| locked.is(0));
        k.if_(test_clear(Flag::Mlocked, page), |k| {
            let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(page.into()));
            k.emit(Op::ModNrMlock(-nr_pages));
            k.set(mask, nr_pages - 1);
            v3_7::isolate_and_putback(k, kernel, page);
        });
    });
}
