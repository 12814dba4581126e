//! A run on the screen: as one view, or as the changes between two states.
//!
//! Pure: states in, lines out.

use tidegate_proto::v1 as wire;

use crate::output::{
    Screen,
    age::{age, length},
    rows::Row as _,
    table::{column, flexible, render},
    text::{Paint, cut, or_dash, plain},
};

/// One line for each thing that changed since `last`; all that is worth a line when there is none.
pub(super) fn changes(last: Option<&wire::Run>, run: &wire::Run, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    let changed =
        |before: Option<(&str, &Option<wire::Cause>)>, state: &str, cause: &Option<wire::Cause>| {
            before != Some((state, cause))
        };
    if changed(
        last.map(|last| (last.state.as_str(), &last.cause)),
        &run.state,
        &run.cause,
    ) {
        let which = match last {
            None => format!("{} of set {}, release {}", run.name(), run.set, run.release),
            Some(_) => run.name(),
        };
        lines.push(line(&which, &run.state, run.cause.as_ref(), paint));
    }
    for (index, wave) in run.waves.iter().enumerate() {
        let known = last.and_then(|last| last.waves.get(index));
        if known.map_or("Waiting", |known| known.state.as_str()) != wave.state {
            lines.push(line(
                &format!("wave/{}", wave.name),
                &wave.state,
                None,
                paint,
            ));
        }
        for member in &wave.members {
            let known = known.and_then(|wave| {
                wave.members
                    .iter()
                    .find(|known| known.cluster == member.cluster)
            });
            let before = known.map_or(("Queued", &None), |known| {
                (known.state.as_str(), &known.cause)
            });
            if changed(Some(before), &member.state, &member.cause) {
                let which = format!("wave/{} cluster/{}", wave.name, member.cluster);
                lines.push(line(&which, &member.state, member.cause.as_ref(), paint));
            }
        }
    }
    lines
}

fn line(which: &str, state: &str, cause: Option<&wire::Cause>, paint: Paint) -> String {
    let state = paint.state(&or_dash(state));
    let cause = cause
        .map(|cause| format!(": {}", plain(&cause.message)))
        .unwrap_or_default();
    format!("{} {state}{cause}", plain(which))
}

/// The whole run in few lines, each within the screen.
pub(super) fn lines(run: &wire::Run, now_ms: i64, screen: Screen) -> Vec<String> {
    let width = usize::from(screen.width);
    let mut lines = head(run, now_ms, screen);
    lines.push(String::new());
    let rows: Vec<_> = run.waves.iter().map(wave_row).collect();
    let columns = [
        column("WAVE"),
        column("STATE"),
        column("DONE"),
        flexible("UNDER WAY"),
    ];
    lines.extend(
        render(&columns, &rows, screen.width, 1)
            .lines()
            // A line that the terminal breaks in two could not be drawn anew.
            .map(|line| cut(line, width)),
    );
    let members = run.waves.iter().flat_map(|wave| &wave.members);
    let mut troubles: Vec<_> = members
        .filter_map(|member| {
            let (state, cause) = (or_dash(&member.state), member.cause.as_ref()?);
            Some(cut(
                &format!(
                    "{} {state}: {}",
                    plain(&member.cluster),
                    plain(&cause.message)
                ),
                width,
            ))
        })
        .collect();
    if !troubles.is_empty() {
        lines.push(String::new());
        lines.append(&mut troubles);
    }
    fit(lines, screen.height)
}

fn head(run: &wire::Run, now_ms: i64, screen: Screen) -> Vec<String> {
    let took = match run.finished_at_ms {
        0 => age(run.started_at_ms, now_ms),
        end => length(end.saturating_sub(run.started_at_ms)),
    };
    let width = usize::from(screen.width);
    let state = or_dash(&run.state);
    let cause = run
        .cause
        .as_ref()
        .map(|cause| format!(": {}", plain(&cause.message)));
    let told = cut(&format!("{state}{}", cause.unwrap_or_default()), width);
    vec![
        cut(&plain(&run.name()), width),
        cut(
            &format!("set {}, release {}, {took}", or_dash(&run.set), run.release),
            width,
        ),
        told.replacen(&state, &screen.paint.state(&state), 1),
    ]
}

/// Lines that scroll off cannot be drawn anew; one is left for the cursor.
fn fit(mut lines: Vec<String>, height: u16) -> Vec<String> {
    let room = usize::from(height.max(8)) - 1;
    if lines.len() > room {
        let hidden = lines.len() - (room - 1);
        lines.truncate(room - 1);
        lines.push(format!(
            "… and {hidden} more lines: `tidegate run explain` shows them"
        ));
    }
    lines
}

fn wave_row(wave: &wire::RunWave) -> Vec<String> {
    let done = |member: &&wire::RunMember| {
        matches!(
            member.state.as_str(),
            "Healthy" | "Soaked" | "Unchanged" | "Skipped"
        )
    };
    let under_way: Vec<_> = wave
        .members
        .iter()
        .filter(|member| !done(member) && member.state != "Queued")
        .map(|member| format!("{} {}", member.cluster, member.state))
        .collect();
    vec![
        or_dash(&wave.name),
        or_dash(&wave.state),
        format!(
            "{}/{}",
            wave.members.iter().filter(done).count(),
            wave.members.len()
        ),
        plain(&under_way.join(", ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(cluster: &str, state: &str) -> wire::RunMember {
        wire::RunMember {
            cluster: cluster.to_owned(),
            state: state.to_owned(),
            ..wire::RunMember::default()
        }
    }

    fn run() -> wire::Run {
        let wave = |name: &str, state: &str, members: Vec<wire::RunMember>| wire::RunWave {
            name: name.to_owned(),
            state: state.to_owned(),
            members,
            concurrency: 1,
            analyses: Vec::new(),
        };
        wire::Run {
            id: "r1".to_owned(),
            set: "web".to_owned(),
            release: 7,
            state: "Rolling".to_owned(),
            started_at_ms: 1_000,
            waves: vec![
                wave(
                    "canary",
                    "Rolling",
                    vec![member("dev-1", "Verifying"), member("dev-2", "Queued")],
                ),
                wave("prod", "Waiting", vec![member("prod-1", "Queued")]),
            ],
            ..wire::Run::default()
        }
    }

    fn screen(height: u16) -> Screen {
        Screen {
            terminal: true,
            narrow: true,
            width: 80,
            height,
            paint: Paint { on: false },
        }
    }

    #[test]
    fn only_what_changed_is_told() {
        let before = run();
        let first = changes(None, &before, Paint::default());
        assert_eq!(
            first,
            [
                "run/r1 of set web, release 7 Rolling",
                "wave/canary Rolling",
                "wave/canary cluster/dev-1 Verifying"
            ]
        );
        let mut after = before.clone();
        after.waves[0].members[0].state = "Failed".to_owned();
        after.waves[0].members[0].cause = Some(wire::Cause {
            code: "ImagePull".to_owned(),
            message: "no such image".to_owned(),
        });
        assert_eq!(
            changes(Some(&before), &after, Paint::default()),
            ["wave/canary cluster/dev-1 Failed: no such image"]
        );
        assert!(changes(Some(&after), &after, Paint::default()).is_empty());
    }

    #[test]
    fn a_view_shows_each_wave_and_fits() {
        let lines = lines(&run(), 61_000, screen(24));
        assert_eq!(
            lines,
            [
                "run/r1",
                "set web, release 7, 60s",
                "Rolling",
                "",
                "WAVE    STATE    DONE  UNDER WAY",
                "canary  Rolling  0/2   dev-1 Verifying",
                "prod    Waiting  0/1"
            ]
        );
    }

    #[test]
    fn a_view_never_grows_beyond_the_screen() {
        let mut run = run();
        let cause = wire::Cause {
            code: String::new(),
            message: "x".repeat(200),
        };
        run.waves[0].members = (0..50)
            .map(|index| wire::RunMember {
                cause: Some(cause.clone()),
                ..member(&format!("cluster-{index}"), "Failed")
            })
            .collect();
        let lines = lines(&run, 61_000, screen(20));
        assert_eq!(lines.len(), 19);
        assert!(
            lines.iter().all(|line| line.chars().count() <= 80),
            "{lines:?}"
        );
        assert!(lines[18].contains("more lines"));
    }
}
