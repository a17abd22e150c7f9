//! Candidate fixes for the race of mlock and munlock with a split, on top of v6.18, each with what its
//! careless form gets wrong.

use super::{Entry, Era, Frozen, Guard, Restored, kernel_of, v6_18};
use crate::kernel::Kernel;

macro_rules! fix {
    ($(#[$doc:meta])* $name:ident = $title:literal: $about:literal, $base:literal, $($field:ident: $value:expr),+) => {
        $(#[$doc])*
        pub(crate) const $name: Kernel = kernel_of(
            v6_18::KERNEL,
            |k, _, call| {
                let era = Era { $($field: $value,)+ ..v6_18::ERA };
                super::call(k, &era, call)
            },
            [$title, $about, "candidate fix, on top of v6.18"],
            Some($base),
        );
    };
}

fix!(
    /// The walk waits for migration entries, as a page fault does.
    WALK_WAITS = "fix-walk-waits":
        "the walk drops the PT lock at a migration entry, waits for it, and looks again",
    "v6.18", entry: Entry::Wait
);
fix!(
    /// The same without dropping the PT lock.
    WALK_WAITS_LOCKED = "fix-walk-waits-locked":
        "fix-walk-waits that waits with the PT lock held",
    "fix-walk-waits", entry: Entry::WaitUnderPtLock
);
fix!(
    /// The walk treats the folio behind a migration entry as if it were mapped.
    WALK_TREATS = "fix-walk-treats-entry":
        "the walk looks up the folio behind a migration entry and treats it as mapped",
    "v6.18", entry: Entry::Treat
);
fix!(
    /// The walk is done a second time once the marker is gone.
    REWALK = "fix-rewalk":
        "a second walk after the marker is dropped",
    "v6.18", entry: Entry::WalkTwice
);
fix!(
    /// The flags change and the walk goes under the lock that a split holds throughout.
    RMAP_LOCK = "fix-rmap-lock":
        "flags and walk under the anon_vma lock, which a split holds throughout",
    "v6.18", guard: Guard::AnonVma
);
fix!(
    /// That lock for reading, which is enough against a split.
    RMAP_LOCK_SHARED = "fix-rmap-lock-shared":
        "fix-rmap-lock that takes the anon_vma lock for reading",
    "fix-rmap-lock", guard: Guard::AnonVmaShared
);
fix!(
    /// The flags of an address change when the walk gets there.
    CURSOR = "fix-cursor":
        "the flags of an address change when the walk gets there, under its PT lock",
    "v6.18", guard: Guard::Cursor
);
fix!(
    /// That lock around the walk alone.
    RMAP_LOCK_LATE = "fix-rmap-lock-late":
        "fix-rmap-lock that takes the anon_vma lock after the flags have changed",
    "fix-rmap-lock", guard: Guard::AnonVmaLate
);
fix!(
    /// The split clears the mark of a folio that nobody maps any more, for the restore to set again.
    SPLIT_CLEARS = "fix-split-clears":
        "a split clears the mark of a folio it has frozen; the restore marks for who locks",
    "v6.18", frozen: Frozen::Cleared
);
fix!(
    /// The restore takes a locker off for every mapping in an area that is not locked.
    RESTORE_MUNLOCKS = "fix-restore-munlocks":
        "the restore of a mapping reports a locker less if its area is not VM_LOCKED",
    "v6.18", restored: Restored::Munlocks
);
fix!(
    /// The restore clears a mark that nobody counts for.
    RESTORE_CLEARS = "fix-restore-clears":
        "the restore clears the mark of a page whose lockers count to 0",
    "v6.18", restored: Restored::ClearsUncounted
);
fix!(
    /// The same without taking the folio off the unevictable list.
    SPLIT_CLEARS_IN_PLACE = "fix-split-clears-in-place":
        "fix-split-clears that leaves the pages on the unevictable list",
    "fix-split-clears", frozen: Frozen::ClearedInPlace
);
fix!(
    /// Clearing for munlock and a second walk for mlock.
    CLEARS_AND_REWALKS = "fix-clears-and-rewalks":
        "fix-split-clears and fix-rewalk together",
    "fix-split-clears", frozen: Frozen::Cleared, entry: Entry::WalkTwice
);
