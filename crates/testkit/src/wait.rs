//! Waiting for a condition with a deadline, in place of sleeping.

use std::thread;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(10);

/// A moment on the machine's own clock. Tokio's may be paused in tests; what is waited for
/// here are other processes, which know nothing of that.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn after(wait: Duration) -> Self {
        Self(now() + wait)
    }

    pub fn is_over(self) -> bool {
        self.0 <= now()
    }
}

#[expect(clippy::disallowed_methods, reason = "real processes are waited for in real time")]
fn now() -> Instant {
    Instant::now()
}

/// Asks `condition` every 10 ms until it answers `Some`, which is handed on.
///
/// # Panics
/// When `deadline` has passed; the message names `what` was waited for.
#[track_caller]
pub fn wait_until<T>(
    deadline: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let end = Deadline::after(deadline);
    match poll(end, || Ok::<_, std::convert::Infallible>(condition())) {
        Ok(Some(found)) => found,
        Ok(None) => panic!("{what}: not within {deadline:?}"),
    }
}

/// [`wait_until`] for conditions that ask something asynchronous.
///
/// # Panics
/// When `deadline` has passed; the message names `what` was waited for.
pub async fn wait_until_async<T, F>(
    deadline: Duration,
    what: &str,
    mut condition: impl FnMut() -> F,
) -> T
where
    F: Future<Output = Option<T>>,
{
    let end = Deadline::after(deadline);
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(!end.is_over(), "{what}: not within {deadline:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks until an answer, a failure, or the end; the last question is asked after the end, so
/// that a slow machine never gives up on something that is already true.
pub(crate) fn poll<T, E>(
    end: Deadline,
    mut ask: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    loop {
        let over = end.is_over();
        if let Some(found) = ask()? {
            return Ok(Some(found));
        }
        if over {
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_handed_on() {
        let mut asked = 0;
        let found = wait_until(Duration::from_secs(5), "three questions", || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(found, 3);
    }

    #[test]
    #[should_panic(expected = "a ship: not within 20ms")]
    fn the_panic_names_what_was_waited_for() {
        wait_until(Duration::from_millis(20), "a ship", || None::<()>);
    }

    #[test]
    fn a_condition_already_true_wins_over_a_deadline_already_past() {
        assert_eq!(wait_until(Duration::ZERO, "now", || Some(1)), 1);
    }

    #[tokio::test]
    async fn an_async_condition_is_asked_again() {
        let asked = std::cell::Cell::new(0);
        let found = wait_until_async(Duration::from_secs(5), "two questions", || {
            asked.set(asked.get() + 1);
            let answer = (asked.get() == 2).then_some("yes");
            async move { answer }
        });
        assert_eq!(found.await, "yes");
    }
}
