//! 2.6.31 to v3.6: a mark counts for one page, whatever the page's size.
//!
//! With transparent huge pages, from 2.6.38 on, that is wrong as soon as one is marked: it counts 1,
//! and after a split its pages count 1 each.
//! `mlock()` itself never marks a huge page; a fault in a locked area and khugepaged do.
//! A page keeps its mark when it is unmapped, and loses it when it is freed.
//!
//! # What this does not model
//!
//! * 2.6.31 and 2.6.37 have no transparent huge pages: scenarios for them must have none either.
//! * `page->mapping`, which munlock asks for under the page lock, is set in one step with the flags of
//!   a former tail, where the kernel sets it a few stores later, still under `lru_lock`.
//! * `clear_page_mlock()` in `truncate_complete_page()`: what truncation does here is to unmap private
//!   copies.

use super::v3_7;
use super::{CopyOnWrite, Counted, FreeMlocked, HugeMlock, Kernel, LastUnmap, page, walk};
use crate::machine::{Area, Asm, Class, Mode, Reg, Source, read};

/// 2.6.38.
pub(super) const KERNEL: Kernel = Kernel {
    name: "v2.6.38",
    about: "a THP counts as one page; mlock() leaves it alone, munlock skips its tails",
    base: Some("v3.7"),
    source: "71e3aac0724f (2.6.38), read in 3.4.5",
    munlock_at,
    mark_counts: Counted::One,
    clear_counts: Counted::One,
    huge_mlock: HugeMlock::Ignores,
    last_unmap: LastUnmap::KeepsMark,
    free_mlocked: FreeMlocked::Uncounts,
    ..v3_7::KERNEL
};

/// 2.6.37, before huge pages, and before copy on write was put right.
pub(super) const V2_6_37: Kernel = Kernel {
    name: "v2.6.37",
    about: "v2.6.38 whose copy on write clears the old page's mark before the pte changes",
    base: Some("v2.6.38"),
    source: "mail of Feb 2011, Michel Lespinasse: mlock: fix race when munlocking pages in do_wp_page()",
    copy_on_write: CopyOnWrite::ClearsFirst,
    ..KERNEL
};

/// 2.6.31-rc: the check of a page that is freed comes before its mark is cleared.
pub(super) const V2_6_31_RC: Kernel = Kernel {
    name: "v2.6.31-rc",
    about: "v2.6.37 that finds a page being freed bad before it clears its mark",
    base: Some("v2.6.37"),
    source: "da456f14d2f2 (2.6.31-rc) mm/page_alloc.c free_hot_cold_page()",
    free_mlocked: FreeMlocked::BadPage,
    ..V2_6_37
};

/// Munlocks what an address maps: a page without a mapping, as a tail is, is left alone.
fn munlock_at(k: &mut Asm<'_>, kernel: &Kernel, area: &Area, addr: Reg, mask: Reg) {
    let (got, page) = walk::follow_page_get(k, area.mm, addr, mask);
    k.if_(got, |k| {
        k.lock(Class::PageLock, Mode::Exclusive, page);
        k.if_(read(Source::HasMapping(page.into())), |k| {
            (kernel.munlock_page)(k, kernel, page, mask);
        });
        k.unlock(Class::PageLock, page);
        page::put_page(k, kernel, page);
    });
}
