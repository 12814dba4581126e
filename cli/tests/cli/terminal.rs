//! What a person in front of a terminal sees: progress, colour, a screen of any width.

use std::{fs::File, io::Read as _, os::fd::OwnedFd, process::Stdio};

use rustix::{
    fs::{Mode, OFlags},
    io::dup,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::world::World;

/// A terminal of a certain width: the end that a program writes to, and the one that shows it.
fn terminal(columns: u16) -> (OwnedFd, OwnedFd) {
    let shown = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&shown).unwrap();
    unlockpt(&shown).unwrap();
    let name = ptsname(&shown, Vec::new()).unwrap();
    let program = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let size = Winsize {
        ws_row: 40,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&program, size).unwrap();
    (program, shown)
}

/// What a command shows on such a terminal, with everything that steers it.
pub(crate) async fn shown(world: &World, line: &str, columns: u16) -> String {
    let (program, shown) = terminal(columns);
    let mut command = world.command(&line.split(' ').collect::<Vec<_>>());
    command
        .env("TIDEGATE_CONFIG", &world.config)
        .env("TERM", "xterm-256color")
        .stdout(Stdio::from(dup(&program).unwrap()))
        .stderr(Stdio::from(dup(&program).unwrap()));
    let mut child = command.spawn().unwrap();
    // The terminal ends when the last program has let it go: the command, that is.
    drop((command, program));
    let read = tokio::task::spawn_blocking(move || {
        let (mut bytes, mut file) = (Vec::new(), File::from(shown));
        // Linux says EIO at the end of a terminal.
        let _ = file.read_to_end(&mut bytes);
        String::from_utf8(bytes).unwrap()
    });
    let shown = read.await.unwrap();
    child.wait().await.unwrap();
    shown.replace("\r\n", "\n")
}

#[tokio::test]
async fn who_waits_for_longer_than_a_second_is_told_for_what() {
    let world = World::new();
    for (line, what) in [
        (
            "refresh sluggish",
            "waiting for the hub to fetch the sources …",
        ),
        (
            "rollback sluggish --reason x",
            "waiting for the hub to begin the rollback …",
        ),
        ("run explain sluggish", "waiting for the hub to answer …"),
    ] {
        let shown = shown(&world, line, 80).await;
        // A busy machine may have been connecting for a second before that.
        assert!(shown.contains(&format!("\r{what}")), "{line}: {shown:?}");
        let (_, after) = shown.rsplit_once("\r\u{1b}[K").unwrap_or_default();
        assert!(!after.trim().is_empty(), "{line}: {shown:?}");
        assert!(!after.contains(what), "{line}: {shown:?}");
    }
    let shown = shown(
        &world,
        "wait app web-prod-eu-central-1 --for healthy --timeout 1500ms",
        200,
    );
    let shown = shown.await;
    assert!(
        shown.contains("\rwaiting for application/web-prod-eu-central-1 to be healthy …"),
        "{shown:?}"
    );
}

#[tokio::test]
async fn what_is_no_terminal_shows_no_progress() {
    let world = World::new();
    let ran = world.line("rollback sluggish --reason x").await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
}

#[tokio::test]
async fn states_have_colours_on_a_terminal_only() {
    let world = World::new();
    let told = shown(&world, "get clusters", 120).await;
    assert!(told.contains("\u{1b}[32mConnected\u{1b}[0m"), "{told:?}");
    let told = world.line("get clusters").await.ok();
    assert!(!told.contains('\u{1b}'), "{told:?}");
}
