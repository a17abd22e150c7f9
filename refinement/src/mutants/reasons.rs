//! Why a mutant that no scenario notices is no gap, in whichever kernel it survives.

use crate::reasons::{Reason, reason};

/// The table.
#[rustfmt::skip]
pub const REASONS: [Reason; 26] = [
    reason("PG_lru stands for the lists of the page replacement, and no law speaks of lists", &[
        "isolate_lru_page: *", "putback_lru_page: *", "*PageLRU(*", "*as if `isolated`",
        "*as if not `isolated`", "*`isolated = 0`, one more or flipped",
        "*`cleared = 0`, one more or flipped", "*as if `cleared`", "put_page: *lru_lock*",
    ]),
    reason("the last mapping of a marked page does not go: an area is munlocked before it is unmapped, and truncation, which unmaps without, is not modelled", &[
        "clear_page_mlock: *", "page_remove_rmap: *", "zap_*: `found = PageMlocked(*)` before `clear *`",
    ]),
    reason("references keep a page from being used again, and nothing here uses a freed page again", &[
        "*`get_page(*", "put_page: *", "split_huge_page(): `get_page_unless_zero(page)` *",
        "split_huge_page(): `page = 0`, one more or flipped",
        "follow_page: as if `got`", "follow_page: as if not `got`",
        "split_huge_page_pmd: `page = 0`, one more or flipped",
        "split_huge_page_pmd: as if `huge`", "zap_huge_pmd: `page = 0`, one more or flipped",
        "zap_pte_range: as if `pte_present(A, addr)`",
    ]),
    reason("it is about the references that a split gives to the tails of a page that nobody maps any more", &[
        "__split_huge_page_refcount: *mapped == 0`*", "__split_huge_page_refcount: *page_tail < 4`*",
        "__split_huge_page_refcount: `page_tail = 1`, *",
        "__split_huge_page_refcount: `page_tail = page_tail + 1`, one more or flipped",
    ]),
    reason("another lock keeps munlock out of the split in this kernel", &[
        "__split_huge_page_refcount: *compound_lock*", "__split_huge_page_refcount: *lru_lock*",
    ]),
    reason("munlock is kept out, so that the flag of the head is the same before and after", &[
        "__split_huge_page_refcount: `head_mlocked = PageMlocked(0)` before `clear all flags of page_tail`",
    ]),
    reason("while an entry is splitting only the splitter changes it, and it becomes a table in one step", &[
        "__split_huge_page_map: *page_table_lock*",
    ]),
    reason("this look only says whether there is something to do; what is done looks again", &[
        "split_huge_page: anon_vma lock taken after `mapped = page_mapcount(0)`",
        "split_huge_page_pmd: *page_table_lock*", "split_huge_page_pmd: as if `huge` #2",
        "split_huge_page_pmd: as if not `huge`", "munlock(): mmap_sem taken after `found = VM_LOCKED(A)`",
        "munmap(): mmap_sem taken after `found = VM_LOCKED(A)`",
    ]),
    reason("under the anon_vma lock the pages of a huge page are compound together and mapped together", &[
        "split_huge_page: `* of the next page",
    ]),
    reason("a page that nobody maps is not mlocked, and a split of it changes no mark", &[
        "split_huge_page: as if not `mapped == 0`",
    ]),
    reason("the address is only used to wait for a split of the same region", &[
        "copy_page_range: `addr = 0`, one more or flipped",
    ]),
    reason("nobody else uses the page table of the child yet", &[
        "copy_page_range: page_table_lock tried, result ignored: `spin_lock(page_table_lock B)`",
        "copy_page_range: `spin_lock(page_table_lock A)` before `spin_lock(page_table_lock B)`",
    ]),
    reason("areas are no objects here: an entry is copied or cleared in one step under the PT lock, which is enough for the pages", &[
        "fork(): *mmap_sem*", "munmap(): *mmap_sem*",
    ]),
    reason("a reader suffices: two that only read meet at the PT lock, under which mlock looks at VM_LOCKED, and munlock clears VM_LOCKED before it takes that", &[
        "mlock(): mmap_sem for reading: *", "munlock(): mmap_sem for reading: *",
        "mlock(): mmap_sem tried, result ignored: `down_read(*",
    ]),
    reason("a reader suffices: the split holds the anon_vma lock for writing", &[
        "*anon_vma lock for reading: *",
    ]),
    reason("only slower: addresses are visited that have nothing left to do", &[
        "follow_page: `page_mask = 3`, one less*", "munlock_follow_page: `page_mask = 3`, one less",
        "*as if not `pmd == 4`*",
    ]),
    reason("the mask is set again before it is used", &[
        "follow_page: `page_mask = 3`, one more or flipped", "munlock_vma_page: `page_mask = 0`, *",
    ]),
    reason("only slower: it looks for other lockers where there are none, or tries again", &[
        "*as if `mapcount < 2 == 0`", "munlock_follow_page: as if `pmd_now == pmd == 0`",
        "munlock_follow_page: without `pmd_now = pmd of A at addr`",
    ]),
    reason("where there is no table there are no ptes", &["*as if `pmd == 3`*"]),
    reason("the huge zero page is not counted, mapped or not", &[
        "unmap_vmas: without `pmd of A = none`",
    ]),
    reason("the size cannot change here: the lock that keeps the split out is held", &[
        "*: `nr_pages = hpage_nr_pages(*)` before `Test*", "*: `TestClearPageMlocked(*)` before `nr_pages = *",
    ]),
    reason("a page that is no tail is a head itself, or as small as its former head", &[
        "*`nr_pages = hpage_nr_pages(*)` of the head*",
    ]),
    reason("the size has been read, and the statistic is one atomic addition", &[
        "munlock_vma_page: * dropped before `NR_MLOCK += −nr_pages`",
    ]),
    reason("no split goes on: the munlock of this kernel has finished with the page under the lock that keeps it out", &[
        "try_to_munlock: *anon_vma lock*",
    ]),
    reason("VM_LOCKED is looked at again under mmap_sem, which decides", &[
        "try_to_unmap_one: `wanted = 0`, one more or flipped", "try_to_unmap_one: as if `wanted`",
        "try_to_unmap_one: as if `VM_LOCKED(A, *)`", "try_to_unmap_one: as if `pte_present(A, *)`",
        "try_to_unmap_one: *page_table_lock*",
    ]),
    reason("who lets go meanwhile has cleared VM_LOCKED, waits for the page lock, and clears the mark in his turn", &[
        "try_to_unmap_one: as if `VM_LOCKED(A, *)` #2", "try_to_unmap_one: without mmap_sem",
    ]),
];
