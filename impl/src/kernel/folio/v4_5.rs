//! v4.5 to v5.14: the refcounting rework, and what was put right after it.

use super::asked::{Asked, Migrated, Others, SplitPmd, Under, Unmarked};
use super::{Era, Lockers, kernel_of, v5_18};
use crate::kernel::pagevec::Uncounted;
use crate::kernel::{Kernel, v3_14};

const ASKED: Asked = Asked {
    under: Under::LruLock,
    unmarked: Unmarked::Size,
    others: Others::Forgotten,
    split: SplitPmd::Clears,
    uncounted: Uncounted::All,
    migrated: Migrated::Split,
};

const fn era(asked: Asked) -> Era {
    Era {
        lockers: Lockers::Asked(asked),
        rmap: "4.19 mm/rmap.c",
        ..v5_18::ERA
    }
}

macro_rules! kernel {
    ($(#[$doc:meta])* $name:ident = $title:literal, like $from:expr;
     $about:literal, $source:literal, $base:expr, $asked:expr) => {
        $(#[$doc])*
        pub(crate) const $name: Kernel = kernel_of(
            $from,
            |k, _, call| super::call(k, &era($asked), call),
            [$title, $about, $source],
            $base,
        );
    };
}

const V4_10_ASKED: Asked = Asked {
    unmarked: Unmarked::OneButTails,
    ..ASKED
};
const V4_11_ASKED: Asked = Asked {
    unmarked: Unmarked::One,
    ..ASKED
};
const V4_12_ASKED: Asked = Asked {
    uncounted: Uncounted::Unmarked,
    ..V4_11_ASKED
};
const V5_11_ASKED: Asked = Asked {
    under: Under::PageLock,
    migrated: Migrated::Whole,
    ..V4_12_ASKED
};

kernel!(
    /// v4.5.
    V4_5 = "v4.5", like v3_14::KERNEL;
        "a THP is marked only while huge entries alone map it; a split needs the page lock",
    "e90309c9f772 (v4.5), read in 4.19", None, ASKED
);
kernel!(
    /// v4.5 as it was first thought of.
    KEEPS_MARK = "v4.5-keeps-mark", like v3_14::KERNEL;
        "v4.5 whose split of a huge entry leaves the mark on the page",
    "e90309c9f772 (v4.5), which says why not", Some("v4.5"),
    Asked { split: SplitPmd::Keeps, unmarked: Unmarked::One, ..ASKED }
);
/// v4.8.
pub(crate) const V4_8: Kernel = Kernel {
    huge_files: true,
    ..kernel_of(
        V4_5,
        |k, _, call| super::call(k, &era(ASKED), call),
        [
            "v4.8",
            "v4.5 with huge pages of files, of which one that a pte has mapped is never marked again",
            "9a73f61bdb8a (v4.8), read in 4.19",
        ],
        Some("v4.5"),
    )
};
kernel!(
    /// v4.10.
    V4_10 = "v4.10", like V4_8;
        "munlock goes on by one page behind a page that was not marked",
    "655548bf6271 (v4.10)", Some("v4.8"), V4_10_ASKED
);
kernel!(
    /// v4.11.
    V4_11 = "v4.11", like V4_8;
        "and by one page behind a tail as well",
    "thp: fix another corner case of munlock() vs. THPs (v4.11)", Some("v4.10"), V4_11_ASKED
);
kernel!(
    /// v4.12.
    V4_12 = "v4.12", like V4_8;
        "small pages that were cleared and could not be isolated are counted off",
    "70feee0e1ef3 (v4.12) mm/mlock.c", Some("v4.11"), V4_12_ASKED
);
kernel!(
    /// v5.11.
    V5_11 = "v5.11", like V4_8;
        "munlock relies on the page lock, which a split needs too, and not on lru_lock",
    "3db19aa39bac (v5.11)", Some("v4.12"), V5_11_ASKED
);
kernel!(
    /// v5.14 in the making.
    V5_14_RC = "v5.14-rc", like V4_8;
        "the walk that asks for other lockers leaves at a huge page, the PT lock held",
    "023e1a8dd502 (v5.14), which put it right", Some("v5.11"),
    Asked { others: Others::EarlyReturn, ..V5_11_ASKED }
);
kernel!(
    /// v5.14.
    V5_14 = "v5.14", like V4_8;
        "munlock of a huge page asks for other lockers and marks it again for them",
    "d9770fcc1c0c, 023e1a8dd502 (v5.14)", Some("v5.11"),
    Asked { others: Others::Marked, ..V5_11_ASKED }
);
