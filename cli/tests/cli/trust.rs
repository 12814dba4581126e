//! The ways to a hub that do not lead there: each says what is wrong and what to do.

use std::{fs, os::unix::fs::PermissionsExt as _};

use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use crate::{
    pki::{Authority, Valid},
    world::{World, configure, ran},
};

#[tokio::test]
async fn a_dead_hub_is_named_with_its_address() {
    let world = World::new();
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("https://localhost:{}", dead.local_addr().unwrap().port());
    drop(dead);
    let told = world.run(&["whoami", "--server", &server]).await.failed(5);
    assert!(told.contains(&server), "{told}");
    assert!(
        told.contains("refused") && told.contains("tidegate-hub serve"),
        "{told}"
    );
}

#[tokio::test]
async fn a_hub_that_accepts_and_says_nothing_is_given_up() {
    let world = World::new();
    // Connections wait in the backlog; nobody takes them.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("https://localhost:{}", mute.local_addr().unwrap().port());
    let told = world.run(&["whoami", "--server", &server]).await.failed(5);
    assert!(
        told.contains(&server) && told.contains("no answer within 5 s"),
        "{told}"
    );
}

#[tokio::test]
async fn what_speaks_no_tls_is_not_the_hub() {
    let world = World::new();
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("https://localhost:{}", plain.local_addr().unwrap().port());
    let answering = tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        stream
    });
    let told = world.run(&["whoami", "--server", &server]).await.failed(5);
    assert!(told.contains("does not speak TLS"), "{told}");
    answering.abort();
}

#[tokio::test]
async fn a_hub_of_another_authority_is_not_trusted() {
    let world = World::new();
    let other = Authority::new("other");
    let path = world.directory.path().join("other.yaml");
    configure(
        &path,
        &world.server(),
        &other.pem,
        world.authority.person("kim", Valid::Now),
    );
    let told = ran(&mut world.command(&["whoami", "--config", "other.yaml"]))
        .await
        .failed(5);
    assert!(
        told.contains("failed to trust") && told.contains("caData"),
        "{told}"
    );
    assert_eq!(world.hub.requests(), 0);
}

#[tokio::test]
async fn a_hub_with_an_expired_certificate_is_not_trusted() {
    let authority = Authority::new("tidegate");
    let hub = authority.hub("localhost", Valid::Expired);
    let world = World::with(authority, hub);
    let told = world.line("whoami").await.failed(5);
    assert!(told.contains("expired") && told.contains("clock"), "{told}");
}

#[tokio::test]
async fn a_hub_under_another_name_is_not_trusted() {
    let authority = Authority::new("tidegate");
    let hub = authority.hub("hub.example", Valid::Now);
    let world = World::with(authority, hub);
    let told = world.line("whoami").await.failed(5);
    assert!(
        told.contains("hub.example") && told.contains("--name"),
        "{told}"
    );
}

#[tokio::test]
async fn an_expired_certificate_is_told_before_anybody_is_asked() {
    let world = World::new();
    let path = world.directory.path().join("old.yaml");
    let old = world.authority.person("kim", Valid::Expired);
    configure(&path, &world.server(), &world.authority.pem, old);
    let told = ran(&mut world.command(&["whoami", "--config", "old.yaml"]))
        .await
        .failed(4);
    assert!(
        told.contains("expired on") && told.contains("2021"),
        "{told}"
    );
    assert!(told.contains("tidegate user create"), "{told}");
}

#[tokio::test]
async fn a_certificate_that_the_hub_does_not_accept_is_4() {
    let world = World::new();
    let path = world.directory.path().join("stranger.yaml");
    let stranger = Authority::new("other").person("kim", Valid::Now);
    configure(&path, &world.server(), &world.authority.pem, stranger);
    let told = ran(&mut world.command(&["whoami", "--config", "stranger.yaml"]))
        .await
        .failed(4);
    assert!(told.contains("does not accept the certificate"), "{told}");
    assert_eq!(world.hub.requests(), 0);
}

#[tokio::test]
async fn without_a_configuration_the_first_step_is_told() {
    let world = World::new();
    let told = ran(&mut world.command(&["get", "sets"])).await.failed(2);
    assert!(
        told.contains(".config/tidegate/config.yaml") && told.contains("tidegate-hub init"),
        "{told}"
    );
    let told = ran(world.command(&["get", "sets"]).env_remove("HOME"))
        .await
        .failed(2);
    assert!(told.contains("--config"), "{told}");
}

#[tokio::test]
async fn the_configuration_is_found_where_xdg_says() {
    let world = World::new();
    let home = world.directory.path().join("tidegate");
    fs::create_dir(&home).unwrap();
    fs::rename(&world.config, home.join("config.yaml")).unwrap();
    ran(world
        .command(&["whoami"])
        .env("XDG_CONFIG_HOME", world.directory.path()))
    .await
    .ok();
}

#[tokio::test]
async fn an_unknown_context_names_the_known_ones() {
    let world = World::new();
    let told = world.line("whoami --context prod").await.failed(2);
    assert!(
        told.contains("\"prod\"") && told.contains("it has test"),
        "{told}"
    );
    assert_eq!(world.line("whoami --context test").await.code, 0);
}

#[tokio::test]
async fn a_damaged_configuration_is_told_with_its_place() {
    let world = World::new();
    world.file(
        "bad.yaml",
        "apiVersion: tidegate.dev/v1alpha1\nkind: Config\ncontexts: {\n",
    );
    let told = ran(&mut world.command(&["whoami", "--config", "bad.yaml"]))
        .await
        .failed(2);
    assert!(told.contains("bad.yaml") && told.contains("line"), "{told}");
    let text = fs::read_to_string(&world.config).unwrap();
    world.file(
        "worse.yaml",
        &text.replace("BEGIN PRIVATE KEY", "BEGIN NOTHING"),
    );
    let told = ran(&mut world.command(&["whoami", "--config", "worse.yaml"]))
        .await
        .failed(2);
    assert!(told.contains("keyData"), "{told}");
}

#[tokio::test]
async fn an_address_that_is_none_is_wrong_usage() {
    let world = World::new();
    for (server, word) in [
        ("http://localhost:1", "TLS only"),
        ("https://localhost", "no port"),
        ("hub", "https://"),
    ] {
        let told = world.run(&["whoami", "--server", server]).await.failed(2);
        assert!(told.contains(word), "{server}: {told}");
    }
}

#[tokio::test]
async fn a_key_that_others_may_read_is_pointed_out() {
    let world = World::new();
    fs::set_permissions(&world.config, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = world.line("whoami").await;
    assert!(ran.err.contains("chmod 600"), "{ran:?}");
    assert_eq!(ran.code, 0);
}
