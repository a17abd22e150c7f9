//! References: `put_page()` and what happens to a page that nobody refers to.

use super::{FreeMlocked, Kernel, lru};
use crate::machine::{Asm, Class, Cond, Expr, Flag, Mode, Op, Reg, Source, read, test_clear};

const CITE: &str = "v3.7 mm/swap.c put_page(), __page_cache_release()";

/// `put_page()`: drops a reference; the last one takes the page off its list and frees it.
///
/// The reference of a tail is the reference of its huge page.
pub(super) fn put_page(k: &mut Asm<'_>, kernel: &Kernel, page: Reg) {
    k.function("put_page", CITE, |k| {
        k.if_(Cond::PutPage(page.into()), |k| release(k, kernel, page));
    });
}

/// `put_page()` of the reference that a split took on a former tail.
pub(super) fn put_split_ref(k: &mut Asm<'_>, kernel: &Kernel, page: Reg) {
    k.function("put_page", CITE, |k| {
        k.if_(Cond::PutSplitRef(page.into()), |k| release(k, kernel, page));
    });
}

/// Frees a page whose last reference is gone. Since v3.7 `PG_mlocked` must be clear by now; before,
/// `free_page_mlock()` clears it and takes one page off the statistic, whatever the page's size.
fn release(k: &mut Asm<'_>, kernel: &Kernel, page: Reg) {
    let page: Expr = page.into();
    k.if_(read(Source::Flag(Flag::Lru, page.clone())), |k| {
        k.lock(Class::Lru, Mode::Exclusive, 0);
        lru::clear(k, page.clone());
        k.unlock(Class::Lru, 0);
    });
    if kernel.free_mlocked == FreeMlocked::Uncounts {
        k.function("free_page_mlock", "2.6.38 mm/page_alloc.c", |k| {
            k.if_(test_clear(Flag::Mlocked, page.clone()), |k| {
                k.emit(Op::ModNrMlock((-1).into()));
            });
        });
    }
    k.emit(Op::Free(page));
}
