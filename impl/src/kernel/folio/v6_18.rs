//! v6.18: a new mapping of all of a large folio marks it, and reclaim marks under the PT lock.

use super::{Added, Era, Freed, Missed, Zap, kernel_of, v6_7};
use crate::kernel::{Kernel, LargeFolios};

pub(super) const ERA: Era = Era {
    rmap: "mm/rmap: improve mlock tracking (v6.18)",
    added: Added::WholeFolio,
    missed: Missed::UnderPtLock,
    freed: Freed::Any,
    zap: Zap::FolioByFolio,
    ..v6_7::ERA
};

/// v6.18.
pub(crate) const KERNEL: Kernel = Kernel {
    large_folios: LargeFolios::SplitInto,
    ..kernel_of(
        v6_7::KERNEL,
        |k, _, call| super::call(k, &ERA, call),
        [
            "v6.18",
            "a new mapping of a whole folio marks it; reclaim marks under the PT lock",
            "mm/rmap: improve mlock tracking for large folios (v6.18)",
        ],
        Some("v6.7"),
    )
};
