//! v5.18: the rework that counts lockers.

use super::{
    Added, ByPtes, Entry, Era, Freed, Frozen, Guard, Lockers, Marker, Missed, Munlock, Restored,
    Zap, kernel_of,
};
use crate::kernel::{Kernel, LargeFolios, v3_14};

pub(super) const ERA: Era = Era {
    lockers: Lockers::Counted,
    rmap: "cea86fe246b6 (v5.18), read in 6.1",
    by_ptes: ByPtes::Ignored,
    added: Added::PmdOrSmall,
    missed: Missed::Never,
    munlock: Munlock::CountsFirst,
    marker: Marker::Set,
    entry: Entry::Skip,
    guard: Guard::MmapLock,
    frozen: Frozen::Kept,
    restored: Restored::Nothing,
    freed: Freed::Released,
    zap: Zap::PteByPte,
};

/// v5.18.
pub(crate) const KERNEL: Kernel = Kernel {
    large_folios: LargeFolios::Smaller,
    huge_files: true,
    ..kernel_of(
        v3_14::KERNEL,
        |k, _, call| super::call(k, &ERA, call),
        [
            "v5.18",
            "lockers are counted; mlock, munlock and the reverse map report to per-CPU batches",
            "cea86fe246b6, b109b87050df, 07ca76067308, 34b6792380ce, 2fbb0c10d1e8 (v5.18)",
        ],
        None,
    )
};

/// v5.18 without the marker that keeps the reverse map out while mlock walks.
pub(crate) const NO_MARKER: Kernel = kernel_of(
    KERNEL,
    |k, _, call| {
        let era = Era {
            marker: Marker::None,
            ..ERA
        };
        super::call(k, &era, call)
    },
    [
        "v5.18-no-marker",
        "v5.18 whose mlock does not set VM_IO while it walks",
        "34b6792380ce (v5.18), the comment on VM_IO",
    ],
    Some("v5.18"),
);

/// The proposal of 2023 for the folio that is stranded on the unevictable list.
pub(crate) const CLEARS_FIRST: Kernel = kernel_of(
    KERNEL,
    |k, _, call| {
        let era = Era {
            munlock: Munlock::ClearsFirst,
            ..ERA
        };
        super::call(k, &era, call)
    },
    [
        "v5.18-clears-first",
        "v5.18 whose munlock clears the mark first and sets it again if lockers are left",
        "proposal of 2023, turned down",
    ],
    Some("v5.18"),
);
