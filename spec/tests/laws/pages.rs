//! The algebra of page sets and folios, against the plainest model there is.

use std::collections::BTreeSet;

use mlock_spec::{Folios, PageSet};

use crate::generate::{Memory, Pages};
use crate::{for_all, read};

fn model(pages: &PageSet) -> BTreeSet<usize> {
    pages.iter().collect()
}

fn agrees(pages: &PageSet, model: &BTreeSet<usize>) -> bool {
    let canonical = pages.words().next_back() != Some(0);
    canonical
        && pages.iter().eq(model.iter().copied())
        && (pages.len(), pages.is_empty()) == (model.len(), model.is_empty())
        && (pages.first(), pages.last()) == (model.first().copied(), model.last().copied())
        && (0..300).all(|page| pages.contains(page) == model.contains(&page))
}

#[test]
fn page_sets_behave_as_sets() {
    for_all(|(Pages(left), Pages(right)): (Pages, Pages)| {
        let (l, r) = (model(&left), model(&right));
        agrees(&left, &l)
            && agrees(&left.union(&right), &(&l | &r))
            && agrees(&left.intersection(&right), &(&l & &r))
            && agrees(&left.difference(&right), &(&l - &r))
            && left.is_subset(&right) == l.is_subset(&r)
            && left.is_disjoint(&right) == l.is_disjoint(&r)
            && (left == right) == (l == r)
    });
}

#[test]
fn inserting_and_removing_say_what_they_did() {
    for_all(|(Pages(pages), page): (Pages, u8)| {
        let page = usize::from(page);
        let (mut set, mut model) = (pages.clone(), model(&pages));
        let inserted = set.insert(page) == model.insert(page) && agrees(&set, &model);
        let removed = set.remove(page) == model.remove(&page) && agrees(&set, &model);
        inserted && removed && !set.remove(page)
    });
}

#[test]
fn ranges_hold_their_pages_and_no_others() {
    for_all(|(start, end): (u8, u8)| {
        let range = usize::from(start)..usize::from(end);
        agrees(&PageSet::range(range.clone()), &range.collect())
    });
}

#[test]
fn neighbours_are_found_upwards_and_downwards() {
    for_all(|(Pages(pages), page): (Pages, u8)| {
        let (page, model) = (usize::from(page), model(&pages));
        pages.next_from(page) == model.range(page..).next().copied()
            && pages.last_up_to(page) == model.range(..=page).next_back().copied()
    });
}

#[test]
fn words_that_end_in_zero_make_the_same_set() {
    for_all(|words: Vec<u64>| {
        let padded = words.iter().copied().chain([0, 0]);
        let set = PageSet::from_words(words.iter().copied());
        set == PageSet::from_words(padded) && set.words().all(|word| words.contains(&word))
    });
}

#[test]
fn words_hold_64_pages_each() {
    let pages: PageSet = read("{0, 65}");
    assert!(pages.words().eq([1, 2]));
}

#[test]
fn the_text_form_names_pages_up_to_the_last() {
    assert_eq!(read::<PageSet>("{1048575}").len(), 1);
    assert!("{1048576}".parse::<PageSet>().is_err());
}

#[test]
fn a_set_emptied_again_is_the_empty_set() {
    let mut pages = PageSet::range(0..200);
    (0..200).for_each(|page| assert!(pages.remove(page)));
    assert_eq!(pages, PageSet::new());
    assert_eq!(pages.words().count(), 0);
}

#[test]
fn folios_part_memory_without_gap_or_overlap() {
    for_all(|Memory(folios): Memory| {
        let pages: Vec<usize> = folios.iter().flatten().collect();
        pages.into_iter().eq(0..folios.pages())
            && folios
                .iter()
                .all(|folio| folio.clone().all(|page| folios.folio_of(page) == folio))
            && folios
                .iter()
                .map(|folio| folio.start)
                .eq(folios.heads().iter())
    });
}

#[test]
fn a_union_of_folios_takes_each_whole_or_not_at_all() {
    for_all(|(Memory(folios), Pages(pages)): (Memory, Pages)| {
        let mut whole = folios.iter().map(PageSet::range);
        let inside = pages.is_subset(&PageSet::range(0..folios.pages()));
        let expected = inside && whole.all(|f| f.is_subset(&pages) || f.is_disjoint(&pages));
        let cover = folios.covering(&pages);
        folios.is_union_of_folios(&pages) == expected && folios.is_union_of_folios(&cover)
    });
}

#[test]
fn splitting_and_merging_move_heads_only() {
    let folios: Folios = read("[0-3][4-7][8]");
    assert_eq!(
        folios.split_at(&read("{2, 6, 99}")).to_string(),
        "[0-1][2-3][4-5][6-7][8]"
    );
    assert_eq!(folios.merge(0..8).to_string(), "[0-7][8]");
    assert_eq!(
        folios.merge(3..5),
        folios.merge(0..8),
        "touched folios merge whole"
    );
    assert_eq!(folios.merge(4..8), folios);
    assert_eq!(folios.merge(0..0), folios);
}

#[test]
fn pages_outside_memory_belong_to_no_folio() {
    let folios: Folios = read("[0-3][4]");
    assert!(folios.folio_of(5).is_empty());
    assert!(folios.folio_of(usize::MAX).is_empty());
    assert!(!folios.is_union_of_folios(&read("{4-5}")));
    assert_eq!(Folios::new(0, read("{0}")), Folios::default());
}
