//! `mlock_folio()`, `munlock_folio()` and the batches they report to.
//!
//! A batch is seen to when it is full, when the folio is large, or when its CPU drains it.
//! Until then each page in it has a reference, so its folio cannot be split: that, and no lock, is
//! what makes a size read early a size that still holds.
//!
//! Source: 6.1 and 6.12 mm/mlock.c.

use super::{Era, Lockers, Munlock, list};
use crate::kernel::lru;
use crate::machine::{
    Asm, Batched, Class, Expr, Flag, FolioOp, Op, Reg, RegKind, Source, read, test_clear, test_set,
};

const CITE: &str = "6.1, 6.12 mm/mlock.c";

/// `mlock_folio()`: marks and counts at once, and reports a locker more.
///
/// Held on entry: the PT lock of a mapping.
pub(super) fn mlock_folio(k: &mut Asm<'_>, era: &Era, folio: Reg) {
    k.function("mlock_folio", CITE, |k| {
        k.if_else(
            test_set(Flag::Mlocked, folio),
            |_| {},
            |k| {
                let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(folio.into()));
                k.emit(Op::ModNrMlock(nr_pages.into()));
            },
        );
        report(k, era, folio, Batched::Mlock);
    });
}

/// `munlock_folio()`: reports a locker less; mark and statistic wait for the batch.
pub(super) fn munlock_folio(k: &mut Asm<'_>, era: &Era, folio: Reg) {
    k.function("munlock_folio", CITE, |k| {
        report(k, era, folio, Batched::Munlock);
    });
}

/// Adds to the batch, and sees to it if it must be.
pub(super) fn report(k: &mut Asm<'_>, era: &Era, folio: Reg, what: Batched) {
    let now = k.local("now", RegKind::Flag);
    k.emit(Op::Folio(FolioOp::BatchAdd(folio.into(), what, now)));
    k.if_(now, |k| mlock_folio_batch(k, era));
}

/// `mlock_drain_local()`.
pub(super) fn drain_local(k: &mut Asm<'_>, era: &Era) {
    if era.lockers != Lockers::Counted {
        return;
    }
    k.function("mlock_drain_local", CITE, |k| {
        k.if_(Expr::BatchLen, |k| mlock_folio_batch(k, era));
    });
}

/// `mlock_folio_batch()`: sees to every entry under one hold of `lru_lock`, then drops the
/// references.
fn mlock_folio_batch(k: &mut Asm<'_>, era: &Era) {
    k.function("mlock_folio_batch", CITE, |k| {
        let i = k.local("i", RegKind::Count);
        let folio = k.local("folio", RegKind::Page);
        let locked = k.local("locked", RegKind::Flag);
        k.set(i, 0);
        k.set(locked, 0);
        k.while_(i.get().less_than(Expr::BatchLen), |k| {
            k.set(folio, Expr::BatchPage(Box::new(i.get())));
            let kind = || Expr::BatchKind(Box::new(i.get()));
            k.if_(kind().is(Batched::Mlock), |k| count_mlock(k, folio, locked));
            k.if_(kind().is(Batched::Munlock), |k| match era.munlock {
                Munlock::CountsFirst => count_munlock(k, folio, locked),
                Munlock::ClearsFirst => clear_and_count_munlock(k, folio, locked),
            });
            // New pages come from spare frames.
            if k.world().has_spares() {
                k.if_(kind().is(Batched::New), |k| count_new(k, folio, locked));
            }
            k.set(i, i + 1);
        });
        k.if_(locked, |k| k.unlock(Class::Lru, 0));
        k.while_(Expr::BatchLen, |k| {
            k.set(folio, Expr::BatchPage(Box::new(0.into())));
            let last = k.local("last", RegKind::Flag);
            k.emit(Op::Folio(FolioOp::BatchPut(last)));
            k.if_(last, |k| list::release(k, era, folio));
        });
    });
}

fn marked(folio: Reg) -> crate::machine::Cond {
    read(Source::Flag(Flag::Mlocked, folio.into()))
}

fn unevictable(folio: Reg) -> crate::machine::Cond {
    read(Source::Flag(Flag::Unevictable, folio.into()))
}

/// `__mlock_folio()`: a locker more. Off its list a folio's lockers cannot be counted.
fn count_mlock(k: &mut Asm<'_>, folio: Reg, locked: Reg) {
    k.function("__mlock_folio", CITE, |k| {
        k.if_(test_clear(Flag::Lru, folio), |k| {
            lru::relock(k, locked);
            k.if_else(
                marked(folio),
                |k| {
                    k.if_else(
                        unevictable(folio),
                        |k| {
                            let count = list::count(k, folio);
                            list::set_count(k, folio, count + 1);
                        },
                        |k| {
                            k.emit(Op::SetFlag(Flag::Unevictable, folio.into()));
                            list::set_count(k, folio, 1);
                        },
                    );
                },
                // Somebody else has cleared the mark already.
                |k| list::clear_unevictable(k, folio),
            );
            k.emit(Op::SetFlag(Flag::Lru, folio.into()));
        });
    });
}

/// `__mlock_new_folio()`: nobody has put the page on a list yet.
fn count_new(k: &mut Asm<'_>, folio: Reg, locked: Reg) {
    k.function("__mlock_new_folio", CITE, |k| {
        lru::relock(k, locked);
        k.if_(marked(folio), |k| {
            k.emit(Op::SetFlag(Flag::Unevictable, folio.into()));
            list::set_count(k, folio, 1);
        });
        k.emit(Op::SetFlag(Flag::Lru, folio.into()));
    });
}

/// `__munlock_folio()`: a locker less, and the mark goes with the last one. Off its list a folio's
/// lockers are not known, and this one is taken for the last.
fn count_munlock(k: &mut Asm<'_>, folio: Reg, locked: Reg) {
    k.function("__munlock_folio", CITE, |k| {
        let isolated = k.local("isolated", RegKind::Flag);
        let left = k.local("left", RegKind::Small);
        k.set(isolated, 0);
        k.set(left, 0);
        k.if_(test_clear(Flag::Lru, folio), |k| {
            k.set(isolated, 1);
            lru::relock(k, locked);
            count_down(k, folio, left);
        });
        k.if_(left.is(0), |k| {
            list::count_off(k, folio);
            k.if_(isolated, |k| rescue(k, folio));
        });
        k.if_(isolated, |k| k.emit(Op::SetFlag(Flag::Lru, folio.into())));
    });
}

/// Counts a locker less, if lockers are counted; leaves in the variable how many there still are.
fn count_down(k: &mut Asm<'_>, folio: Reg, left: Reg) {
    k.if_(unevictable(folio), |k| {
        let count = list::count(k, folio);
        k.if_(count, |k| {
            k.set(left, count - 1);
            list::set_count(k, folio, left);
        });
    });
}

/// Takes a folio that nobody marks off the unevictable list.
fn rescue(k: &mut Asm<'_>, folio: Reg) {
    k.if_else(marked(folio), |_| {}, |k| list::clear_unevictable(k, folio));
}

/// `__munlock_folio()` as proposed in 2023: the mark goes first, so that whoever puts the folio back
/// on a list sees it without; it is set again if lockers are left, and counted off otherwise.
/// Source: mails of Dec 2022 and Jan 2023, "mm: fix unevictable page stranded", in the words of those
/// who turned it down.
fn clear_and_count_munlock(k: &mut Asm<'_>, folio: Reg, locked: Reg) {
    k.function("__munlock_folio", CITE, |k| {
        let isolated = k.local("isolated", RegKind::Flag);
        let was = k.local("mlocked", RegKind::Flag);
        let left = k.local("left", RegKind::Small);
        k.set(isolated, 0);
        k.set(left, 0);
        let nr_pages = k.load("nr_pages", RegKind::Count, Source::NrPages(folio.into()));
        k.set(was, 0);
        k.if_(test_clear(Flag::Mlocked, folio), |k| k.set(was, 1));
        k.if_(test_clear(Flag::Lru, folio), |k| {
            k.set(isolated, 1);
            lru::relock(k, locked);
            count_down(k, folio, left);
        });
        k.if_else(
            left,
            |k| k.if_(was, |k| k.emit(Op::SetFlag(Flag::Mlocked, folio.into()))),
            |k| {
                k.if_(was, |k| k.emit(Op::ModNrMlock(-nr_pages)));
                k.if_(isolated, |k| rescue(k, folio));
            },
        );
        k.if_(isolated, |k| k.emit(Op::SetFlag(Flag::Lru, folio.into())));
    });
}
