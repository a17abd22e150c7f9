//! References: `put_page()` and what happens to a page that nobody refers to.

use super::lru;
use crate::machine::{Asm, Class, Cond, Expr, Flag, Mode, Op, Reg, Source, read};

const CITE: &str = "v3.7 mm/swap.c put_page(), __page_cache_release()";

/// `put_page()`: drops a reference; the last one takes the page off its list and frees it.
///
/// The reference of a tail is the reference of its huge page.
pub(super) fn put_page(k: &mut Asm<'_>, page: Reg) {
    k.function("put_page", CITE, |k| {
        k.if_(Cond::PutPage(page.into()), |k| release(k, page.into()));
    });
}

/// `put_page()` of the reference that a split took on a former tail.
pub(super) fn put_split_ref(k: &mut Asm<'_>, page: Reg) {
    k.function("put_page", CITE, |k| {
        k.if_(Cond::PutSplitRef(page.into()), |k| release(k, page.into()));
    });
}

/// Frees a page whose last reference is gone. `PG_mlocked` must be clear by now.
fn release(k: &mut Asm<'_>, page: Expr) {
    k.if_(read(Source::Flag(Flag::Lru, page.clone())), |k| {
        k.lock(Class::Lru, Mode::Exclusive, 0);
        lru::clear(k, page.clone());
        k.unlock(Class::Lru, 0);
    });
    k.emit(Op::Free(page));
}
