//! `--watch`: a list, then each thing that changes, until the user or the clock ends it.
//!
//! Level based, as `wait` is: it looks at what is, again and again, and tells what differs from what
//! it told before. A hub that restarts delays it, and what happened meanwhile shows afterwards.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use tokio::time::Instant;

use crate::{
    args::{Format, Watching},
    error::Error,
    output::{Output, rows::Row, text::plain},
};

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// How long the last look may take once time is up.
const GRACE: Duration = Duration::from_secs(2);

/// What was told last.
struct Told<T> {
    items: Vec<T>,
    /// The headings above the rows; told again when the columns change.
    head: Option<String>,
}

/// Tells `first`, of what is there (`all`), and then what `look` finds changed. `look` is given what
/// was there before. Ends only with an error: time is one.
pub(super) async fn watch<T: Row + Clone + PartialEq>(
    watching: &Watching,
    all: Vec<T>,
    first: &[T],
    mut look: impl AsyncFnMut(&[T]) -> Result<Vec<T>, Error>,
    output: &mut Output,
) -> Result<(), Error> {
    let deadline = watching.timeout.map(|limit| Instant::now() + limit.0);
    let mut told = Told {
        items: all,
        head: None,
    };
    let everything: Vec<_> = (0..first.len()).collect();
    told.head = rows(first, &everything, None, output)?;
    let mut away: Option<String> = None;
    loop {
        let next = Instant::now() + PERIOD;
        tokio::time::sleep_until(deadline.map_or(next, |deadline| deadline.min(next))).await;
        let is_last = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        // What happened just before the end is told too, unless the hub keeps it for itself.
        let looked = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline + GRACE, look(&told.items)).await,
            None => Ok(look(&told.items).await),
        };
        match looked {
            Ok(Ok(items)) => {
                away = None;
                told.tell(items, output)?;
            }
            Ok(Err(error)) if error.is_retryable() => {
                let why = plain(&error.to_string());
                if away.is_none() {
                    output.note(&format!("trying again: {why}"));
                }
                away = Some(why);
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => away = Some("the hub did not answer in time".to_owned()),
        }
        if is_last || away.is_some() && deadline.is_some_and(|it| Instant::now() >= it) {
            let limit = watching.timeout.unwrap_or_default();
            let away = away.map(|why| format!("; at the end: {why}"));
            return Err(Error::Timeout(format!(
                "stopped watching after {limit}{}",
                away.unwrap_or_default()
            )));
        }
    }
}

impl<T: Row + PartialEq> Told<T> {
    /// Tells what is new or different, and what is gone.
    fn tell(&mut self, items: Vec<T>, output: &mut Output) -> Result<(), Error> {
        let mut before: BTreeMap<_, _> = self.items.iter().map(|item| (key(item), item)).collect();
        let changed: Vec<_> = items
            .iter()
            .enumerate()
            .filter(|(_, item)| {
                let known = before.remove(&key(*item));
                known.is_none_or(|known| differs(known, item, output.format()))
            })
            .map(|(index, _)| index)
            .collect();
        for item in before.into_values() {
            gone(item, output)?;
        }
        self.head = rows(&items, &changed, self.head.take(), output)?;
        self.items = items;
        Ok(())
    }
}

/// What makes two things the same one.
fn key<T: Row>(item: &T) -> (String, String) {
    let project = item.project().unwrap_or_default();
    (project.to_owned(), item.name())
}

/// Whether somebody who saw the one must see the other. Ages grow without anything happening, and an
/// agent that was heard of again changes nothing in a row.
fn differs<T: Row + PartialEq>(before: &T, now: &T, format: Format) -> bool {
    match format {
        // Before all times every age is 0 or none at all.
        Format::Table | Format::Name => before.cells(0) != now.cells(0),
        Format::Json | Format::Yaml => before != now,
    }
}

/// Shows these of the items. Gives back the headings that stand above them.
fn rows<T: Row>(
    items: &[T],
    shown: &[usize],
    head: Option<String>,
    output: &mut Output,
) -> Result<Option<String>, Error> {
    if shown.is_empty() {
        return Ok(head);
    }
    let chosen = shown.iter().filter_map(|index| items.get(*index));
    match output.format() {
        Format::Table => {}
        Format::Name => {
            for item in chosen {
                output.line(&plain(&item.name()))?;
            }
            return Ok(None);
        }
        Format::Json | Format::Yaml => {
            for item in chosen {
                output.state(item)?;
            }
            return Ok(None);
        }
    }
    // All of them settle the widths, so that columns stay where they are.
    let pieces = output.pieces(items);
    let words = |head: &Option<String>| -> Vec<String> {
        let words = head.as_deref().unwrap_or_default().split_whitespace();
        words.map(str::to_owned).collect()
    };
    if let Some(line) = &pieces.head
        && words(&head) != words(&pieces.head)
    {
        output.line(line)?;
    }
    for piece in shown.iter().filter_map(|index| pieces.rows.get(*index)) {
        output.line(piece)?;
        if pieces.head.is_none() {
            output.line("")?;
        }
    }
    Ok(pieces.head)
}

/// There is nothing left of it to show but its name.
fn gone<T: Row>(item: &T, output: &mut Output) -> Result<(), Error> {
    let name = plain(&item.name());
    match output.format() {
        Format::Table | Format::Name => output.line(&format!("{name} deleted")),
        Format::Json | Format::Yaml => {
            let project = item.project().unwrap_or_default();
            output.document(&json!({"deleted": name, "project": project}))
        }
    }
}
