//! v3.12 and v3.13: small pages are munlocked in batches.
//!
//! v3.12 has two mistakes that v3.13 cures: a huge page that is not marked gives mask 0, so that the
//! next address leads to a tail, which `PageTransHuge()` must not be asked about; and references are
//! dropped under `lru_lock`, which freeing a page needs.

use super::pagevec::{self, Batching, Locked, PutAside, Stops, Uncounted, Ways};
use super::{Kernel, page, v3_7, v3_9, walk};
use crate::machine::{
    Area, Asm, Class, Flag, Mode, Op, Reg, RegKind, Source, page_locked, read, test_clear,
};

/// v3.12.
pub(super) const KERNEL: Kernel = Kernel {
    name: "v3.12",
    about: "munlock takes small pages in batches, under lru_lock",
    base: Some("v3.9"),
    source: "7225522bb429, 1ebb7cc6a583, 7a8010cd3627 (v3.12) mm/mlock.c",
    munlock_at,
    ..v3_9::KERNEL
};

/// v3.13.
pub(super) const V3_13: Kernel = Kernel {
    name: "v3.13",
    about: "v3.12 that skips unmarked huge pages whole and drops references without lru_lock",
    base: Some("v3.12"),
    source: "c424be1cbbf8, 3b25df93c6e3 (v3.13) mm/mlock.c",
    munlock_at: munlock_at_put_later,
    munlock_page: munlock_vma_page,
    ..KERNEL
};

const BATCHING: Batching = Batching {
    put: PutAside::UnderLruLock,
    uncounted: Uncounted::All,
    locked: Locked::First,
    stops: Stops::Nowhere,
};
/// v3.13's.
pub(super) const PUT_LATER: Batching = Batching {
    put: PutAside::Later,
    ..BATCHING
};

fn munlock_at(k: &mut Asm<'_>, kernel: &Kernel, area: &Area, addr: Reg, mask: Reg) {
    munlock_in_batches(k, kernel, area, (addr, mask), BATCHING);
}

fn munlock_at_put_later(k: &mut Asm<'_>, kernel: &Kernel, area: &Area, addr: Reg, mask: Reg) {
    munlock_in_batches(k, kernel, area, (addr, mask), PUT_LATER);
}

/// Munlocks what an address maps: a huge page as ever, a small page with those that follow it.
pub(super) fn munlock_in_batches(
    k: &mut Asm<'_>,
    kernel: &Kernel,
    area: &Area,
    (addr, mask): (Reg, Reg),
    how: Batching,
) {
    let (got, page) = walk::follow_page_get(k, area.mm, addr, mask);
    k.if_(got, |k| {
        k.if_else(
            read(Source::PageTransHuge(page.into())),
            |k| {
                k.lock(Class::PageLock, Mode::Exclusive, page);
                (kernel.munlock_page)(k, kernel, page, mask);
                k.unlock(Class::PageLock, page);
                page::put_page(k, kernel, page);
            },
            |k| {
                let ways = Ways {
                    put_page: &|k, page| page::put_page(k, kernel, page),
                    isolated: &|k, page| v3_7::munlock_isolated_page(k, kernel, page),
                };
                pagevec::munlock_from(k, area, (addr, page), how, ways);
                k.set(mask, 0);
            },
        );
    });
}

/// `munlock_vma_page()`: as in v3.9, but the mask is the size less one, marked or not.
///
/// Held on entry: as in v3.9.
fn munlock_vma_page(k: &mut Asm<'_>, kernel: &Kernel, page: Reg, mask: Reg) {
    k.function("munlock_vma_page", "c424be1cbbf8 (v3.13) mm/mlock.c", |k| {
        k.bug_on(page_locked(page), |locked| locked.is(0));
        k.if_else(
            test_clear(Flag::Mlocked, page),
            |k| {
                let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(page.into()));
                k.emit(Op::ModNrMlock(-nr_pages));
                k.set(mask, nr_pages - 1);
                v3_7::isolate_and_putback(k, kernel, page);
            },
            |k| {
                let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(page.into()));
                k.set(mask, nr_pages - 1);
            },
        );
    });
}
