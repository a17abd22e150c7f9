//! The set of states seen, each in a few bytes, exactly.
//!
//! A state is a row of words, and a step changes few of them.
//! So the row is kept as a tree of pairs: two neighbouring words are a pair with a number, two
//! neighbouring numbers are a pair with a number again, and what is left in the end is one pair of
//! numbers for the whole state.
//! Pairs are numbered without gaps and kept once, whole: two states are the same if and only if
//! their last pairs are.
//! Near the words there are few different pairs, so a state costs little more than its last pair:
//! eight bytes, with its place in the table and its parent less than 24, whether it has four words
//! or a hundred.
//!
//! The set is cut into shards by a hash of the whole state, so that several threads can add to it at
//! once without a lock; which shard a state is in does not depend on their number.

use super::table::{Table, mix};

/// How many parts the set has.
pub(super) const SHARDS: usize = 8;

/// The number of a state: its shard in the lowest bits.
pub(super) type Id = u32;

/// A hash of a whole state.
pub(super) fn hash(state: &[u64]) -> u64 {
    state.iter().fold(0, |hash, &word| mix(hash ^ word))
}

/// The shard of a state.
pub(super) fn shard_of(state: &[u64]) -> usize {
    (hash(state) >> 32) as usize % SHARDS
}

/// The states seen so far.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) shards: Vec<Shard>,
}

/// A part of the set.
#[derive(Debug)]
pub(super) struct Shard {
    words: usize,
    /// Pairs of words; the states themselves if they have no more than two.
    leaves: Table<(u64, u64)>,
    /// Pairs of numbers, but for the last pair of each state.
    pairs: Table<u64>,
    /// The last pair of each state.
    roots: Table<u64>,
    /// For each state, the state that it was first reached from.
    parents: Vec<Id>,
    numbers: Vec<u32>,
}

impl Store {
    pub(super) fn new(words: usize) -> Store {
        Store {
            shards: (0..SHARDS).map(|_| Shard::new(words)).collect(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(Shard::len).sum()
    }

    /// The number of a state, if it is there.
    pub(super) fn find(&self, state: &[u64]) -> Option<Id> {
        let shard = shard_of(state);
        let number = self.shards[shard].find(state)?;
        Some(id(shard, number))
    }

    /// Writes the state with this number to the end of `out`.
    pub(super) fn get(&self, id: Id, out: &mut Vec<u64>) {
        let (shard, number) = place(id);
        self.shards[shard].get(number, out);
    }

    /// The state that a state was first reached from; the first one is its own parent.
    pub(super) fn parent(&self, id: Id) -> Id {
        let (shard, number) = place(id);
        self.shards[shard].parents[number as usize]
    }

    /// A number that is larger than that of any state.
    pub(super) fn ids(&self) -> usize {
        let most = self.shards.iter().map(Shard::len).max();
        most.unwrap_or(0) * SHARDS
    }

    /// Memory taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.shards.iter().map(Shard::bytes).sum()
    }
}

/// The number of a state in the whole set.
pub(super) fn id(shard: usize, number: u32) -> Id {
    number * SHARDS as u32 + shard as u32
}

/// The shard of a state and its number there.
pub(super) fn place(id: Id) -> (usize, u32) {
    ((id % SHARDS as u32) as usize, id / SHARDS as u32)
}

impl Shard {
    fn new(words: usize) -> Shard {
        Shard {
            words,
            leaves: Table::new(),
            pairs: Table::new(),
            roots: Table::new(),
            parents: Vec::new(),
            numbers: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.parents.len()
    }

    /// Adds a state; tells its number and whether it is new.
    pub(super) fn insert(&mut self, state: &[u64], parent: Id) -> (u32, bool) {
        let mut numbers = std::mem::take(&mut self.numbers);
        numbers.clear();
        numbers.extend(leaf_pairs(state).map(|pair| self.leaves.insert(pair).0));
        let (number, new) = match numbers.len() {
            1 => (numbers[0], numbers[0] as usize == self.parents.len()),
            _ => {
                while numbers.len() > 2 {
                    join(&mut numbers, |pair| self.pairs.insert(pair).0);
                }
                self.roots.insert(pair(numbers[0], numbers[1]))
            }
        };
        self.numbers = numbers;
        if new {
            self.parents.push(parent);
        }
        (number, new)
    }

    fn find(&self, state: &[u64]) -> Option<u32> {
        let mut numbers = leaf_pairs(state)
            .map(|pair| self.leaves.find(pair))
            .collect::<Option<Vec<u32>>>()?;
        let mut missing = false;
        while numbers.len() > 2 {
            join(&mut numbers, |pair| {
                self.pairs.find(pair).unwrap_or_else(|| {
                    missing = true;
                    0
                })
            });
        }
        match numbers[..] {
            _ if missing => None,
            [only] => Some(only),
            [left, right] => self.roots.find(pair(left, right)),
            _ => None,
        }
    }

    fn get(&self, number: u32, out: &mut Vec<u64>) {
        let leaves = self.words.div_ceil(2);
        let mut numbers = vec![number];
        if leaves > 1 {
            let (left, right) = unpair(self.roots.key(number));
            numbers = vec![left, right];
        }
        // The sizes of the rows between the leaves and the root, from the root down.
        let mut sizes = vec![leaves];
        while let Some(&size) = sizes.last().filter(|size| **size > 2) {
            sizes.push(size.div_ceil(2));
        }
        for &size in sizes.iter().rev().skip(1) {
            let mut row = Vec::with_capacity(size);
            for number in numbers {
                if row.len() + 1 == size {
                    row.push(number);
                } else {
                    let (left, right) = unpair(self.pairs.key(number));
                    row.extend([left, right]);
                }
            }
            numbers = row;
        }
        let from = out.len();
        for number in numbers {
            let (left, right) = self.leaves.key(number);
            out.extend([left, right]);
        }
        out.truncate(from + self.words);
    }

    fn bytes(&self) -> usize {
        self.leaves.bytes()
            + self.pairs.bytes()
            + self.roots.bytes()
            + self.parents.capacity() * size_of::<Id>()
    }
}

fn leaf_pairs(state: &[u64]) -> impl Iterator<Item = (u64, u64)> + '_ {
    state.chunks(2).map(|two| match *two {
        [left, right] => (left, right),
        [left, ..] => (left, 0),
        [] => (0, 0),
    })
}

/// Joins neighbours in place; an odd one at the end stays as it is.
fn join(numbers: &mut Vec<u32>, mut number_of: impl FnMut(u64) -> u32) {
    let half = numbers.len().div_ceil(2);
    for i in 0..half {
        numbers[i] = match numbers.get(2 * i + 1) {
            Some(&right) => number_of(pair(numbers[2 * i], right)),
            None => numbers[2 * i],
        };
    }
    numbers.truncate(half);
}

fn pair(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

fn unpair(pair: u64) -> (u32, u32) {
    ((pair >> 32) as u32, pair as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// States of `words` words that differ in one word each.
    fn states(words: usize) -> impl Iterator<Item = Vec<u64>> {
        (0..words).flat_map(move |at| {
            (1..50_u64).map(move |value| {
                let mut state = vec![7; words];
                state[at] = value << 40 | value;
                state
            })
        })
    }

    #[test]
    fn a_state_comes_back_as_it_went_in() {
        for words in 1..=13 {
            let mut store = Store::new(words);
            let mut ids = Vec::new();
            for state in states(words) {
                let shard = shard_of(&state);
                let (number, new) = store.shards[shard].insert(&state, 0);
                assert!(new, "{words} words");
                ids.push(id(shard, number));
            }
            for (state, id) in states(words).zip(ids) {
                let mut back = Vec::new();
                store.get(id, &mut back);
                assert_eq!(back, state, "{words} words");
                assert_eq!(store.find(&state), Some(id));
                let shard = shard_of(&state);
                assert!(!store.shards[shard].insert(&state, 0).1);
            }
            assert_eq!(store.find(&vec![9; words]), None);
            assert_eq!(store.len(), words * 49);
        }
    }
}
