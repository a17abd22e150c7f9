//! What is told of a step: the search knows it by a number only.

use crate::search::Finding;
use mlock_impl::machine::{Class, LockName};
use mlock_spec::Law;

/// What a finding tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// A law is broken here.
    Broken(Law),
    /// A lock of the second class is taken while one of the first is held.
    Nests(Class, Class),
    /// Two locks of one class nest, the one with the lower index outside, or inside.
    NestsAlike(Class, Order),
    /// The model itself has reached a limit.
    Limit,
    /// A CPU waits for a lock that it holds itself. The step that tells it never happens.
    WaitsForItself,
}

/// Which of two locks of one class is the outer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// The one with the lower index.
    Ascending,
    /// The one with the higher index.
    Descending,
}

const CLASSES: u16 = Class::ALL.len() as u16;

impl Told {
    /// Every meaning, in the order of their numbers.
    pub fn all() -> Vec<Told> {
        let classes = || Class::ALL.into_iter();
        let nests = classes().flat_map(|a| classes().map(move |b| Told::Nests(a, b)));
        let alike = classes().flat_map(|c| {
            [Order::Ascending, Order::Descending].map(move |order| Told::NestsAlike(c, order))
        });
        Law::ALL
            .into_iter()
            .map(Told::Broken)
            .chain(nests)
            .chain(alike)
            .chain([Told::Limit, Told::WaitsForItself])
            .collect()
    }

    /// The number the search knows it by.
    pub fn finding(self) -> Finding {
        let laws = Law::ALL.len() as u16;
        Finding(match self {
            Told::Broken(law) => law as u16,
            Told::Nests(a, b) => laws + a as u16 * CLASSES + b as u16,
            Told::NestsAlike(c, order) => {
                laws + CLASSES * CLASSES + c as u16 * 2 + u16::from(order == Order::Descending)
            }
            Told::Limit => laws + CLASSES * CLASSES + CLASSES * 2,
            Told::WaitsForItself => Told::Limit.finding().0 + 1,
        })
    }
}

/// What taking `inner` under `outer` tells about the order of classes.
pub(crate) fn nesting(outer: LockName, inner: LockName) -> Told {
    if outer.class != inner.class {
        return Told::Nests(outer.class, inner.class);
    }
    let ascending = outer.index < inner.index;
    Told::NestsAlike(
        inner.class,
        if ascending {
            Order::Ascending
        } else {
            Order::Descending
        },
    )
}
