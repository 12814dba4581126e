//! Waiting for a level, with a deadline.
//!
//! Owns the one polling loop of the tests. It never waits for an edge: the
//! probe looks at the state as it is, as often as it takes.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::error::Error;

/// Pause between two looks.
const PERIOD: Duration = Duration::from_millis(50);

/// Polls `probe` until it answers `Ok`, and returns what it answered.
///
/// `probe` answers `Err` with the reason why `what` is not reached yet.
///
/// # Errors
///
/// [`Error::Deadline`] with the last reason when `within` has passed, even if
/// the probe itself hangs.
pub async fn eventually<T, F, Fut>(what: &str, within: Duration, mut probe: F) -> Result<T, Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    let mut last = String::from("nothing: the first look did not come back");
    let reached = timeout(within, async {
        loop {
            match probe().await {
                Ok(value) => return value,
                Err(reason) => last = reason,
            }
            sleep(PERIOD).await;
        }
    });
    match reached.await {
        Ok(value) => Ok(value),
        Err(_elapsed) => Err(Error::Deadline {
            what: what.to_owned(),
            within,
            last,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_level_is_returned_when_it_is_reached() {
        let mut looks = 0;
        let seen = eventually("three looks", Duration::from_secs(10), || {
            looks += 1;
            let looks = looks;
            async move {
                if looks == 3 {
                    Ok(looks)
                } else {
                    Err(format!("{looks} looks"))
                }
            }
        });
        assert_eq!(seen.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_missed_deadline_tells_the_last_reason() {
        let never = eventually("the moon", Duration::from_millis(120), || async {
            Err::<(), _>("clouds".to_owned())
        });
        let error = never.await.unwrap_err().to_string();
        assert!(
            error.contains("the moon") && error.ends_with("clouds"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_hanging_probe_meets_the_deadline_too() {
        let hangs = eventually("an answer", Duration::from_millis(50), || async {
            std::future::pending::<Result<(), String>>().await
        });
        assert!(matches!(hangs.await, Err(Error::Deadline { .. })));
    }
}
