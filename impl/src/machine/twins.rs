//! CPUs that run the same program: it makes no difference which of them is which.
//!
//! Exchanging all that two such CPUs have of their own (where they are, their variables, the locks and
//! pages that they hold, their page vectors) turns every run of the machine into another one.
//! That is not so if somebody reaches into the page vectors of a certain CPU; then none are alike.

use super::exec::Machine;
use super::layout::{CpuLayout, Pages};
use super::op::Program;
use super::packed::{Field, Plane};
use super::pagevec::Pagevec;
use std::cmp::Ordering;

/// Groups of CPUs that are alike, of two or more each.
pub(super) fn groups(programs: &[Program], cpus: &[CpuLayout]) -> Vec<Vec<usize>> {
    let mut ops = programs.iter().flat_map(|program| &program.code);
    let of_another = |vec: &Pagevec| matches!(vec, Pagevec::Of(..));
    if ops.any(|instr| instr.op.pagevecs().iter().any(of_another)) {
        return Vec::new();
    }
    let alike = |a: usize, b: usize| {
        let ranges = |cpu: usize| fields(&cpus[cpu]).map(Field::range);
        programs[a].code == programs[b].code && ranges(a).eq(ranges(b))
    };
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for cpu in 0..programs.len() {
        match groups.iter_mut().find(|group| alike(group[0], cpu)) {
            Some(group) => group.push(cpu),
            None => groups.push(vec![cpu]),
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// All that a CPU has of its own, but for what it has of each page.
fn fields(cpu: &CpuLayout) -> impl Iterator<Item = Field> + '_ {
    let locks = cpu.locks.iter().map(|(_, _, field)| *field);
    let pages = cpu.pages.iter().filter_map(|(_, pages)| match pages {
        Pages::Few(slots) => Some(slots),
        Pages::Any(_) => None,
    });
    let pages = pages.flatten().copied();
    let batch = cpu.batch.iter().flat_map(|(page, kind)| [*page, *kind]);
    let own = [cpu.pc].into_iter().chain(cpu.slots.iter().copied());
    own.chain(locks).chain(pages).chain(batch)
}

/// What a CPU has of its own of each page: its page vectors, and the pages that it holds any of.
fn planes(cpu: &CpuLayout) -> impl Iterator<Item = Plane> + '_ {
    let held = cpu.pages.iter().filter_map(|(_, pages)| match pages {
        Pages::Few(_) => None,
        Pages::Any(plane) => Some(*plane),
    });
    let vectors = cpu.batches.iter().map(|(_, plane)| *plane);
    vectors.chain(held)
}

impl Machine {
    /// Groups of CPUs that run the same program, of two or more each, if it makes no difference which
    /// of them is which.
    pub fn twins(&self) -> &[Vec<usize>] {
        &self.twins
    }

    /// Puts what two CPUs that are alike have of their own in an order.
    pub fn compare(&self, words: &[u64], a: usize, b: usize) -> Ordering {
        let (one, other) = (&self.layout.cpus[a], &self.layout.cpus[b]);
        let values = |cpu| fields(cpu).map(|field| field.get(words));
        let bits = |cpu| planes(cpu).flat_map(|plane| plane.words(words).collect::<Vec<u64>>());
        values(one)
            .cmp(values(other))
            .then_with(|| bits(one).cmp(bits(other)))
    }

    /// Exchanges what two CPUs that are alike have of their own.
    pub fn exchange(&self, words: &mut [u64], a: usize, b: usize) {
        let (one, other) = (&self.layout.cpus[a], &self.layout.cpus[b]);
        for (left, right) in fields(one).zip(fields(other)) {
            left.exchange(right, words);
        }
        for (left, right) in planes(one).zip(planes(other)) {
            for page in 0..self.world.pages() {
                let (l, r) = (left.get(words, page), right.get(words, page));
                left.set(words, page, r);
                right.set(words, page, l);
            }
        }
    }
}
