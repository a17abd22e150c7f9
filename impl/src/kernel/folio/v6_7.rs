//! v6.7: the walks see large folios that are mapped by ptes.

use super::{Added, ByPtes, Era, Missed, kernel_of, v5_18};
use crate::kernel::Kernel;

pub(super) const ERA: Era = Era {
    rmap: "1acbc3f93614 (v6.7), read in 6.12",
    by_ptes: ByPtes::AsAWhole,
    added: Added::Small,
    missed: Missed::AfterTheWalk,
    ..v5_18::ERA
};

/// v6.7.
pub(crate) const KERNEL: Kernel = kernel_of(
    v5_18::KERNEL,
    |k, _, call| super::call(k, &ERA, call),
    [
        "v6.7",
        "walks and reclaim mark a large folio that ptes map as a whole; new mappings do not",
        "28e566572aac, 1acbc3f93614, dc68badcede4 (v6.7)",
    ],
    Some("v5.18"),
);
