//! The checked-in code is what the `.proto` files say, and nothing was changed that old peers read.
//!
//! `TIDEGATE_REGENERATE=1 cargo test -p tidegate-proto` writes the code anew; run again, with that
//! code, it records new fields.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, fs, path::Path};

use prost::Message as _;
use prost_reflect::DescriptorPool;

const FILES: [&str; 5] = [
    "tidegate/v1/common.proto",
    "tidegate/v1/enrollment.proto",
    "tidegate/v1/agent_link.proto",
    "tidegate/v1/fleet.proto",
    "tidegate/storage/v1/records.proto",
];

fn regenerate(out: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile(FILES.map(|file| root.join(file)), [root]).unwrap();
    // Comments and positions of the sources would make the descriptors change with every word.
    let mut bare = descriptors.clone();
    for file in &mut bare.file {
        file.source_code_info = None;
    }
    fs::write(out.join("descriptors.bin"), bare.encode_to_vec()).unwrap();
    tonic_prost_build::configure()
        .out_dir(out)
        .btree_map(".")
        .compile_fds(descriptors)
        .unwrap();
}

fn files_in(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read(path).unwrap(),
            )
        })
        .collect()
}

#[test]
fn generated_code_is_what_the_proto_files_say() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gen");
    if std::env::var_os("TIDEGATE_REGENERATE").is_some() {
        regenerate(&committed);
        return;
    }
    let fresh = tempfile::tempdir().unwrap();
    regenerate(fresh.path());
    for (name, content) in files_in(fresh.path()) {
        let same = fs::read(committed.join(&name)).is_ok_and(|old| old == content);
        assert!(
            same,
            "{name} is stale: run TIDEGATE_REGENERATE=1 cargo test -p tidegate-proto"
        );
    }
}

/// One line for everything that a peer built yesterday relies on.
fn contract(pool: &DescriptorPool) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    for message in pool.all_messages() {
        for field in message.fields() {
            let key = format!("{} field {}", message.full_name(), field.number());
            let value = format!(
                "{} {:?} {:?}",
                field.name(),
                field.kind(),
                field.cardinality()
            );
            lines.insert(key, value);
        }
    }
    for kind in pool.all_enums() {
        for value in kind.values() {
            lines.insert(
                format!("{} value {}", kind.full_name(), value.number()),
                value.name().to_owned(),
            );
        }
    }
    for service in pool.services() {
        for method in service.methods() {
            let shape = format!(
                "{} -> {} client_streaming={} server_streaming={}",
                method.input().full_name(),
                method.output().full_name(),
                method.is_client_streaming(),
                method.is_server_streaming()
            );
            lines.insert(
                format!("{} rpc {}", service.full_name(), method.name()),
                shape,
            );
        }
    }
    lines
}

fn broken(released: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    released
        .iter()
        .filter(|(key, value)| now.get(*key) != Some(value))
        .map(|(key, value)| format!("{key}: was {value}, is {:?}", now.get(key)))
        .collect()
}

#[test]
fn nothing_that_old_peers_read_was_changed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pool = DescriptorPool::decode(tidegate_proto::DESCRIPTORS).unwrap();
    let now = contract(&pool);
    let file = root.join("contract.txt");
    if std::env::var_os("TIDEGATE_REGENERATE").is_some() {
        let lines: Vec<_> = now
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        fs::write(&file, lines.concat()).unwrap();
        return;
    }
    let released: BTreeMap<_, _> = fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(|line| line.split_once(" = ").unwrap())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(
        broken(&released, &now),
        Vec::<String>::new(),
        "a released field changed its meaning"
    );
    // A new field is recorded too, or a later change of it would pass unseen.
    let unrecorded: Vec<_> = now
        .keys()
        .filter(|key| !released.contains_key(*key))
        .collect();
    assert!(
        unrecorded.is_empty(),
        "run TIDEGATE_REGENERATE=1 cargo test -p tidegate-proto once more, now that its code is new: {unrecorded:?}"
    );
}

#[test]
fn a_breaking_change_is_seen() {
    let pool = DescriptorPool::decode(tidegate_proto::DESCRIPTORS).unwrap();
    let released = contract(&pool);
    let mut now = released.clone();
    now.remove("tidegate.v1.Report field 3").unwrap();
    now.insert(
        "tidegate.v1.Report field 2".to_owned(),
        "generation String Optional".to_owned(),
    );
    assert_eq!(broken(&released, &now).len(), 2);
}

#[test]
fn every_enum_has_an_unspecified_zero() {
    let pool = DescriptorPool::decode(tidegate_proto::DESCRIPTORS).unwrap();
    for kind in pool.all_enums() {
        let zero = kind.get_value(0).unwrap();
        assert!(
            zero.name().ends_with("_UNSPECIFIED"),
            "{}",
            kind.full_name()
        );
    }
}
