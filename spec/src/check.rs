//! Guards as rules: when a transition is refused.
//!
//! Rules are asked in order of use to the reader: first whether the transition makes sense at all, then what it would break.

use crate::actor::{Actor, Call, Mm};
use crate::contract::{Contract, SplitGuarantee, UpkeepGuarantee};
use crate::guard::{Guard, Refusal};
use crate::pages::PageSet;
use crate::state::State;
use crate::transition::Transition;

type Verdict = Result<(), Guard>;

impl State {
    /// Says whether `transition` may happen here under `contract`.
    ///
    /// # Errors
    ///
    /// The transition and the first guard that refuses it.
    pub fn guards(&self, transition: &Transition, contract: &Contract) -> Result<(), Refusal> {
        self.names(transition)
            .and_then(|()| self.in_call(transition))
            .and_then(|()| self.rule(transition, contract))
            .map_err(|guard| Refusal {
                transition: transition.clone(),
                guard,
            })
    }

    /// Checks that the state has whatever the transition names.
    pub(crate) fn names(&self, transition: &Transition) -> Verdict {
        let (actor, memory) = (transition.actor(), PageSet::range(0..self.folios.pages()));
        let actors = self.call.len().min(self.debt.len());
        ensure(actor.index() < actors, || Guard::UnknownActor { actor })?;
        for mm in transition.mms() {
            ensure(mm.index() < self.wanted.len(), || Guard::UnknownMm { mm })?;
        }
        let pages = transition.pages().difference(&memory);
        none(pages, |pages| Guard::OutsideMemory { pages })
    }

    /// Checks that a call begins outside calls, and that everything else happens inside one.
    fn in_call(&self, transition: &Transition) -> Verdict {
        match (transition, self.call_of(transition.actor())) {
            (Transition::Call { .. }, Some(call)) => {
                Err(Guard::CallInFlight { call: call.clone() })
            }
            (Transition::Call { .. }, None) | (_, Some(_)) => Ok(()),
            (_, None) => Err(Guard::NoCall),
        }
    }

    fn rule(&self, transition: &Transition, contract: &Contract) -> Verdict {
        match transition {
            Transition::Call { .. } => Ok(()),
            Transition::Want { mm, pages, .. } => self.may_want(*mm, pages),
            Transition::Unwant { mm, pages, .. } => self.may_unwant(*mm, pages),
            Transition::Mark { actor, pages } => self.may_mark(*actor, pages, contract),
            Transition::Clear { actor, pages } => self.may_clear(*actor, pages, contract),
            Transition::Account { actor, delta } => self.may_account(*actor, *delta),
            Transition::Split { heads, mlocked, .. } => self.may_split(heads, mlocked),
            Transition::Collapse { folio, .. } => self.may_collapse(folio),
            Transition::Free { pages, .. } => self.may_free(pages),
            Transition::Return { actor } => self.may_return(*actor),
        }
    }

    fn may_want(&self, mm: Mm, pages: &PageSet) -> Verdict {
        some(pages)?;
        let already = self.wanted_by(mm).map(|wanted| wanted.intersection(pages));
        none(already.unwrap_or_default(), |pages| Guard::AlreadyWanted {
            pages,
            mm,
        })
    }

    fn may_unwant(&self, mm: Mm, pages: &PageSet) -> Verdict {
        some(pages)?;
        let missing = self.wanted_by(mm).map(|wanted| pages.difference(wanted));
        none(missing.unwrap_or_default(), |pages| Guard::NotWanted {
            pages,
            mm,
        })
    }

    fn may_mark(&self, actor: Actor, pages: &PageSet, contract: &Contract) -> Verdict {
        self.whole_folios(pages)?;
        none(pages.difference(&self.present), |pages| Guard::NotPresent {
            pages,
        })?;
        let already = pages.intersection(&self.mlocked);
        none(already, |pages| Guard::AlreadyMlocked { pages })?;
        self.may_touch_marks(actor, contract).map(|_| ())
    }

    fn may_clear(&self, actor: Actor, pages: &PageSet, contract: &Contract) -> Verdict {
        self.whole_folios(pages)?;
        none(pages.difference(&self.mlocked), |pages| Guard::NotMlocked {
            pages,
        })?;
        match self.may_touch_marks(actor, contract)? {
            MayTouch::Yes => Ok(()),
            MayTouch::No => self.unwanted(pages),
        }
    }

    fn may_account(&self, actor: Actor, delta: i64) -> Verdict {
        let debt = self.debt_of(actor);
        ensure(delta == debt, || Guard::WrongDelta { debt })?;
        ensure(delta != 0, || Guard::NothingOwed)
    }

    fn may_split(&self, heads: &PageSet, after: &PageSet) -> Verdict {
        some(heads)?;
        let already = heads.intersection(self.folios.heads());
        none(already, |heads| Guard::AlreadyHeads { heads })?;
        let before = self.mlocked.intersection(&self.folios.covering(heads));
        let after = after.clone();
        ensure(before == after, || Guard::SplitChangesMarks {
            before,
            after,
        })
    }

    fn may_collapse(&self, folio: &PageSet) -> Verdict {
        self.whole_folios(folio)?;
        ensure(folio.runs().count() == 1, || Guard::NotOneRun)?;
        let folios = folio.intersection(self.folios.heads()).len();
        ensure(folios > 1, || Guard::OneFolio)?;
        let mlocked = folio.intersection(&self.mlocked);
        let uniform = mlocked.is_empty() || mlocked == *folio;
        ensure(uniform, || Guard::MixedMarks { mlocked })
    }

    fn may_free(&self, pages: &PageSet) -> Verdict {
        self.whole_folios(pages)?;
        none(pages.difference(&self.present), |pages| Guard::NotPresent {
            pages,
        })?;
        self.unwanted(pages)?;
        let mlocked = pages.intersection(&self.mlocked);
        none(mlocked, |pages| Guard::StillMlocked { pages })
    }

    fn may_return(&self, actor: Actor) -> Verdict {
        let debt = self.debt_of(actor);
        ensure(debt == 0, || Guard::DebtAtReturn { debt })
    }

    fn whole_folios(&self, pages: &PageSet) -> Verdict {
        some(pages)?;
        let left_out = self.folios.covering(pages).difference(pages);
        none(left_out, |left_out| Guard::CutsFolio { left_out })
    }

    fn unwanted(&self, pages: &PageSet) -> Verdict {
        for (mm, wanted) in (0..).map(Mm).zip(&self.wanted) {
            none(pages.intersection(wanted), |pages| Guard::StillWanted {
                pages,
                mm,
            })?;
        }
        Ok(())
    }

    fn may_touch_marks(&self, actor: Actor, contract: &Contract) -> Result<MayTouch, Guard> {
        match (self.call_of(actor), contract.split) {
            (Some(Call::Split { .. }), SplitGuarantee::KeepsMarks) => Err(Guard::MarksInSplit),
            (Some(Call::Split { .. }), SplitGuarantee::MayClearAndRemark) => Ok(MayTouch::Yes),
            (Some(Call::Upkeep { .. }), _)
                if contract.upkeep == UpkeepGuarantee::MayClearAndRemark =>
            {
                Ok(MayTouch::Yes)
            }
            _ => Ok(MayTouch::No),
        }
    }
}

/// Whether an actor may clear a mark that somebody wants.
enum MayTouch {
    Yes,
    No,
}

fn ensure(holds: bool, guard: impl FnOnce() -> Guard) -> Verdict {
    if holds { Ok(()) } else { Err(guard()) }
}

fn none(faulty: PageSet, guard: impl FnOnce(PageSet) -> Guard) -> Verdict {
    if faulty.is_empty() {
        Ok(())
    } else {
        Err(guard(faulty))
    }
}

fn some(pages: &PageSet) -> Verdict {
    ensure(!pages.is_empty(), || Guard::NoPages)
}
