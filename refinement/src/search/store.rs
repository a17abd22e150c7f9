//! A set of states: packed words in one arena, numbered in the order of their arrival.

use hashbrown::HashTable;
use rustc_hash::FxHasher;
use std::hash::Hasher;

/// The states seen so far. Exact: whole states are compared.
pub(super) struct Store {
    words: usize,
    arena: Vec<u64>,
    table: HashTable<u32>,
}

impl Store {
    pub(super) fn new(words: usize) -> Store {
        Store {
            words,
            arena: Vec::new(),
            table: HashTable::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.arena.len() / self.words
    }

    pub(super) fn get(&self, index: usize) -> &[u64] {
        &self.arena[index * self.words..(index + 1) * self.words]
    }

    /// The number of `state`, which is new if it is the number of states so far.
    pub(super) fn insert(&mut self, state: &[u64]) -> usize {
        let (words, arena) = (self.words, &mut self.arena);
        let at = |i: u32| i as usize * words..(i as usize + 1) * words;
        let entry = self.table.entry(
            hash(state),
            |&i| arena[at(i)] == *state,
            |&i| hash(&arena[at(i)]),
        );
        match entry {
            hashbrown::hash_table::Entry::Occupied(found) => *found.get() as usize,
            hashbrown::hash_table::Entry::Vacant(free) => {
                let index = arena.len() / words;
                free.insert(index as u32);
                arena.extend_from_slice(state);
                index
            }
        }
    }

    pub(super) fn find(&self, state: &[u64]) -> Option<usize> {
        self.table
            .find(hash(state), |&i| self.get(i as usize) == state)
            .map(|&i| i as usize)
    }
}

fn hash(state: &[u64]) -> u64 {
    let mut hasher = FxHasher::default();
    for &word in state {
        hasher.write_u64(word);
    }
    hasher.finish()
}
