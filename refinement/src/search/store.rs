//! The set of states seen, each in a few bytes, exactly.
//!
//! A state is a row of words in a few *blocks* ([`System::blocks`](super::System::blocks)), of which a
//! step changes one or two.
//! A block is kept once, whole, and has a number; a state is the numbers of its blocks ([`Roots`]).
//! Two states are the same if and only if the numbers of their blocks are.
//! At large sizes a block is mostly planes of page flags, of which a step changes one; so where it has
//! many words it is kept as a tree: rows of a few words have a number, two neighbours are a pair with
//! a number again, up to one number for the block.
//! There are few different blocks, so a state costs little more than their numbers and its place in the
//! table, whether it has four words or a hundred.
//!
//! Most steps lead to blocks that are known, and [`Store::code`] finds their numbers without changing
//! anything, so that several threads can look at once.
//! What it does not find is added by [`Store::number`], in the order of the steps, so that numbers do
//! not depend on how many threads there are.

use super::roots::{BLOCKS, Blocks, Roots, spread};
use super::table::{Pairs, Rows};
use std::ops::Range;

/// The number of a state: states are numbered as they arrive.
pub(super) type Id = u32;

/// The states seen so far.
#[derive(Debug)]
pub(super) struct Store {
    words: usize,
    blocks: Vec<Block>,
    roots: Roots,
}

/// Some words of a state, and all that was seen in them.
#[derive(Debug)]
struct Block {
    words: Range<usize>,
    /// The words of a leaf of the tree; the last leaf may have fewer.
    width: usize,
    /// The levels of the tree, from the leaves up to one number for the block, by where their numbers
    /// are in [`Opened::numbers`].
    levels: Vec<Range<usize>>,
    leaves: Rows,
    /// Pairs of numbers, but for that of the block.
    pairs: Pairs,
    /// The pair of the block, if that is not a leaf.
    tops: Pairs,
}

/// The most words of a leaf.
const LEAF: usize = 8;

/// A state with the numbers of all that it consists of.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) words: Vec<u64>,
    numbers: Vec<u32>,
}

/// The number of a block that is not known yet.
const UNKNOWN: u32 = u32::MAX;

/// Whether all blocks are known.
pub(super) fn is_known(blocks: Blocks) -> bool {
    !blocks.contains(&UNKNOWN)
}

impl Store {
    /// A store for states whose blocks have so many words.
    pub(super) fn new(blocks: &[usize]) -> Store {
        let mut blocks: Vec<usize> = blocks.iter().copied().filter(|&words| words > 0).collect();
        // The rest is one block together.
        let rest: usize = blocks.drain(BLOCKS.min(blocks.len())..).sum();
        if let Some(last) = blocks.last_mut() {
            *last += rest;
        }
        let (mut words, mut numbers) = (0, 0);
        let mut block = |count| {
            let block = Block::new(words..words + count, numbers);
            words += count;
            numbers = block.top() + 1;
            block
        };
        Store {
            blocks: blocks.into_iter().map(&mut block).collect(),
            words,
            roots: Roots::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.roots.len()
    }

    /// Words per state.
    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// Where a state can be opened.
    pub(super) fn opened(&self) -> Opened {
        let numbers = self.blocks.last().map_or(0, |block| block.top() + 1);
        Opened {
            words: vec![0; self.words],
            numbers: vec![UNKNOWN; numbers],
        }
    }

    /// Opens the state with this number; the more it has in common with the one opened before, the
    /// faster.
    pub(super) fn open(&self, id: Id, out: &mut Opened) {
        for (block, number) in self.blocks.iter().zip(self.roots.get(id)) {
            block.open(block.last(), 0, number, out);
        }
    }

    /// The blocks of a state that one step led to from an opened one, as far as they are known.
    pub(super) fn code(&self, from: &Opened, state: &[u64]) -> Blocks {
        let mut code = [0; BLOCKS];
        for (block, number) in self.blocks.iter().zip(&mut code) {
            let (was, is) = (
                &from.words[block.words.clone()],
                &state[block.words.clone()],
            );
            let changed = was
                .iter()
                .zip(is)
                .fold(0, |all, (was, is)| all | (was ^ is));
            *number = if changed == 0 {
                from.numbers[block.top()]
            } else {
                let known = block.code(block.last(), 0, Some(from), state);
                known.unwrap_or(UNKNOWN)
            };
        }
        code
    }

    /// All blocks of a state, of which some are known.
    pub(super) fn number(&mut self, mut code: Blocks, state: &[u64]) -> Blocks {
        for (block, number) in self.blocks.iter_mut().zip(&mut code) {
            if *number == UNKNOWN {
                *number = block.number(block.last(), 0, state);
            }
        }
        code
    }

    /// Adds a state; tells its number and whether it is new.
    pub(super) fn insert(&mut self, state: &[u64]) -> (Id, bool) {
        let mut code = [0; BLOCKS];
        code[..self.blocks.len()].fill(UNKNOWN);
        let code = self.number(code, state);
        self.add(code, spread(code))
    }

    /// Adds a state whose blocks are known, with the hash of those; tells its number and whether it is
    /// new.
    pub(super) fn add(&mut self, code: Blocks, hash: u64) -> (Id, bool) {
        self.roots.insert(code, hash)
    }

    /// Looks at where states with these hashes will be added, some time before that.
    pub(super) fn touch(&self, hashes: &[u64]) {
        self.roots.touch(hashes);
    }

    /// The number of a state, if it is there.
    pub(super) fn find(&self, state: &[u64]) -> Option<Id> {
        let mut code = [0; BLOCKS];
        for (block, number) in self.blocks.iter().zip(&mut code) {
            *number = block.code(block.last(), 0, None, state)?;
        }
        self.roots.find(code)
    }

    /// Memory taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let blocks = self.blocks.iter().map(Block::bytes).sum::<usize>();
        blocks + self.roots.bytes()
    }
}

impl Block {
    /// A block of these words, the numbers of whose tree begin at a place.
    fn new(words: Range<usize>, numbers: usize) -> Block {
        let leaves = words.len().div_ceil(LEAF);
        let width = words.len().div_ceil(leaves);
        let mut levels = Vec::new();
        levels.push(numbers..numbers + leaves);
        while let Some(last) = levels.last().filter(|level| level.len() > 1) {
            levels.push(last.end..last.end + last.len().div_ceil(2));
        }
        Block {
            words,
            width,
            levels,
            leaves: Rows::new(width),
            pairs: Pairs::new(),
            tops: Pairs::new(),
        }
    }

    /// The level of the block's own number.
    fn last(&self) -> usize {
        self.levels.len() - 1
    }

    /// Where the block's own number is.
    fn top(&self) -> usize {
        self.levels[self.last()].start
    }

    /// The words of a leaf.
    fn leaf(&self, place: usize) -> Range<usize> {
        let at = self.words.start + self.width * place;
        at..self.words.end.min(at + self.width)
    }

    /// Whether there is something to the right of the left one below a pair; one that is alone has the
    /// number of what is below it.
    fn has_right(&self, level: usize, place: usize) -> bool {
        2 * place + 1 < self.levels[level - 1].len()
    }

    fn pairs(&self, level: usize) -> &Pairs {
        if level == self.last() {
            &self.tops
        } else {
            &self.pairs
        }
    }

    fn open(&self, level: usize, place: usize, number: u32, out: &mut Opened) {
        let known = &mut out.numbers[self.levels[level].start + place];
        if *known == number {
            return;
        }
        *known = number;
        if level == 0 {
            let words = &mut out.words[self.leaf(place)];
            words.copy_from_slice(&self.leaves.get(number)[..words.len()]);
        } else if self.has_right(level, place) {
            let (left, right) = self.pairs(level).get(number);
            self.open(level - 1, 2 * place, left, out);
            self.open(level - 1, 2 * place + 1, right, out);
        } else {
            self.open(level - 1, 2 * place, number, out);
        }
    }

    /// The number of what is at a place, if it is known, with the help of an opened state that is much
    /// the same.
    fn code(
        &self,
        level: usize,
        place: usize,
        near: Option<&Opened>,
        state: &[u64],
    ) -> Option<u32> {
        let number = |near: &Opened| near.numbers[self.levels[level].start + place];
        if level == 0 {
            let leaf = &state[self.leaf(place)];
            return match near {
                Some(near) if self.last() > 0 && near.words[self.leaf(place)] == *leaf => {
                    Some(number(near))
                }
                _ => self.leaves.find(leaf),
            };
        }
        let left = self.code(level - 1, 2 * place, near, state)?;
        if !self.has_right(level, place) {
            return Some(left);
        }
        let right = self.code(level - 1, 2 * place + 1, near, state)?;
        if let Some(near) = near {
            let below = self.levels[level - 1].start + 2 * place;
            if near.numbers[below..below + 2] == [left, right] {
                return Some(number(near));
            }
        }
        self.pairs(level).find((left, right))
    }

    /// The number of what is at a place, which is added if it is not there.
    fn number(&mut self, level: usize, place: usize, state: &[u64]) -> u32 {
        if level == 0 {
            let leaf = self.leaf(place);
            return self.leaves.insert(&state[leaf]);
        }
        let left = self.number(level - 1, 2 * place, state);
        if !self.has_right(level, place) {
            return left;
        }
        let right = self.number(level - 1, 2 * place + 1, state);
        let pairs = if level == self.last() {
            &mut self.tops
        } else {
            &mut self.pairs
        };
        pairs.insert((left, right))
    }

    fn bytes(&self) -> usize {
        self.leaves.bytes() + self.pairs.bytes() + self.tops.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// States of `words` words that differ in one word each.
    fn states(words: usize) -> Vec<Vec<u64>> {
        let all = (0..words).flat_map(move |at| {
            (1..50_u64).map(move |value| {
                let mut state = vec![7; words];
                state[at] = value << 40 | value;
                state
            })
        });
        all.collect()
    }

    /// Some words in each of several blocks, and one block with none.
    fn blocks(words: usize) -> [usize; 8] {
        let third = words / 3;
        let few = third / 4;
        [
            third,
            0,
            words - 2 * third,
            0,
            few,
            few,
            few,
            third - 3 * few,
        ]
    }

    #[test]
    fn a_state_comes_back_as_it_went_in() {
        for words in 1..=80 {
            let mut store = Store::new(&blocks(words));
            let states = states(words);
            let mut opened = store.opened();
            for state in &states {
                let (id, new) = store.insert(state);
                assert!(new, "{words} words");
                store.open(id, &mut opened);
                assert_eq!(opened.words, *state, "{words} words");
                assert_eq!(store.find(state), Some(id));
            }
            assert!(states.iter().all(|state| !store.insert(state).1));
            assert_eq!(store.find(&vec![9; words]), None);
            assert_eq!(store.len(), words * 49);
        }
    }

    #[test]
    fn what_is_found_from_nearby_is_what_is_found_from_afar() {
        for words in 1..=80 {
            let mut store = Store::new(&blocks(words));
            let states = states(words);
            let (known, new) = states.split_at(states.len() / 2);
            for state in known {
                store.insert(state);
            }
            let mut opened = store.opened();
            for (i, state) in states.iter().enumerate() {
                store.open((i * 5 % known.len()) as Id, &mut opened);
                let code = store.code(&opened, state);
                assert_eq!(
                    is_known(code),
                    store.find(state).is_some() || !is_new(&store, state)
                );
                let whole = store.number(code, state);
                let number = store.add(whole, spread(whole)).0;
                assert_eq!(store.find(state), Some(number));
            }
            assert_eq!(store.len(), known.len() + new.len());
        }
    }

    /// Whether a state has a block that is not known.
    fn is_new(store: &Store, state: &[u64]) -> bool {
        let known = |block: &Block| block.code(block.last(), 0, None, state).is_some();
        !store.blocks.iter().all(known)
    }
}
