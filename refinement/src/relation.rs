//! The relation between the two sides: what a state of the machine means in the specification.
//!
//! Together with the `mlock-spec` crate this is what a reader must believe.
//!
//! The one line that is not obvious: a page's mlocked-ness is the flag of its folio's head until the
//! split's store that gives the page flags of its own, and its own flag from then on.
//! Not the earlier store that merely drops `PG_tail`: between the two the page still rides on its
//! head.
//! The machine keeps that as one bit per page, `rides`.
//!
//! An address space wants a page that it maps inside an area with `VM_LOCKED`, and also one that it
//! *will map again* there: a migration entry is the kernel's own doing, the task cannot tell it from
//! a mapping, and was promised that the page stays.
//! Were a migration entry no mapping, a split would stop and start wanting at every entry, and what
//! it does to marks in between would go unjudged; so this is the stricter reading.
//! Between calls there are no such entries, so the laws that speak of then say the same either way.
//!
//! Debts and losses are history variables: the judge writes them, the machine never looks.

use mlock_impl::machine::{Batched, Field, Machine, Pmd, RegionKind};
use mlock_spec::{AtRest, Call, Folios, PageSet, State};

/// The machine's side of the relation, with what is fixed for a scenario.
#[derive(Debug)]
pub struct Relation {
    /// The pages that exist at all; the huge zero page's addresses have none.
    pages: PageSet,
    /// Each CPU's script, in the specification's words.
    calls: Vec<Vec<Call>>,
}

/// Where the history variables are kept in a state.
#[derive(Debug)]
pub struct History<'m> {
    /// What each actor owes.
    pub debt: &'m [Field],
    /// What was written off.
    pub lost: Field,
}

impl Relation {
    /// The relation for a machine whose CPUs make these calls.
    pub fn new(machine: &Machine, calls: Vec<Vec<Call>>) -> Relation {
        let real = machine
            .world()
            .regions
            .iter()
            .filter(|r| r.kind != RegionKind::HugeZero);
        Relation {
            pages: real.flat_map(|r| r.pages()).map(usize::from).collect(),
            calls,
        }
    }

    /// The specification state that `words` stands for.
    pub fn state(&self, machine: &Machine, history: &History<'_>, words: &[u64]) -> State {
        let state = machine.state(words);
        let world = machine.world();
        let all = PageSet::range(0..usize::from(world.pages()));
        let heads = all.difference(&PageSet::from_words(state.rides()));
        let folios = Folios::new(usize::from(world.pages()), heads);
        let present = self.pages.difference(&PageSet::from_words(state.free()));
        let flags = PageSet::from_words(state.mlocked());
        let mlocked = folios.covering(&flags.intersection(folios.heads()));
        State {
            mlocked: mlocked.intersection(&present),
            wanted: (0..world.mms)
                .map(|mm| self.wanted(machine, words, mm))
                .collect(),
            call: (0..self.calls.len())
                .map(|cpu| self.call(machine, words, cpu).cloned())
                .collect(),
            nr_mlock: state.nr_mlock(),
            debt: history.debt.iter().map(|field| field.get(words)).collect(),
            lost: history.lost.get(words),
            folios,
            present,
        }
    }

    /// The call that a CPU is inside of.
    pub fn call(&self, machine: &Machine, words: &[u64], cpu: usize) -> Option<&Call> {
        let call = machine.state(words).call(cpu)?;
        self.calls.get(cpu)?.get(usize::from(call))
    }

    /// The pages that an address space maps, or will map again, inside its areas with `VM_LOCKED`.
    fn wanted(&self, machine: &Machine, words: &[u64], mm: u8) -> PageSet {
        let state = machine.state(words);
        let locked = PageSet::from_words(state.vm_locked(mm));
        if locked.is_empty() {
            return locked;
        }
        let present = PageSet::from_words(state.ptes(mm));
        let ptes = present.union(&PageSet::from_words(state.migration(mm)));
        let world = machine.world();
        let mut mapped = PageSet::new();
        for (i, region) in (0..).zip(&world.regions) {
            let pages = usize::from(region.start)..usize::from(region.start + region.len);
            let home = usize::from(world.home_of(i));
            match (state.pmd(mm, usize::from(i)), state.pmd(mm, home)) {
                (Pmd::Huge | Pmd::Splitting | Pmd::Migration, _) => mapped.insert_range(pages),
                (_, Pmd::Table) => {
                    mapped = mapped.union(&ptes.intersection(&PageSet::range(pages)));
                }
                _ => {}
            }
        }
        if !world.has_spares() {
            return locked.intersection(&mapped);
        }
        // A spare frame is wanted if it is mapped at an address that is.
        let address = |page: usize| usize::from(world.address_of(page as u16));
        let wanted = mapped.iter().filter(|&page| locked.contains(address(page)));
        wanted.collect()
    }
}

/// Which pages somebody has put off to take a locker from, and which are on the unevictable list.
///
/// What keeps a page from reclaim is that list, not the flag: a page that is left there counts as
/// mlocked when the laws ask what nobody wants.
/// Machines whose kernels have no such list have no pages on it.
pub fn lists(machine: &Machine, words: &[u64]) -> AtRest {
    let state = machine.state(words);
    let cpus = 0..machine.programs().len();
    let munlocks = |&(_, kind): &(u16, i64)| kind == Batched::Munlock as i64;
    let batched = cpus.flat_map(|cpu| state.batch(cpu)).filter(munlocks);
    AtRest {
        put_off: batched.map(|(page, _)| usize::from(page)).collect(),
        kept: PageSet::from_words(state.unevictable()),
    }
}
