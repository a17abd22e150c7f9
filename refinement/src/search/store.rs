//! The set of states seen, each in a few bytes, exactly.
//!
//! A state is a row of words in a few *blocks* ([`System::blocks`](super::System::blocks)), of which a
//! step changes one or two.
//! A block is kept as a tree of pairs: two words are a pair with a number, two neighbouring numbers are
//! a pair with a number again, up to one number for the block; and a state is the numbers of its
//! blocks ([`Roots`]).
//! Pairs are kept once, whole: two states are the same if and only if the numbers of their blocks are.
//! There are few different blocks, so a state costs little more than their numbers and its place in the
//! table, whether it has four words or a hundred.
//!
//! Most steps lead to blocks that are known, and [`Store::code`] finds their numbers without changing
//! anything, so that several threads can look at once.
//! What it does not find is added by [`Store::number`], in the order of the steps, so that numbers do
//! not depend on how many threads there are.

use super::roots::{BLOCKS, Blocks, Roots, spread};
use super::table::{Table, mix};
use std::ops::Range;

/// The number of a state: states are numbered as they arrive.
pub(super) type Id = u32;

/// A hash of a whole state.
pub(super) fn hash(state: &[u64]) -> u64 {
    state.iter().fold(0, |hash, &word| mix(hash ^ word))
}

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
    /// The pairs in each row of the tree, from those of words up to the one of the block, by where
    /// their numbers are in [`Opened::numbers`].
    rows: Vec<Range<usize>>,
    leaves: Table<(u64, u64)>,
    /// Pairs of numbers, but for that of the block.
    pairs: Table<u64>,
    /// The pair of the block, if that is not a leaf.
    tops: Table<u64>,
}

/// A state with the numbers of all pairs that it consists of.
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
        let row = |begin: usize, below: usize| begin..begin + below.div_ceil(2);
        let mut rows = vec![row(numbers, words.len())];
        while let Some(last) = rows.last().filter(|row| row.len() > 1) {
            rows.push(row(last.end, last.len()));
        }
        Block {
            words,
            rows,
            leaves: Table::new(),
            pairs: Table::new(),
            tops: Table::new(),
        }
    }

    /// The row of the block's own pair.
    fn last(&self) -> usize {
        self.rows.len() - 1
    }

    /// Where the number of the block's own pair is.
    fn top(&self) -> usize {
        self.rows[self.last()].start
    }

    /// The pair of words at a place in the lowest row.
    fn leaf(&self, place: usize, state: &[u64]) -> (u64, u64) {
        let at = self.words.start + 2 * place;
        let right = if at + 1 < self.words.end {
            state[at + 1]
        } else {
            0
        };
        (state[at], right)
    }

    /// Whether there is a pair to the right of the left one below a pair; one that is alone has the
    /// number of what is below it.
    fn has_right(&self, row: usize, place: usize) -> bool {
        2 * place + 1 < self.rows[row - 1].len()
    }

    fn pairs(&self, row: usize) -> &Table<u64> {
        if row == self.last() {
            &self.tops
        } else {
            &self.pairs
        }
    }

    fn open(&self, row: usize, place: usize, number: u32, out: &mut Opened) {
        let at = self.rows[row].start + place;
        if out.numbers[at] == number {
            return;
        }
        out.numbers[at] = number;
        if row == 0 {
            let (left, right) = self.leaves.key(number);
            let at = self.words.start + 2 * place;
            out.words[at] = left;
            if at + 1 < self.words.end {
                out.words[at + 1] = right;
            }
        } else if self.has_right(row, place) {
            let pair = self.pairs(row).key(number);
            self.open(row - 1, 2 * place, (pair >> 32) as u32, out);
            self.open(row - 1, 2 * place + 1, pair as u32, out);
        } else {
            self.open(row - 1, 2 * place, number, out);
        }
    }

    /// The number of a pair, if it is known, with the help of an opened state that is much the same.
    fn code(&self, row: usize, place: usize, near: Option<&Opened>, state: &[u64]) -> Option<u32> {
        if row == 0 {
            let leaf = self.leaf(place, state);
            return match near {
                Some(near) if self.leaf(place, &near.words) == leaf => {
                    Some(near.numbers[self.rows[0].start + place])
                }
                _ => self.leaves.find(leaf),
            };
        }
        let left = self.code(row - 1, 2 * place, near, state)?;
        if !self.has_right(row, place) {
            return Some(left);
        }
        let right = self.code(row - 1, 2 * place + 1, near, state)?;
        if let Some(near) = near {
            let below = self.rows[row - 1].start + 2 * place;
            if near.numbers[below..below + 2] == [left, right] {
                return Some(near.numbers[self.rows[row].start + place]);
            }
        }
        self.pairs(row).find(pair(left, right))
    }

    /// The number of a pair, which is added if it is not there.
    fn number(&mut self, row: usize, place: usize, state: &[u64]) -> u32 {
        if row == 0 {
            let leaf = self.leaf(place, state);
            return self.leaves.insert(leaf);
        }
        let left = self.number(row - 1, 2 * place, state);
        if !self.has_right(row, place) {
            return left;
        }
        let right = self.number(row - 1, 2 * place + 1, state);
        let pairs = if row == self.last() {
            &mut self.tops
        } else {
            &mut self.pairs
        };
        pairs.insert(pair(left, right))
    }

    fn bytes(&self) -> usize {
        self.leaves.bytes() + self.pairs.bytes() + self.tops.bytes()
    }
}

fn pair(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
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
    fn blocks(words: usize) -> [usize; 6] {
        let third = words / 3;
        let last = usize::from(third > 0);
        [third, 0, words - 2 * third, 0, third - last, last]
    }

    #[test]
    fn a_state_comes_back_as_it_went_in() {
        for words in 1..=20 {
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
        for words in 1..=20 {
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
