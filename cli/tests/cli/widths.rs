//! Screens of any width: what fits is a table, what does not is still readable, and nothing breaks.

use tidegate_proto::v1 as wire;
use unicode_width::UnicodeWidthStr as _;

use crate::{
    data,
    golden::{DESCRIBE, LISTS, steady},
    terminal::shown,
    world::{Ran, World, ran},
};

/// What is shown on a narrow, a usual and a wide screen.
const SHOWN: &[&str] = &[
    "get apps",
    "get sets",
    "get clusters",
    "get runs",
    "get sources",
    "get holds",
    "get pins",
    "get audit",
    "events",
    "run explain --set web",
    "describe app lang-東京",
    "describe run --set web",
    "config get-contexts",
];

/// Names as long as Kubernetes lets them be, and of characters that are two columns wide.
fn hard() -> Vec<wire::Application> {
    let app = |name: &str, cluster: &str| wire::Application {
        name: name.to_owned(),
        cluster: cluster.to_owned(),
        ..data::apps().remove(1)
    };
    vec![
        app("lang-東京", "東京-データセンター-第一"),
        app(&format!("web-{}", "x".repeat(59)), &"c".repeat(63)),
        app("short", "dev"),
    ]
}

async fn run(world: &World, line: &str, columns: u16) -> Ran {
    let mut command = world.command(&line.split(' ').collect::<Vec<_>>());
    command
        .env("TIDEGATE_CONFIG", &world.config)
        .env("COLUMNS", columns.to_string());
    ran(&mut command).await
}

async fn golden(columns: u16) {
    let world = World::new();
    world.hub.now_has(hard());
    let mut transcript = Vec::new();
    for line in SHOWN {
        let shown = run(&world, line, columns).await.ok();
        transcript.push(format!("$ tidegate {line}\n{}", steady(&shown, &world)));
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(format!("columns-{columns}"), transcript.join("\n"));
    });
}

#[tokio::test]
async fn forty_columns_are_as_agreed() {
    golden(40).await;
}

#[tokio::test]
async fn eighty_columns_are_as_agreed() {
    golden(80).await;
}

#[tokio::test]
async fn a_hundred_and_twenty_columns_are_as_agreed() {
    golden(120).await;
}

#[tokio::test]
async fn no_screen_is_too_narrow_to_show_something() {
    let world = World::new();
    world.hub.now_has(hard());
    for line in SHOWN.iter().chain(LISTS) {
        for columns in [1, 20] {
            let shown = run(&world, line, columns).await.ok();
            assert!(!shown.is_empty(), "{line} at {columns}");
        }
    }
    // 0 is what a terminal says that does not know.
    let usual = run(&world, "get apps", 0).await;
    let piped = world.line("get apps").await;
    assert_eq!(usual.out, piped.out);
}

/// What must be copied or is a word of its own may stand out; nothing else may.
#[tokio::test]
async fn whatever_can_be_broken_stays_within_the_screen() {
    let (long, usual) = (World::new(), World::new());
    long.hub.now_has(hard());
    let lines = SHOWN.iter().map(|line| (&long, line));
    // What is described has names of its own, which the long ones would take the place of.
    let lines = lines.chain(DESCRIBE.iter().map(|line| (&usual, line)));
    for (world, line) in lines {
        for columns in [40_u16, 80, 120] {
            let ran = run(world, line, columns).await.ok();
            assert!(!ran.is_empty(), "{line} shows nothing");
            for shown in ran.lines() {
                let longest = shown.split_whitespace().map(str::width).max().unwrap_or(0);
                let fits = shown.width() <= usize::from(columns);
                assert!(
                    fits || longest + 4 > usize::from(columns),
                    "{line} at {columns}: {} columns: {shown}",
                    shown.width()
                );
            }
        }
    }
}

#[tokio::test]
async fn a_terminal_is_as_wide_as_it_says() {
    let world = World::new();
    world.hub.now_has(hard());
    for columns in [40, 120] {
        let told = shown(&world, "describe app lang-東京", columns).await;
        let expected = run(&world, "describe app lang-東京", columns).await.ok();
        assert_eq!(told, expected, "{columns}");
    }
}

#[tokio::test]
async fn a_view_that_is_drawn_anew_never_grows_over_the_edge() {
    let world = World::new();
    let told = shown(&world, "run watch good", 24).await;
    for line in told.split('\n') {
        let bare: String = line
            .split('\u{1b}')
            .enumerate()
            .map(
                |(index, piece)| match (index, piece.find(['m', 'F', 'J', 'K'])) {
                    (0, _) | (_, None) => piece,
                    (_, Some(end)) => &piece[end + 1..],
                },
            )
            .collect();
        assert!(bare.width() <= 24, "{bare:?} in {told:?}");
    }
    assert!(told.contains("Succeeded"), "{told:?}");
}
