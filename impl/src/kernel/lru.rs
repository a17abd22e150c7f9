//! The lists of the page replacement: taking a page off, putting it back.
//!
//! # What this does not model
//!
//! Which list a page is on, the per-CPU vectors on the way to it, and the reference that an
//! isolated page carries.

use crate::machine::{
    Asm, Class, Cond, Expr, Flag, Mode, Op, Reg, RegKind, Source, read, test_clear,
};

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
