//! The set of states seen, each in a few bytes, exactly.
//!
//! A state is a row of words, and a step changes few of them.
//! So the row is kept as a tree of pairs: two neighbouring words are a pair with a number, two
//! neighbouring numbers are a pair with a number again, and what is left in the end is one pair of
//! numbers for the whole state, the root.
//! Pairs are kept once, whole: two states are the same if and only if their roots are.
//! Near the words there are few different pairs, so a state costs little more than its root: eight
//! bytes, with its place in the table and its parent some 20, whether it has four words or a hundred.
//!
//! States are added by the thousand, one row of the trees after the other.
//! Each set of pairs is cut into parts by a hash of the pair, so that several threads can add to it at
//! once without a lock; which number a pair gets does not depend on how many there are.

use super::table::{Key, Table, mix};
use std::sync::atomic::{AtomicU32, Ordering};

/// How many parts a set has.
pub(super) const PARTS: usize = 8;

/// The number of a state: its part in the lowest bits.
pub(super) type Id = u32;

/// A hash of a whole state.
pub(super) fn hash(state: &[u64]) -> u64 {
    state.iter().fold(0, |hash, &word| mix(hash ^ word))
}

/// The states seen so far.
#[derive(Debug)]
pub(super) struct Store {
    /// Words per state, and the pairs in each row of a tree, from the leaves up to the last but the
    /// root.
    words: usize,
    rows: Vec<usize>,
    /// Pairs of words.
    leaves: Vec<Table<(u64, u64)>>,
    /// Pairs of numbers, but for roots.
    pairs: Vec<Table<u64>>,
    /// The root of each state.
    roots: Vec<Table<u64>>,
    /// For each state, the state that it was first reached from.
    parents: Vec<Vec<Id>>,
}

/// A state to add, behind the number of the state that leads to it (in the low 32 bits).
pub(super) type Entry<'e> = &'e [u64];

/// The number of a state, and whether it is new.
pub(super) type Added = (Id, bool);

impl Store {
    pub(super) fn new(words: usize) -> Store {
        let mut rows = vec![words.div_ceil(2).max(1)];
        while let Some(&row) = rows.last().filter(|row| **row > 2) {
            rows.push(row.div_ceil(2));
        }
        Store {
            words,
            rows,
            leaves: (0..PARTS).map(|_| Table::new()).collect(),
            pairs: (0..PARTS).map(|_| Table::new()).collect(),
            roots: (0..PARTS).map(|_| Table::new()).collect(),
            parents: vec![Vec::new(); PARTS],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.parents.iter().map(Vec::len).sum()
    }

    /// How many states each part has.
    pub(super) fn sizes(&self) -> [u32; PARTS] {
        std::array::from_fn(|part| self.parents[part].len() as u32)
    }

    /// Adds a state; tells its number and whether it is new.
    pub(super) fn insert(&mut self, entry: Entry<'_>) -> Added {
        let mut added = (0, false);
        self.insert_all(&[entry], 1, |_, one| added = one);
        added
    }

    /// Adds states; tells of each, in order, its number and whether it is new.
    pub(super) fn insert_all(
        &mut self,
        entries: &[Entry<'_>],
        threads: usize,
        mut tell: impl FnMut(Entry<'_>, Added),
    ) {
        let width = self.rows[0];
        let leaf = |i: usize| {
            let state = &entries[i / width][1..];
            leaf(state, i % width)
        };
        let mut numbers = fresh(entries.len() * width);
        number_all(
            &mut self.leaves,
            threads,
            width,
            numbers.len(),
            leaf,
            &numbers,
        );
        for two in self.rows.windows(2) {
            let (from, to) = (two[0], two[1]);
            let row = fresh(entries.len() * to);
            let key = |i: usize| {
                let (entry, at) = (i / to, i % to);
                let left = numbers[entry * from + 2 * at].load(Ordering::Relaxed);
                let right = (2 * at + 1 < from)
                    .then(|| numbers[entry * from + 2 * at + 1].load(Ordering::Relaxed));
                // An odd one at the end is paired with nothing.
                pair(left, right.unwrap_or(u32::MAX))
            };
            number_all(&mut self.pairs, threads, to, row.len(), key, &row);
            numbers = row;
        }
        let last = self.rows[self.rows.len() - 1];
        let root = |i: usize| {
            let number = |at: usize| numbers[i * last + at].load(Ordering::Relaxed);
            pair(number(0), if last == 2 { number(1) } else { u32::MAX })
        };
        let ids = fresh(entries.len());
        number_all(&mut self.roots, threads, 1, ids.len(), root, &ids);
        for (entry, id) in entries.iter().zip(ids) {
            let id = id.into_inner();
            let (part, number) = place(id);
            let parents = &mut self.parents[part];
            // In each part, states are numbered in the order of their entries.
            let new = number as usize == parents.len();
            if new {
                parents.push(entry[0] as Id);
            }
            tell(entry, (id, new));
        }
    }

    /// The number of a state, if it is there.
    pub(super) fn find(&self, state: &[u64]) -> Option<Id> {
        let mut numbers = (0..self.rows[0])
            .map(|at| find(&self.leaves, leaf(state, at)))
            .collect::<Option<Vec<u32>>>()?;
        for _ in 1..self.rows.len() {
            let pairs = numbers.chunks(2).map(pair_of);
            numbers = pairs
                .map(|pair| find(&self.pairs, pair))
                .collect::<Option<Vec<u32>>>()?;
        }
        find(&self.roots, pair_of(&numbers))
    }

    /// Writes the state with this number to the end of `out`.
    pub(super) fn get(&self, id: Id, out: &mut Vec<u64>) {
        let mut numbers = Vec::with_capacity(self.rows[0] + 1);
        let mut below = Vec::with_capacity(self.rows[0] + 1);
        let both = |pair: u64, out: &mut Vec<u32>| {
            let (left, right) = unpair(pair);
            out.push(left);
            if right != u32::MAX {
                out.push(right);
            }
        };
        both(key(&self.roots, id), &mut numbers);
        for _ in 1..self.rows.len() {
            below.clear();
            for &number in &numbers {
                both(key(&self.pairs, number), &mut below);
            }
            std::mem::swap(&mut numbers, &mut below);
        }
        let from = out.len();
        for number in numbers {
            let (left, right) = key(&self.leaves, number);
            out.extend([left, right]);
        }
        out.truncate(from + self.words);
    }

    /// The state that a state was first reached from; the first one is its own parent.
    pub(super) fn parent(&self, id: Id) -> Id {
        let (part, number) = place(id);
        self.parents[part][number as usize]
    }

    pub(super) fn set_parent(&mut self, id: Id, parent: Id) {
        let (part, number) = place(id);
        self.parents[part][number as usize] = parent;
    }

    /// Memory taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let parents = self.parents.iter().map(Vec::capacity).sum::<usize>();
        let leaves = self.leaves.iter().map(Table::bytes).sum::<usize>();
        let pairs = self.pairs.iter().chain(&self.roots);
        leaves + pairs.map(Table::bytes).sum::<usize>() + parents * size_of::<Id>()
    }
}

/// A number in the whole set.
pub(super) fn id(part: usize, number: u32) -> Id {
    number * PARTS as u32 + part as u32
}

/// The part of a number, and the number there.
pub(super) fn place(id: Id) -> (usize, u32) {
    ((id % PARTS as u32) as usize, id / PARTS as u32)
}

fn part_of<K: Key>(key: K) -> usize {
    // The high bits find the place in the table.
    key.spread() as usize % PARTS
}

fn find<K: Key>(parts: &[Table<K>], key: K) -> Option<u32> {
    let part = part_of(key);
    parts[part].find(key).map(|number| id(part, number))
}

fn key<K: Key>(parts: &[Table<K>], number: u32) -> K {
    let (part, number) = place(number);
    parts[part].key(number)
}

fn fresh(count: usize) -> Vec<AtomicU32> {
    std::iter::repeat_with(AtomicU32::default)
        .take(count)
        .collect()
}

/// Numbers `count` keys, each thread those of some parts; the key `width` places before is often the
/// same.
fn number_all<K: Key>(
    parts: &mut [Table<K>],
    threads: usize,
    width: usize,
    count: usize,
    key: impl Fn(usize) -> K + Sync,
    numbers: &[AtomicU32],
) {
    let share = PARTS.div_ceil(threads.clamp(1, PARTS));
    let work = |from: usize, parts: &mut [Table<K>]| {
        for i in 0..count {
            let this = key(i);
            let part = part_of(this);
            if part < from || part >= from + parts.len() {
                continue;
            }
            let number = if i >= width && key(i - width) == this {
                numbers[i - width].load(Ordering::Relaxed)
            } else {
                id(part, parts[part - from].insert(this).0)
            };
            numbers[i].store(number, Ordering::Relaxed);
        }
    };
    if share == PARTS {
        return work(0, parts);
    }
    std::thread::scope(|scope| {
        for (i, parts) in parts.chunks_mut(share).enumerate() {
            let work = &work;
            scope.spawn(move || work(i * share, parts));
        }
    });
}

/// The pair of words at a place in the lowest row.
fn leaf(state: &[u64], at: usize) -> (u64, u64) {
    let word = |i: usize| state.get(i).copied().unwrap_or(0);
    (word(2 * at), word(2 * at + 1))
}

/// A pair of one or two numbers.
fn pair_of(numbers: &[u32]) -> u64 {
    let number = |i: usize| numbers.get(i).copied().unwrap_or(u32::MAX);
    pair(number(0), number(1))
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

    /// States of `words` words that differ in one word each, behind a number.
    fn entries(words: usize) -> Vec<Vec<u64>> {
        let all = (0..words).flat_map(move |at| {
            (1..50_u64).map(move |value| {
                let mut entry = vec![7; words + 1];
                entry[at + 1] = value << 40 | value;
                entry
            })
        });
        all.collect()
    }

    #[test]
    fn a_state_comes_back_as_it_went_in() {
        for words in 1..=13 {
            let mut store = Store::new(words);
            let entries = entries(words);
            for entry in &entries {
                let (id, new) = store.insert(entry);
                assert!(new, "{words} words");
                let mut back = Vec::new();
                store.get(id, &mut back);
                assert_eq!(back, entry[1..], "{words} words");
                assert_eq!(store.find(&entry[1..]), Some(id));
                assert_eq!(store.parent(id), 7);
            }
            assert!(entries.iter().all(|entry| !store.insert(entry).1));
            assert_eq!(store.find(&vec![9; words]), None);
            assert_eq!(store.len(), words * 49);
        }
    }

    #[test]
    fn numbers_do_not_depend_on_how_many_threads_there_are() {
        for words in [1, 4, 9] {
            let entries = entries(words);
            let twice: Vec<&[u64]> = entries.iter().chain(&entries).map(Vec::as_slice).collect();
            let added = |threads| {
                let (mut store, mut added) = (Store::new(words), Vec::new());
                store.insert_all(&twice, threads, |_, one| added.push(one));
                added
            };
            assert_eq!(added(1), added(3), "{words} words");
            assert_eq!(added(1).iter().filter(|(_, new)| *new).count(), words * 49);
        }
    }
}
