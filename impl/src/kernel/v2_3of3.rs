//! Patch v2 3/3 of the thread, as mailed on 3 Feb 2013: "accelerate munlock() treatment of THP pages".
//!
//! As `v3.9`, which is what was merged, with two differences: the size is read before the flag is
//! cleared, and the count itself is returned where the caller expects count − 1.

use super::{Kernel, v3_9};
use crate::machine::{Asm, Flag, Op, Reg, RegKind, Source, page_locked, test_clear};

const CITE: &str = "[PATCH v2 3/3] mm: accelerate munlock() treatment of THP pages, 3 Feb 2013";

/// The patch as mailed.
pub(super) const KERNEL: Kernel = Kernel {
    name: "v2-3of3",
    about: "the patch as mailed: size before test-and-clear, a count where a mask belongs",
    base: Some("v3.9"),
    source: CITE,
    munlock_page: munlock_vma_page,
    ..v3_9::KERNEL
};

/// `munlock_vma_page()` as mailed. Held on entry: as in v3.7.
fn munlock_vma_page(k: &mut Asm<'_>, kernel: &Kernel, page: Reg, mask: Reg) {
    k.function("munlock_vma_page", CITE, |k| {
        let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(page.into()));
        k.bug_on(page_locked(page), |locked| locked.is(0));
        k.if_(test_clear(Flag::Mlocked, page), |k| {
            k.emit(Op::ModNrMlock(-nr_pages));
            super::v3_7::isolate_and_putback(k, kernel, page);
        });
        k.set(mask, nr_pages);
    });
}
