//! Effects: what a transition does.

use crate::actor::Actor;
use crate::contract::Contract;
use crate::guard::Refusal;
use crate::pages::PageSet;
use crate::state::{State, count};
use crate::transition::Transition;

impl State {
    /// Does `transition` if `contract` and the guards permit it.
    ///
    /// # Errors
    ///
    /// The transition and the first guard that refuses it.
    pub fn apply(&self, transition: &Transition, contract: &Contract) -> Result<State, Refusal> {
        self.guards(transition, contract)?;
        Ok(self.effect(transition))
    }

    /// Returns what `transition` leads to, permitted or not.
    ///
    /// Whoever changes `mlocked` owes the change, so [`balance`](State::balance) stays what it was, whatever happens.
    /// A transition that names an actor, an address space or a page that is not there leads nowhere.
    #[must_use]
    pub fn effect(&self, transition: &Transition) -> State {
        let mut next = self.clone();
        if self.knows(transition) {
            next.perform(transition);
        }
        next
    }

    fn perform(&mut self, transition: &Transition) {
        let actor = transition.actor();
        match transition {
            Transition::Call { call, .. } => self.set_call(actor, Some(call.clone())),
            Transition::Want { mm, pages, .. } => {
                replace(&mut self.wanted, mm.index(), |wanted| wanted.union(pages));
            }
            Transition::Unwant { mm, pages, .. } => {
                replace(&mut self.wanted, mm.index(), |wanted| {
                    wanted.difference(pages)
                });
            }
            Transition::Mark { pages, .. } => self.set_mlocked(actor, self.mlocked.union(pages)),
            Transition::Clear { pages, .. } => {
                self.set_mlocked(actor, self.mlocked.difference(pages));
            }
            Transition::Account { delta, .. } => {
                self.nr_mlock = self.nr_mlock.wrapping_add(*delta);
                self.owe(actor, delta.wrapping_neg());
            }
            Transition::Split { heads, mlocked, .. } => {
                let elsewhere = self.mlocked.difference(&self.folios.covering(heads));
                self.set_mlocked(actor, elsewhere.union(mlocked));
                self.folios = self.folios.split_at(heads);
            }
            Transition::Collapse { folio, .. } => {
                let end = folio.last().map_or(0, |last| last + 1);
                self.folios = self.folios.merge(folio.first().unwrap_or(0)..end);
            }
            Transition::Free { pages, .. } => {
                self.set_mlocked(actor, self.mlocked.difference(pages));
                self.present = self.present.difference(pages);
            }
            Transition::Return { .. } => {
                self.lost = self.lost.wrapping_add(self.debt_of(actor));
                replace(&mut self.debt, actor.index(), |_| 0);
                self.set_call(actor, None);
            }
        }
    }

    fn set_call(&mut self, actor: Actor, call: Option<crate::actor::Call>) {
        replace(&mut self.call, actor.index(), |_| call);
    }

    /// Sets the mlocked pages and lets `actor` owe the change.
    fn set_mlocked(&mut self, actor: Actor, pages: PageSet) {
        let change = count(&pages) - count(&self.mlocked);
        self.mlocked = pages;
        self.owe(actor, change);
    }

    fn owe(&mut self, actor: Actor, change: i64) {
        replace(&mut self.debt, actor.index(), |debt| {
            debt.wrapping_add(change)
        });
    }
}

fn replace<T>(list: &mut [T], index: usize, change: impl FnOnce(&T) -> T) {
    if let Some(entry) = list.get_mut(index) {
        *entry = change(entry);
    }
}
