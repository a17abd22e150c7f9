//! The judge: is this concrete step a step of the specification?
//!
//! It looks at the abstract state before and after.
//! If they are equal the step is a *stutter*.
//! Otherwise the difference names exactly one candidate transition, which must lead from the one to
//! the other, and whose guards must hold.
//! A refused step does not end the run: the books are corrected as if it had been allowed, so that
//! the search goes on and every law gets a verdict of its own.

use crate::relation::{History, Relation};
use mlock_impl::machine::Machine;
use mlock_spec::{Actor, Contract, Folios, Mm, PageSet, Refusal, State, Transition};

/// What a step is in the specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing that the specification can see.
    Stutter,
    /// This transition, and all its guards hold.
    Matched(Transition),
    /// This transition, but a guard refuses it.
    Refused(Refusal),
    /// More than one thing changed at once: no transition does that.
    Nothing(String),
}

/// The judge of one scenario.
#[derive(Debug)]
pub struct Judge {
    relation: Relation,
    contract: Contract,
    /// The words in which a difference can matter, each with the bits that can.
    observable: Vec<(usize, u64)>,
}

impl Judge {
    /// A judge that knows how states relate and what is promised.
    pub fn new(machine: &Machine, relation: Relation, contract: Contract) -> Judge {
        Judge {
            relation,
            contract,
            observable: nonzero(machine.observable()),
        }
    }

    /// The contract it judges by.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// The relation it judges by.
    pub fn relation(&self) -> &Relation {
        &self.relation
    }

    /// Judges the step of `actor` from `before` to `after`, and writes the history variables of
    /// `after`.
    ///
    /// # Errors
    ///
    /// If a history variable leaves the range that the layout has room for.
    pub fn step(
        &self,
        machine: &Machine,
        before: &[u64],
        actor: usize,
        after: &mut [u64],
    ) -> Result<Verdict, String> {
        if self.overlooks(machine, before, actor, after) {
            return Ok(Verdict::Stutter);
        }
        let history = history(machine);
        let old = self.relation.state(machine, &history, before);
        let new = self.relation.state(machine, &history, after);
        let transition = match candidate(&old, &new, actor) {
            Ok(Some(transition)) => transition,
            Ok(None) => return Ok(Verdict::Stutter),
            Err(what) => return Ok(Verdict::Nothing(what)),
        };
        let done = old.effect(&transition);
        let books = State {
            debt: done.debt.clone(),
            lost: done.lost,
            ..new
        };
        if books != done {
            let what = format!("{transition} does not lead to what is seen");
            return Ok(Verdict::Nothing(what));
        }
        let fits = history
            .debt
            .iter()
            .zip(&done.debt)
            .all(|(field, debt)| field.set(after, *debt));
        if !(fits && history.lost.set(after, done.lost)) {
            return Err("a debt outgrew its variable".to_owned());
        }
        Ok(match old.guards(&transition, &self.contract) {
            Ok(()) => Verdict::Matched(transition),
            Err(refusal) => Verdict::Refused(refusal),
        })
    }

    /// Whether a step changes nothing that matters here, which is a stutter.
    pub fn overlooks(
        &self,
        machine: &Machine,
        before: &[u64],
        actor: usize,
        after: &[u64],
    ) -> bool {
        let same = |&(word, bits): &(usize, u64)| (before[word] ^ after[word]) & bits == 0;
        let call = |words| machine.state(words).call(actor);
        self.observable.iter().all(same) && call(before) == call(after)
    }

    /// What all actors together have changed in the marks and not accounted, and what was lost that
    /// way, in base pages.
    pub fn owed(&self, machine: &Machine, words: &[u64]) -> i64 {
        let history = history(machine);
        let debts = history.debt.iter().map(|field| field.get(words));
        debts.sum::<i64>() + history.lost.get(words)
    }

    /// The specification state that `words` stands for.
    pub fn abstract_state(&self, machine: &Machine, words: &[u64]) -> State {
        self.relation.state(machine, &history(machine), words)
    }
}

/// The words in which some bits are set, each with those.
pub(crate) fn nonzero(mask: Vec<u64>) -> Vec<(usize, u64)> {
    let words = mask.into_iter().enumerate();
    words.filter(|(_, bits)| *bits != 0).collect()
}

/// The history variables of a machine that was built with [`history_ranges`].
pub fn history(machine: &Machine) -> History<'_> {
    match machine.extra() {
        [debt @ .., lost] => History { debt, lost: *lost },
        [] => unreachable!("a judged machine carries history variables"),
    }
}

/// The ranges of the history variables: each actor's debt, then what was lost. In base pages, of
/// which each can at worst count for `widest`.
pub fn history_ranges(
    actors: usize,
    pages: u16,
    widest: i64,
) -> Vec<std::ops::RangeInclusive<i64>> {
    // As for the statistic: far beyond what the calls of a scenario can owe.
    let most = i64::from(pages) * 8 * widest;
    let lost = most * (actors as i64 + 1);
    std::iter::repeat_n(-most..=most, actors)
        .chain([-lost..=lost])
        .collect()
}

/// The one transition that could lead from `old` to `new`; none if they are equal.
fn candidate(old: &State, new: &State, actor: usize) -> Result<Option<Transition>, String> {
    let who = Actor(actor as u8);
    let mut found = Vec::new();
    match (&old.call[actor], &new.call[actor]) {
        (None, Some(call)) => found.push(Transition::Call {
            actor: who,
            call: call.clone(),
        }),
        (Some(_), None) => found.push(Transition::Return { actor: who }),
        _ => {}
    }
    for (mm, (before, after)) in old.wanted.iter().zip(&new.wanted).enumerate() {
        let mm = Mm(mm as u8);
        let (more, less) = (after.difference(before), before.difference(after));
        if !more.is_empty() {
            found.push(Transition::Want {
                actor: who,
                mm,
                pages: more,
            });
        }
        if !less.is_empty() {
            found.push(Transition::Unwant {
                actor: who,
                mm,
                pages: less,
            });
        }
    }
    if new.nr_mlock != old.nr_mlock {
        found.push(Transition::Account {
            actor: who,
            delta: new.nr_mlock - old.nr_mlock,
        });
    }
    if let Some(transition) = of_pages(old, new, who) {
        found.push(transition);
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => {
            let all: Vec<String> = found.iter().map(Transition::brief).collect();
            Err(format!("several things at once: {}", all.join(", ")))
        }
    }
}

/// What happened to folios and their flags.
fn of_pages(old: &State, new: &State, actor: Actor) -> Option<Transition> {
    let freed = old.present.difference(&new.present);
    if !freed.is_empty() {
        return Some(Transition::Free {
            actor,
            pages: freed,
        });
    }
    let heads = new.folios.heads().difference(old.folios.heads());
    if !heads.is_empty() {
        let mlocked = new.mlocked.intersection(&affected(&old.folios, &heads));
        return Some(Transition::Split {
            actor,
            heads,
            mlocked,
        });
    }
    let gone = old.folios.heads().difference(new.folios.heads());
    if let Some(page) = gone.first() {
        let folio = PageSet::range(new.folios.folio_of(page));
        return Some(Transition::Collapse { actor, folio });
    }
    let (more, less) = (
        new.mlocked.difference(&old.mlocked),
        old.mlocked.difference(&new.mlocked),
    );
    if !more.is_empty() {
        return Some(Transition::Mark { actor, pages: more });
    }
    (!less.is_empty()).then_some(Transition::Clear { actor, pages: less })
}

fn affected(folios: &Folios, heads: &PageSet) -> PageSet {
    folios.covering(heads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::load;
    use std::path::Path;

    #[test]
    fn no_bit_that_can_be_seen_is_overlooked() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
        let fixture = load(&fixtures.join("v3.7/munlock_vs_split.ron")).unwrap();
        let system = fixture.concrete(2).unwrap().judged().unwrap();
        let machine = system.machine();
        let relation = Relation::new(machine, vec![Vec::new(); 2]);
        let judge = Judge::new(machine, relation, Contract::ORIGINAL);
        let nothing = vec![0; machine.words()];
        let visible = machine.observable();
        for bit in 0..64 * machine.words() {
            let (mut one, mask) = (nothing.clone(), 1 << (bit % 64));
            one[bit / 64] |= mask;
            let seen = visible[bit / 64] & mask != 0;
            if !seen && machine.state(&one).call(0) != machine.state(&nothing).call(0) {
                continue;
            }
            assert!(judge.overlooks(machine, &one, 0, &one), "bit {bit}");
            for (before, after) in [(&nothing, &one), (&one, &nothing)] {
                let overlooked = judge.overlooks(machine, before, 0, after);
                assert_eq!(overlooked, !seen, "bit {bit}");
            }
        }
    }
}
