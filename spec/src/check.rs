//! Guards as rules: when a transition is refused.
//!
//! Rules are asked in order of use to the reader: first whether the transition makes sense at all, then what it would break.
//! The first guard that refuses is the one that is told; the others are asked all the same, for whoever wants to know whether a guard makes a difference.

use crate::actor::{Actor, Call, Mm};
use crate::contract::{Contract, MarkGuarantee};
use crate::guard::{Guard, GuardKind, Refusal};
use crate::pages::PageSet;
use crate::state::State;
use crate::transition::Transition;

impl State {
    /// Says whether `transition` may happen here under `contract`.
    ///
    /// # Errors
    ///
    /// The transition and the first guard that refuses it.
    pub fn guards(&self, transition: &Transition, contract: &Contract) -> Result<(), Refusal> {
        match self.refusals(transition, contract).into_iter().next() {
            None => Ok(()),
            Some(guard) => Err(Refusal {
                transition: transition.clone(),
                guard,
            }),
        }
    }

    /// Returns every guard that refuses `transition`, in the order in which they are asked.
    pub fn refusals(&self, transition: &Transition, contract: &Contract) -> Vec<Guard> {
        let mut asked = Asked::default();
        self.ask(transition, contract, &mut asked);
        asked.refused
    }

    /// Returns every guard that is asked about `transition`, whether it refuses or not.
    pub fn asked(&self, transition: &Transition, contract: &Contract) -> Vec<GuardKind> {
        let mut asked = Asked {
            refused: Vec::new(),
            whatever: true,
        };
        self.ask(transition, contract, &mut asked);
        asked.refused.iter().map(Guard::kind).collect()
    }

    fn ask(&self, transition: &Transition, contract: &Contract, asked: &mut Asked) {
        self.names(transition, asked);
        self.in_call(transition, asked);
        self.rule(transition, contract, asked);
    }

    /// Checks that the state has whatever the transition names.
    fn names(&self, transition: &Transition, asked: &mut Asked) {
        let (actor, memory) = (transition.actor(), PageSet::range(0..self.folios.pages()));
        let actors = self.call.len().min(self.debt.len());
        asked.ensure(actor.index() < actors, || Guard::UnknownActor { actor });
        for mm in transition.mms() {
            asked.ensure(mm.index() < self.wanted.len(), || Guard::UnknownMm { mm });
        }
        let pages = transition.pages().difference(&memory);
        asked.none(pages, |pages| Guard::OutsideMemory { pages });
    }

    /// Says whether the state has whatever the transition names.
    pub(crate) fn knows(&self, transition: &Transition) -> bool {
        let mut asked = Asked::default();
        self.names(transition, &mut asked);
        asked.refused.is_empty()
    }

    /// Checks that a call begins outside calls, and that everything else happens inside one.
    fn in_call(&self, transition: &Transition, asked: &mut Asked) {
        let call = self.call_of(transition.actor());
        match (transition, call) {
            (Transition::Call { .. }, None) => {}
            (Transition::Call { .. }, Some(call)) => {
                asked.ensure(false, || Guard::CallInFlight { call: call.clone() });
            }
            _ => asked.ensure(call.is_some(), || Guard::NoCall),
        }
    }

    fn rule(&self, transition: &Transition, contract: &Contract, asked: &mut Asked) {
        match transition {
            Transition::Call { .. } => {}
            Transition::Want { mm, pages, .. } => self.may_want(*mm, pages, asked),
            Transition::Unwant { mm, pages, .. } => self.may_unwant(*mm, pages, asked),
            Transition::Mark { actor, pages } => self.may_mark(*actor, pages, contract, asked),
            Transition::Clear { actor, pages } => self.may_clear(*actor, pages, contract, asked),
            Transition::Account { actor, delta } => self.may_account(*actor, *delta, asked),
            Transition::Split { heads, mlocked, .. } => self.may_split(heads, mlocked, asked),
            Transition::Collapse { folio, .. } => self.may_collapse(folio, asked),
            Transition::Free { pages, .. } => self.may_free(pages, asked),
            Transition::Return { actor } => self.may_return(*actor, asked),
        }
    }

    fn may_want(&self, mm: Mm, pages: &PageSet, asked: &mut Asked) {
        asked.some(pages);
        asked.none(pages.difference(&self.present), |pages| Guard::NotPresent {
            pages,
        });
        let already = self.wanted_by(mm).map(|wanted| wanted.intersection(pages));
        asked.none(already.unwrap_or_default(), |pages| Guard::AlreadyWanted {
            pages,
            mm,
        });
    }

    fn may_unwant(&self, mm: Mm, pages: &PageSet, asked: &mut Asked) {
        asked.some(pages);
        let missing = self.wanted_by(mm).map(|wanted| pages.difference(wanted));
        asked.none(missing.unwrap_or_default(), |pages| Guard::NotWanted {
            pages,
            mm,
        });
    }

    fn may_mark(&self, actor: Actor, pages: &PageSet, contract: &Contract, asked: &mut Asked) {
        self.whole_folios(pages, asked);
        asked.none(pages.difference(&self.present), |pages| Guard::NotPresent {
            pages,
        });
        let already = pages.intersection(&self.mlocked);
        asked.none(already, |pages| Guard::AlreadyMlocked { pages });
        self.may_touch_marks(actor, contract, asked);
    }

    fn may_clear(&self, actor: Actor, pages: &PageSet, contract: &Contract, asked: &mut Asked) {
        self.whole_folios(pages, asked);
        asked.none(pages.difference(&self.mlocked), |pages| Guard::NotMlocked {
            pages,
        });
        match self.may_touch_marks(actor, contract, asked) {
            MayTouch::Yes => {}
            MayTouch::No => self.unwanted(pages, asked),
        }
    }

    fn may_account(&self, actor: Actor, delta: i64, asked: &mut Asked) {
        let debt = self.debt_of(actor);
        asked.ensure(delta == debt, || Guard::WrongDelta { debt });
        asked.ensure(delta != 0, || Guard::NothingOwed);
    }

    fn may_split(&self, heads: &PageSet, after: &PageSet, asked: &mut Asked) {
        asked.some(heads);
        let already = heads.intersection(self.folios.heads());
        asked.none(already, |heads| Guard::AlreadyHeads { heads });
        let before = self.mlocked.intersection(&self.folios.covering(heads));
        let after = after.clone();
        asked.ensure(before == after, || Guard::SplitChangesMarks {
            before,
            after,
        });
    }

    fn may_collapse(&self, folio: &PageSet, asked: &mut Asked) {
        self.whole_folios(folio, asked);
        asked.ensure(folio.runs().count() == 1, || Guard::NotOneRun);
        let folios = folio.intersection(self.folios.heads()).len();
        asked.ensure(folios > 1, || Guard::OneFolio);
        let mlocked = folio.intersection(&self.mlocked);
        let uniform = mlocked.is_empty() || mlocked == *folio;
        asked.ensure(uniform, || Guard::MixedMarks { mlocked });
    }

    fn may_free(&self, pages: &PageSet, asked: &mut Asked) {
        self.whole_folios(pages, asked);
        asked.none(pages.difference(&self.present), |pages| Guard::NotPresent {
            pages,
        });
        self.unwanted(pages, asked);
        let mlocked = pages.intersection(&self.mlocked);
        asked.none(mlocked, |pages| Guard::StillMlocked { pages });
    }

    fn may_return(&self, actor: Actor, asked: &mut Asked) {
        let debt = self.debt_of(actor);
        asked.ensure(debt == 0, || Guard::DebtAtReturn { debt });
    }

    fn whole_folios(&self, pages: &PageSet, asked: &mut Asked) {
        asked.some(pages);
        let left_out = self.folios.covering(pages).difference(pages);
        asked.none(left_out, |left_out| Guard::CutsFolio { left_out });
    }

    fn unwanted(&self, pages: &PageSet, asked: &mut Asked) {
        for (mm, wanted) in (0..).map(Mm).zip(&self.wanted) {
            asked.none(pages.intersection(wanted), |pages| Guard::StillWanted {
                pages,
                mm,
            });
        }
    }

    fn may_touch_marks(&self, actor: Actor, contract: &Contract, asked: &mut Asked) -> MayTouch {
        let call = self.call_of(actor);
        let in_split = matches!(call, Some(Call::Split { .. }));
        let may = contract.marks == MarkGuarantee::ClearedAndRemarked;
        asked.ensure(!in_split || may, || Guard::MarksInSplit);
        if may && (in_split || call.is_some_and(Call::is_upkeep)) {
            MayTouch::Yes
        } else {
            MayTouch::No
        }
    }
}

/// Whether an actor may clear a mark that somebody wants.
enum MayTouch {
    Yes,
    No,
}

/// The guards that refuse a transition, in the order in which they were asked.
#[derive(Debug, Default)]
struct Asked {
    refused: Vec<Guard>,
    /// Whether all of them refuse, whatever they are asked about.
    whatever: bool,
}

impl Asked {
    fn ensure(&mut self, holds: bool, guard: impl FnOnce() -> Guard) {
        if !holds || self.whatever {
            self.refused.push(guard());
        }
    }

    fn none(&mut self, faulty: PageSet, guard: impl FnOnce(PageSet) -> Guard) {
        self.ensure(faulty.is_empty(), || guard(faulty.clone()));
    }

    fn some(&mut self, pages: &PageSet) {
        self.ensure(!pages.is_empty(), || Guard::NoPages);
    }
}
