//! The lists of the page replacement: taking a page off, putting it back.
//!
//! # What this does not model
//!
//! Which list a page is on, and the reference that an isolated page carries.
//! A scenario can start with pages in a CPU's vector on the way to the lists, but a page that is put
//! back here is on its list at once.

use super::pagevec::OnPage;
use super::{Kernel, page};
use crate::machine::{
    Asm, Batch, Class, Cond, Expr, Flag, Mode, Op, Pagevec, Reg, RegKind, Source, read, test_clear,
};

const DRAIN: &str = "v3.7 mm/swap.c lru_add_drain(), __pagevec_lru_add()";

/// `isolate_lru_page()` (v3.7 mm/vmscan.c): looks without the lock first, then with it.
///
/// Leaves 1 in the returned variable if the page was on a list and is off it now.
/// Held on entry: a reference on the page.
pub(super) fn isolate_lru_page(k: &mut Asm<'_>, page: Reg) -> Reg {
    let isolated = k.local("isolated", RegKind::Flag);
    k.function("isolate_lru_page", "v3.7 mm/vmscan.c", |k| {
        k.set(isolated, 0);
        k.if_(read(Source::Flag(Flag::Lru, page.into())), |k| {
            k.lock(Class::Lru, Mode::Exclusive, 0);
            k.if_(test_clear(Flag::Lru, page), |k| k.set(isolated, 1));
            k.unlock(Class::Lru, 0);
        });
    });
    isolated
}

/// `putback_lru_page()` (v3.7 mm/vmscan.c): back on a list, chosen by `PG_mlocked`.
pub(super) fn putback_lru_page(k: &mut Asm<'_>, page: Reg) {
    k.function("putback_lru_page", "v3.7 mm/vmscan.c", |k| {
        k.lock(Class::Lru, Mode::Exclusive, 0);
        k.emit(Op::SetFlag(Flag::Lru, page.into()));
        k.unlock(Class::Lru, 0);
    });
}

/// Isolates the page and puts it back, so that it changes lists.
pub(super) fn move_lists(k: &mut Asm<'_>, page: Reg) {
    let isolated = isolate_lru_page(k, page);
    k.if_(isolated, |k| putback_lru_page(k, page));
}

/// Takes a page off its list; the caller holds `lru_lock`.
pub(super) fn clear(k: &mut Asm<'_>, page: Expr) {
    k.if_(Cond::TestClear(Flag::Lru, page), |_| {});
}

/// `lru_add_drain()`: what this CPU has on the way to the lists goes there.
pub(super) fn drain_own(k: &mut Asm<'_>, kernel: &Kernel) {
    if k.world().lru_add_cpus > 0 {
        drain(k, kernel, Pagevec::Own(Batch::LruAdd));
    }
}

/// `lru_add_drain_all()`: as on every CPU. The workers that really do it are the caller here.
pub(super) fn drain_all(k: &mut Asm<'_>, kernel: &Kernel) {
    for cpu in 0..k.world().lru_add_cpus {
        drain(k, kernel, Pagevec::Of(cpu, Batch::LruAdd));
    }
}

fn drain(k: &mut Asm<'_>, kernel: &Kernel, vec: Pagevec) {
    k.function("lru_add_drain", DRAIN, |k| {
        let done = Pagevec::Own(Batch::Putback);
        k.lock(Class::Lru, Mode::Exclusive, 0);
        for_each(k, vec, |k, page| {
            k.emit(Op::SetFlag(Flag::Lru, page.into()));
            k.emit(Op::VecMove(vec, done, page.into()));
        });
        k.unlock(Class::Lru, 0);
        release_all(k, done, &|k, page| page::put_page(k, kernel, page));
    });
}

/// Visits the pages of a page vector in order; `visit` may take the page out.
pub(super) fn for_each(k: &mut Asm<'_>, vec: Pagevec, visit: impl FnOnce(&mut Asm<'_>, Reg)) {
    let page = k.local("page", RegKind::Page);
    k.set(page, vec.next(0));
    k.while_(page.get().less_than(k.world().pages()), |k| {
        visit(k, page);
        k.set(page, vec.next(page + 1));
    });
}

/// `release_pages()`: drops the references of a page vector.
pub(super) fn release_all(k: &mut Asm<'_>, vec: Pagevec, put_page: OnPage<'_>) {
    for_each(k, vec, |k, page| {
        k.emit(Op::VecTake(vec, page.into()));
        put_page(k, page);
    });
}

/// Takes `lru_lock`, unless the variable says that it is held.
pub(super) fn relock(k: &mut Asm<'_>, locked: Reg) {
    k.if_(locked.is(0), |k| {
        k.lock(Class::Lru, Mode::Exclusive, 0);
        k.set(locked, 1);
    });
}
