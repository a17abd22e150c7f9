//! The lists of the page replacement since v5.18, the unevictable one among them.

use super::{Era, Lockers};
use crate::kernel::lru;
use crate::machine::{
    Asm, Class, Cond, Flag, FolioOp, FolioSource, Mode, Op, Reg, RegKind, Source, read, test_clear,
};

const CITE: &str = "6.1 mm/swap.c, mm/vmscan.c";

/// `folio_isolate_lru()`: leaves 1 in the returned variable if the folio was on a list and is off
/// it now. The link into another list overwrites `mlock_count`.
///
/// Held on entry: a reference. Source: 6.1 mm/vmscan.c.
pub(super) fn isolate(k: &mut Asm<'_>, era: &Era, folio: Reg) -> Reg {
    if era.lockers != Lockers::Counted {
        return lru::isolate_lru_page(k, folio);
    }
    let isolated = k.local("isolated", RegKind::Flag);
    k.function("folio_isolate_lru", CITE, |k| {
        k.set(isolated, 0);
        k.if_(test_clear(Flag::Lru, folio), |k| {
            k.lock(Class::Lru, Mode::Exclusive, 0);
            set_count(k, folio, 0);
            k.unlock(Class::Lru, 0);
            k.set(isolated, 1);
        });
    });
    isolated
}

/// `folio_putback_lru()`: back on a list, the unevictable one if the folio is marked, with nobody
/// counted as its locker: whether one of them has counted already is not known, and too few is
/// what reclaim can put right. Source: 6.1 mm/swap.c `lru_add_fn()`.
pub(super) fn putback(k: &mut Asm<'_>, era: &Era, folio: Reg) {
    if era.lockers != Lockers::Counted {
        return lru::putback_lru_page(k, folio);
    }
    k.function("lru_add_fn", CITE, |k| {
        k.lock(Class::Lru, Mode::Exclusive, 0);
        k.if_else(
            read(Source::Flag(Flag::Mlocked, folio.into())),
            |k| {
                k.emit(Op::SetFlag(Flag::Unevictable, folio.into()));
                set_count(k, folio, 0);
            },
            |k| clear_unevictable(k, folio),
        );
        k.emit(Op::SetFlag(Flag::Lru, folio.into()));
        k.unlock(Class::Lru, 0);
    });
}

/// `folio_clear_unevictable()`.
pub(super) fn clear_unevictable(k: &mut Asm<'_>, folio: Reg) {
    k.if_(test_clear(Flag::Unevictable, folio), |_| {});
}

/// Stores `mlock_count`.
pub(super) fn set_count(k: &mut Asm<'_>, folio: Reg, count: impl Into<crate::machine::Expr>) {
    k.emit(Op::Folio(FolioOp::SetMlockCount(
        folio.into(),
        count.into(),
    )));
}

/// Fetches `mlock_count`.
pub(super) fn count(k: &mut Asm<'_>, folio: Reg) -> Reg {
    let source = FolioSource::MlockCount(folio.into());
    k.load("mlock_count", RegKind::Small, Source::Folio(source))
}

/// `folio_put()` of a reference on a page of a folio; the last one frees the folio.
pub(super) fn put(k: &mut Asm<'_>, era: &Era, page: Reg) {
    k.function("folio_put", CITE, |k| {
        k.if_(Cond::PutPage(page.into()), |k| release(k, era, page));
    });
}

/// Frees the folio of a page whose last reference is gone, and takes a mark that is still there off
/// the statistic. Source: 6.1 mm/swap.c `__page_cache_release()`.
pub(super) fn release(k: &mut Asm<'_>, era: &Era, page: Reg) {
    k.function("__page_cache_release", CITE, |k| {
        let head = FolioSource::Head(page.into());
        let folio = k.load("folio", RegKind::Page, Source::Folio(head));
        k.if_(read(Source::Flag(Flag::Lru, folio.into())), |k| {
            k.lock(Class::Lru, Mode::Exclusive, 0);
            k.if_(test_clear(Flag::Lru, folio), |_| {});
            k.unlock(Class::Lru, 0);
        });
        if era.lockers == Lockers::Counted {
            count_off(k, folio);
        }
        k.emit(Op::Free(folio.into()));
    });
}

/// Clears a mark, if there is one, and takes it off the statistic.
pub(super) fn count_off(k: &mut Asm<'_>, folio: Reg) {
    let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(folio.into()));
    k.if_(test_clear(Flag::Mlocked, folio), |k| {
        k.emit(Op::ModNrMlock(-nr_pages));
    });
}
