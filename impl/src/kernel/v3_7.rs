//! v3.7 and v3.8: every address is visited, whatever the size of the page behind it.
//!
//! The sides differ in what holds off a split.
//! mlock marks and counts under the PT lock of an entry that is huge and not splitting, and a split
//! must mark that very entry before it touches a flag: mlock is safe.
//! munlock has dropped the PT lock by the time it clears and counts, and holds `mmap_sem` and the
//! lock of one page struct: neither means anything to a split.
//!
//! # What this does not model
//!
//! v3.7 has no huge zero page (v3.8 does); a scenario with one stands for v3.8.

use super::{
    CopyOnWrite, Counted, FreeMlocked, HugeMlock, Kernel, LastUnmap, LazyMlock, Nonlinear, Restore,
    TailFlags, Walk, lru, rmap, walk,
};
use crate::machine::{Asm, Flag, Op, Reg, RegKind, Source, page_locked, test_clear, test_set};

const CITE: &str = "8449d21fb49e (v3.7) mm/mlock.c";

/// v3.7.
pub(super) const KERNEL: Kernel = Kernel {
    name: "v3.7",
    about: "every address visited; munlock reads the size after it clears the flag",
    base: None,
    source: "8449d21fb49e, b676b293fb48 (v3.7)",
    calls: super::calls::call,
    migration: super::Migration::Moves,
    large_folios: super::LargeFolios::HugePages,
    huge_files: false,
    walk: Walk::EveryPage,
    tail_flags: TailFlags::CopyMlocked,
    munlock_at: walk::munlock_found_page,
    munlock_page: munlock_vma_page,
    mark_counts: Counted::BasePages,
    clear_counts: Counted::BasePages,
    huge_mlock: HugeMlock::Marks,
    last_unmap: LastUnmap::ClearsMark,
    free_mlocked: FreeMlocked::BadPage,
    lazy_mlock: LazyMlock::UnderMmapSem,
    nonlinear: Nonlinear::AnyPage,
    restore: Restore::LeavesMark,
    copy_on_write: CopyOnWrite::MunlocksAfter,
};

/// What the first version of `clear_page_mlock()` in the reverse map got wrong; folded into
/// e6c509f85455 before it was merged.
pub(super) const RC: Kernel = Kernel {
    name: "v3.7-rc",
    about: "v3.7 whose last unmap takes one page off for a whole THP",
    base: Some("v3.7"),
    source: "mail of 3 Oct 2012, David Rientjes: mm, thp: fix mlock statistics fix",
    clear_counts: Counted::One,
    ..KERNEL
};

/// The thread's claim about mlock needs a split that does not copy the flag; no kernel had one.
pub(super) const NO_FLAG_COPY: Kernel = Kernel {
    name: "claim-no-flag-copy",
    about: "v3.7 with a split that leaves PG_mlocked off the tails",
    base: Some("v3.7"),
    source: "mail of 8 Feb 2013, Andrea Arcangeli, on the mlock side",
    tail_flags: TailFlags::LoseMlocked,
    ..KERNEL
};

/// `mlock_vma_page()`: marks a page and counts its base pages.
///
/// Held on entry: the page lock, and the PT lock of the entry that maps the page; when it is called
/// for a small page that `try_to_munlock()` found, `mmap_sem` for reading instead of the PT lock.
pub(super) fn mlock_vma_page(k: &mut Asm<'_>, kernel: &Kernel, page: Reg) {
    k.function("mlock_vma_page", CITE, |k| {
        k.bug_on(page_locked(page), |locked| locked.is(0));
        k.if_else(
            test_set(Flag::Mlocked, page),
            |_| {},
            |k| {
                let nr_pages = kernel.mark_counts.nr_pages(k, page);
                k.emit(Op::ModNrMlock(nr_pages));
                lru::move_lists(k, page);
            },
        );
    });
}

/// `munlock_vma_page()`: clears a page's mark and takes its base pages off the statistic, test and
/// clear first, size afterwards; nothing holds off a split in between.
///
/// Held on entry: `mmap_sem` for writing, and the lock of this very page struct, which may be a
/// tail. It has no mask to return.
pub(super) fn munlock_vma_page(k: &mut Asm<'_>, kernel: &Kernel, page: Reg, _mask: Reg) {
    k.function("munlock_vma_page", CITE, |k| {
        k.bug_on(page_locked(page), |locked| locked.is(0));
        k.if_(test_clear(Flag::Mlocked, page), |k| {
            let nr_pages = kernel.mark_counts.nr_pages(k, page);
            k.emit(Op::ModNrMlock(-nr_pages));
            isolate_and_putback(k, kernel, page);
        });
    });
}

/// The rest of `munlock_vma_page()`, once the page is counted off: if others map the page too, ask
/// them; then put it on the list where it belongs.
pub(super) fn isolate_and_putback(k: &mut Asm<'_>, kernel: &Kernel, page: Reg) {
    let isolated = lru::isolate_lru_page(k, page);
    k.if_(isolated, |k| munlock_isolated_page(k, kernel, page));
}

/// What follows a successful isolation.
pub(super) fn munlock_isolated_page(k: &mut Asm<'_>, kernel: &Kernel, page: Reg) {
    let mapcount = k.load("mapcount", RegKind::Count, Source::Mapcount(page.into()));
    k.if_(mapcount.get().less_than(2).is_zero(), |k| {
        rmap::try_to_munlock(k, kernel, page)
    });
    lru::putback_lru_page(k, page);
}
