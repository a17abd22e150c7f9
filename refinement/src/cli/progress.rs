//! What a person sees while a search runs, and how it is stopped.

use mlock_refinement::search::Progress;
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[expect(
    clippy::disallowed_types,
    reason = "progress is told about once a second"
)]
type Clock = std::time::Instant;

/// How long to be silent between two lines.
const PAUSE: Duration = Duration::from_secs(1);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Lets Ctrl-C stop the searches instead of the program.
pub fn listen() {
    // Without a handler Ctrl-C ends the program, which leaves no half-written file either.
    let _unheard = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed));
}

/// Whether Ctrl-C was pressed.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Who tells of several searches, on a terminal.
pub struct Watch {
    visible: bool,
    of: usize,
    last: Mutex<Clock>,
}

impl Watch {
    /// A watch over that many searches.
    pub fn new(of: usize) -> Watch {
        Watch {
            visible: std::io::stderr().is_terminal(),
            of,
            last: Mutex::new(Clock::now()),
        }
    }

    /// What to tell of one search.
    pub fn of<'w>(
        &'w self,
        i: usize,
        name: &'w str,
    ) -> impl FnMut(Progress) -> ControlFlow<()> + 'w {
        let begin = Clock::now();
        move |progress| {
            if self.visible {
                self.tell(i, name, begin, progress);
            }
            if interrupted() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }

    /// Takes the last line away.
    pub fn clear(&self) {
        if self.visible {
            anstream::eprint!("\r\x1b[K");
        }
    }

    fn tell(&self, i: usize, name: &str, begin: Clock, progress: Progress) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() < PAUSE {
            return;
        }
        *last = Clock::now();
        let Progress {
            states,
            frontier,
            depth,
            bytes,
        } = progress;
        let rate = states as f64 / begin.elapsed().as_secs_f64() / 1e6;
        anstream::eprint!(
            "\r\x1b[K{}/{} {name}: {states} states, {frontier} to go at depth {depth}, \
             {rate:.1} M/s, {} MiB",
            i + 1,
            self.of,
            bytes >> 20
        );
        let _unwritable = std::io::stderr().flush();
    }
}
