//! v4.4: three repairs of the reverse map, and one new mistake.
//!
//! Reclaim and `try_to_munlock()` mark under the PT lock, a page that has migrated is marked again,
//! and nonlinear mappings are gone.
//! But the statistic now takes a `long`, and `munlock_vma_page()` still negates an `unsigned int`.

use super::pagevec::{Batching, Uncounted};
use super::{Kernel, LazyMlock, Restore, v3_12, v3_14};
use crate::machine::{Area, Asm, Expr, Reg};

/// v4.4.
pub(super) const KERNEL: Kernel = Kernel {
    name: "v4.4",
    about: "marks under the PT lock, also after migration; negates an unsigned size",
    base: Some("v3.15"),
    source: "b87537d9e2fe, 51afb12ba809, 6cdb18ad98a4 (v4.4)",
    munlock_page: munlock_vma_page,
    lazy_mlock: LazyMlock::UnderPtLock,
    restore: Restore::Mlocks,
    ..v3_14::V3_15
};

/// The size as an `int`, as v4.5 has it.
pub(super) const FIX_INT: Kernel = Kernel {
    name: "v4.4-fix-int",
    about: "v4.4 that negates a signed size",
    base: Some("v4.4"),
    source: "7162a1e87b3e (v4.5) mm/mlock.c",
    munlock_page: v3_14::munlock_vma_page,
    ..KERNEL
};

/// With the count of the page vectors put right as well, as v4.12 has it.
pub(super) const FIX_COUNT: Kernel = Kernel {
    name: "v4.4-fix-count",
    about: "v4.4-fix-int that counts pages which it cleared and could not isolate",
    base: Some("v4.4-fix-int"),
    source: "70feee0e1ef3 (v4.12) mm/mlock.c, as in the stable releases of 4.4",
    munlock_at: munlock_at_counted,
    ..FIX_INT
};

/// `munlock_vma_page()`: as in v3.14, but what is added is an `unsigned int` widened to `long`.
fn munlock_vma_page(k: &mut Asm<'_>, kernel: &Kernel, page: Reg, mask: Reg) {
    v3_14::munlock_under_lru_lock(k, kernel, page, mask, |nr_pages| {
        Expr::Unsigned32(Box::new(-nr_pages))
    });
}

fn munlock_at_counted(k: &mut Asm<'_>, kernel: &Kernel, area: &Area, addr: Reg, mask: Reg) {
    let how = Batching {
        uncounted: Uncounted::Unmarked,
        ..v3_12::PUT_LATER
    };
    v3_12::munlock_in_batches(k, kernel, area, (addr, mask), how);
}
