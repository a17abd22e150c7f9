//! Computing with what is known of local variables: each lies between two numbers.

use super::folio::FolioOp;
use super::op::{Expr, Op, Reg};
use super::pagevec::{Batch, Pagevec};

/// All whole numbers from the first to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) least: i64,
    pub(super) most: i64,
}

impl Interval {
    /// Any number at all, with room to compute.
    pub(super) const ANY: Interval = Interval {
        least: i64::MIN / 4,
        most: i64::MAX / 4,
    };

    pub(super) fn only(value: i64) -> Interval {
        Interval {
            least: value,
            most: value,
        }
    }

    pub(super) fn join(self, other: Interval) -> Interval {
        Interval {
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }

    /// The number, if there is only one.
    pub(super) fn value(self) -> Option<i64> {
        (self.least == self.most).then_some(self.least)
    }

    fn flag(value: Option<bool>) -> Interval {
        Interval {
            least: i64::from(value == Some(true)),
            most: i64::from(value != Some(false)),
        }
    }

    fn overlaps(self, other: Interval) -> bool {
        self.least <= other.most && other.least <= self.most
    }
}

/// What is known of each variable, by the place it is kept in.
pub(super) type Env = [Interval];

/// The places of a program's variables.
#[derive(Clone, Copy)]
pub(super) struct Places<'p> {
    /// For each variable, its place.
    pub(super) slot: &'p [usize],
    /// For each place, what may be there at all.
    pub(super) range: &'p [Interval],
    /// The place of the first page of each page vector, and then of the batch, behind those of variables.
    pub(super) firsts: usize,
    /// The number past the last page, which is the first one where there is none.
    pub(super) pages: i64,
}

impl Places<'_> {
    /// What is known of a variable.
    fn get(self, env: &Env, reg: Reg) -> Interval {
        let slot = self.slot.get(usize::from(reg.0));
        slot.and_then(|&slot| env.get(slot))
            .copied()
            .unwrap_or(Interval::ANY)
    }

    /// What a variable may be at all.
    pub(super) fn anything(self, reg: Reg) -> Interval {
        let slot = self.slot.get(usize::from(reg.0));
        slot.and_then(|&slot| self.range.get(slot))
            .copied()
            .unwrap_or(Interval::flag(None))
    }

    /// Notes what a variable is.
    pub(super) fn set(self, env: &mut Env, reg: Reg, value: Interval) {
        let slot = self.slot.get(usize::from(reg.0));
        if let Some(place) = slot.and_then(|&slot| env.get_mut(slot)) {
            *place = value;
        }
    }

    /// The least page that may be in a page vector.
    fn first(self, env: &Env, vec: Pagevec) -> i64 {
        env.get(self.firsts + vec.of(0).1 as usize)
            .map_or(0, |pages| pages.least)
    }

    /// The least page that may be in the batch.
    fn of_batch(self, env: &Env) -> i64 {
        env.get(self.firsts + Batch::ALL.len())
            .map_or(0, |pages| pages.least)
    }

    /// Notes that an instruction puts a page into a page vector, or into the batch.
    pub(super) fn collect(self, env: &mut Env, op: &Op) {
        let (place, page) = match op {
            Op::VecAdd(vec, page) | Op::VecMove(_, vec, page) => (vec.of(0).1 as usize, page),
            Op::Folio(FolioOp::BatchAdd(page, ..)) => (Batch::ALL.len(), page),
            _ => return,
        };
        let least = self.value(page, env).least;
        if let Some(pages) = env.get_mut(self.firsts + place) {
            pages.least = pages.least.min(least);
        }
    }

    /// What is known of a computation.
    pub(super) fn value(self, expr: &Expr, env: &Env) -> Interval {
        let both = |a, b| (self.value(a, env), self.value(b, env));
        match expr {
            Expr::Const(value) => Interval::only(*value),
            Expr::Reg(reg) => self.get(env, *reg),
            Expr::Add(a, b) => {
                let (a, b) = both(a, b);
                Interval {
                    least: a.least.saturating_add(b.least),
                    most: a.most.saturating_add(b.most),
                }
            }
            Expr::Sub(a, b) => {
                let (a, b) = both(a, b);
                Interval {
                    least: a.least.saturating_sub(b.most),
                    most: a.most.saturating_sub(b.least),
                }
            }
            Expr::And(a, b) => and(both(a, b)),
            Expr::NextIn(vec, from) => {
                let (first, from) = (self.first(env, *vec), self.value(from, env));
                Interval {
                    least: first.max(from.least).min(self.pages),
                    most: self.pages,
                }
            }
            Expr::BatchPage(_) => Interval {
                least: self.of_batch(env),
                most: self.pages,
            },
            Expr::Unsigned32(_) | Expr::CountIn(_) | Expr::BatchLen | Expr::BatchKind(_) => {
                Interval {
                    least: 0,
                    most: i64::from(u32::MAX),
                }
            }
            Expr::Not(a) => {
                let a = self.value(a, env);
                Interval {
                    least: !a.most,
                    most: !a.least,
                }
            }
            Expr::Eq(a, b) => Interval::flag(match both(a, b) {
                (a, b) if !a.overlaps(b) => Some(false),
                (a, b) if a.value().is_some() && a == b => Some(true),
                _ => None,
            }),
            Expr::Lt(a, b) => Interval::flag(match both(a, b) {
                (a, b) if a.most < b.least => Some(true),
                (a, b) if a.least >= b.most => Some(false),
                _ => None,
            }),
        }
    }

    /// What is known once a condition has turned out to hold, or not to.
    pub(super) fn learn(self, cond: &Expr, holds: bool, env: &mut Env) {
        match (cond, holds) {
            (Expr::Eq(a, b), _) if matches!(**b, Expr::Const(0)) && is_flag(a) => {
                self.learn(a, !holds, env);
            }
            (Expr::And(a, b), true) if is_flag(a) && is_flag(b) => {
                self.learn(a, true, env);
                self.learn(b, true, env);
            }
            (Expr::Eq(a, b), _) => {
                if let (Expr::Reg(reg), Some(value)) = (&**a, self.value(b, env).value()) {
                    let old = self.get(env, *reg);
                    self.set(env, *reg, equal(old, value, holds));
                }
            }
            (Expr::Lt(a, b), _) => {
                if let Expr::Reg(reg) = **a {
                    let (old, than) = (self.get(env, reg), self.value(b, env));
                    let new = if holds {
                        Interval {
                            most: old.most.min(than.most.saturating_sub(1)),
                            ..old
                        }
                    } else {
                        Interval {
                            least: old.least.max(than.least),
                            ..old
                        }
                    };
                    self.set(env, reg, new);
                }
            }
            (Expr::Reg(reg), true) => {
                let old = self.get(env, *reg);
                self.set(env, *reg, equal(old, 0, false));
            }
            (Expr::Reg(reg), false) => self.set(env, *reg, Interval::only(0)),
            _ => {}
        }
    }
}

/// Whether an expression is 0 or 1 by its form.
fn is_flag(expr: &Expr) -> bool {
    match expr {
        Expr::Eq(..) | Expr::Lt(..) => true,
        Expr::And(a, b) => is_flag(a) && is_flag(b),
        _ => false,
    }
}

/// An interval, once it is known whether it is a certain number.
fn equal(old: Interval, value: i64, holds: bool) -> Interval {
    if holds {
        return Interval::only(value);
    }
    Interval {
        least: old.least + i64::from(old.least == value),
        most: old.most - i64::from(old.most == value),
    }
}

fn and((a, b): (Interval, Interval)) -> Interval {
    if let (Some(a), Some(b)) = (a.value(), b.value()) {
        return Interval::only(a & b);
    }
    // Whatever else it is, it is no more than an operand that is not negative.
    let bounds = [a, b].into_iter().filter(|i| i.least >= 0).map(|i| i.most);
    match bounds.min() {
        Some(most) => Interval { least: 0, most },
        None => Interval::ANY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(least: i64, most: i64) -> Interval {
        Interval { least, most }
    }

    /// Every expression over two variables, computed both ways: what is computed from values is in
    /// the interval that is computed from intervals.
    #[test]
    fn an_interval_holds_every_value() {
        let places = Places {
            slot: &[0, 1],
            range: &[between(-4, 4), between(-4, 4)],
            firsts: 2,
            pages: 4,
        };
        let (x, y) = (
            || Box::new(Expr::Reg(Reg(0))),
            || Box::new(Expr::Reg(Reg(1))),
        );
        let exprs = [
            Expr::Add(x(), y()),
            Expr::Sub(x(), y()),
            Expr::And(x(), y()),
            Expr::Not(x()),
            Expr::Eq(x(), y()),
            Expr::Lt(x(), y()),
        ];
        let ends = (-4..=4).flat_map(|a| (a..=4).map(move |b| between(a, b)));
        let all: Vec<Interval> = ends.collect();
        for expr in &exprs {
            for &a in &all {
                for &b in &all {
                    let whole = places.value(expr, &[a, b]);
                    for u in a.least..=a.most {
                        for v in b.least..=b.most {
                            let env = [Interval::only(u), Interval::only(v)];
                            let one = places.value(expr, &env);
                            assert_eq!(whole.join(one), whole, "{expr:?} of {u}, {v}");
                            let holds = one.value() != Some(0);
                            let mut learned = [a, b];
                            places.learn(expr, holds, &mut learned);
                            assert_eq!(learned[0].join(env[0]), learned[0], "{expr:?} of {u}, {v}");
                            assert_eq!(learned[1].join(env[1]), learned[1], "{expr:?} of {u}, {v}");
                        }
                    }
                }
            }
        }
    }
}
