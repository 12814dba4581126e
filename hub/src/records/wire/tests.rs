//! What every record promises: it reads back as it was written, under its own key alone, and no
//! bytes at all make reading panic.

use std::fmt::Debug;

use jiff::Timestamp;
use proptest::prelude::*;
use prost::Message as _;
use tidegate_proto::storage::v1;

use super::sample::{Dice, Sample};
use crate::records::{
    AppRecord, AuditHead, AuditRecord, ClusterRecord, DenyRecord, EpochRecord, HoldRecord,
    HomeRecord, MemberRecord, PinRecord, Record, ReissueRecord, ReleaseRecord, ReportRecord,
    RestoredRecord, RunRecord, SetRecord, SourceRecord, TokenRecord, UserRecord, WavePlanRecord,
};

fn reads_back<R: Record + Sample + PartialEq + Debug>(seed: u64) -> Result<(), TestCaseError> {
    let record = R::sample(&mut Dice::new(seed));
    let (key, bytes) = (record.key(), record.encode());
    prop_assert_eq!(&bytes, &record.encode(), "encoding is not deterministic");
    let kind = format!("/tidegate/v1/{}/", R::KIND);
    prop_assert!(key.starts_with(&kind), "{}", key);
    prop_assert_eq!(R::decode(&key, &bytes).unwrap(), record);

    for wrong in [
        format!("{key}-other"),
        format!("{key}/deeper"),
        format!("/x{key}"),
        String::new(),
    ] {
        let error = R::decode(&wrong, &bytes).unwrap_err();
        prop_assert_eq!(&error.key, &wrong);
        prop_assert!(error.to_string().contains(&wrong), "{}", error);
    }
    Ok(())
}

/// Bytes of a real record with one byte changed or the end cut off, and bytes of no record.
fn survives<R: Record + Sample>(
    seed: u64,
    at: prop::sample::Index,
    byte: u8,
    garbage: &[u8],
) -> Result<(), TestCaseError> {
    let record = R::sample(&mut Dice::new(seed));
    let (key, mut bytes) = (record.key(), record.encode());
    let _ = R::decode(&key, garbage);
    if bytes.is_empty() {
        return Ok(());
    }
    let at = at.index(bytes.len());
    let _ = R::decode(&key, &bytes[..at]);
    bytes[at] = byte;
    if let Ok(read) = R::decode(&key, &bytes) {
        // Whatever was accepted is a record that lies where it belongs and can be written again.
        prop_assert_eq!(read.key(), key.clone());
        prop_assert!(R::decode(&key, &read.encode()).is_ok());
    }
    Ok(())
}

macro_rules! every_record {
    ($check:ident $arguments:tt) => {
        every_record!(@ $check $arguments EpochRecord ClusterRecord TokenRecord UserRecord
            SetRecord WavePlanRecord AppRecord ReportRecord SourceRecord ReleaseRecord RunRecord MemberRecord
            PinRecord DenyRecord HoldRecord RestoredRecord ReissueRecord HomeRecord
            AuditRecord AuditHead)
    };
    (@ $check:ident $arguments:tt $($record:ident)+) => {
        $($check::<$record> $arguments?;)+
    };
}

proptest! {
    #[test]
    fn every_record_reads_back_as_written(seed in any::<u64>()) {
        every_record!(reads_back(seed));
    }

    #[test]
    fn no_bytes_make_reading_panic(
        seed in any::<u64>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        garbage in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        every_record!(survives(seed, at, byte, &garbage));
    }
}

#[test]
fn kinds_are_distinct_and_never_change() {
    let kinds = [
        EpochRecord::KIND,
        ClusterRecord::KIND,
        TokenRecord::KIND,
        UserRecord::KIND,
        SetRecord::KIND,
        WavePlanRecord::KIND,
        AppRecord::KIND,
        ReportRecord::KIND,
        SourceRecord::KIND,
        ReleaseRecord::KIND,
        RunRecord::KIND,
        MemberRecord::KIND,
        PinRecord::KIND,
        DenyRecord::KIND,
        HoldRecord::KIND,
        RestoredRecord::KIND,
        ReissueRecord::KIND,
        HomeRecord::KIND,
        AuditRecord::KIND,
        AuditHead::KIND,
    ];
    assert_eq!(
        kinds.join(" "),
        "epoch clusters tokens users sets waveplans applications reports sources releases runs members \
         pins denies holds restored reissues homes audit audit-heads"
    );
}

fn token() -> TokenRecord {
    TokenRecord {
        id: "4fd1".to_owned(),
        secret_hash: [0xab; 32],
        cluster: "0190a0b0-c0d0-7000-8000-000000000001".parse().unwrap(),
        expires_at: Timestamp::from_second(1_700_003_600).unwrap(),
        // At the very start of Unix time: used, which is not the same as never used.
        used_at: Some(Timestamp::UNIX_EPOCH),
        created_by: "ada".to_owned(),
    }
}

#[test]
fn the_bytes_of_a_known_record_never_change() {
    // Another hub version has to read what this one wrote.
    let record = token();
    assert_eq!(record.key(), "/tidegate/v1/tokens/_/4fd1");
    assert_eq!(
        hex::encode(record.encode()),
        concat!(
            "0a20abababababababababababababababababababababababababababababababab122430313930",
            "613062302d633064302d373030302d383030302d3030303030303030303030311880adf180bd3120",
            "002a03616461320434666431",
        )
    );
    assert_eq!(
        TokenRecord::decode(&record.key(), &record.encode()).unwrap(),
        record
    );
}

#[test]
fn an_unknown_name_is_refused_with_key_and_field() {
    let key = "/tidegate/v1/users/_/ada";
    let user = v1::User {
        name: "ada".into(),
        role: "Root".into(),
        ..v1::User::default()
    };
    let error = UserRecord::decode(key, &user.encode_to_vec()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to read the record /tidegate/v1/users/_/ada: role: unknown value \"Root\": \
         expected Viewer, Operator, Admin"
    );
    // What proto3 leaves out is no name either.
    let user = v1::User {
        name: "ada".into(),
        ..v1::User::default()
    };
    assert_eq!(
        UserRecord::decode(key, &user.encode_to_vec())
            .unwrap_err()
            .field,
        "role"
    );
}

#[test]
fn values_out_of_range_are_refused_with_their_field() {
    let refused = |change: fn(&mut v1::JoinToken)| {
        let mut stored = v1::JoinToken::decode(token().encode().as_slice()).unwrap();
        change(&mut stored);
        TokenRecord::decode(&token().key(), &stored.encode_to_vec())
            .unwrap_err()
            .field
    };
    assert_eq!(
        refused(|stored| stored.secret_hash.truncate(31)),
        "secret_hash"
    );
    assert_eq!(refused(|stored| stored.expires_at = i64::MAX), "expires_at");
    assert_eq!(refused(|stored| stored.used_at = Some(i64::MIN)), "used_at");
    assert_eq!(refused(|stored| stored.cluster_uid.clear()), "cluster_uid");
    assert_eq!(refused(|stored| stored.id.push('0')), "key");

    let mut dice = Dice::new(1);
    let record = ReportRecord::sample(&mut dice);
    let mut stored = v1::Report::decode(record.encode().as_slice()).unwrap();
    stored.healthy_for = -1;
    let error = ReportRecord::decode(&record.key(), &stored.encode_to_vec()).unwrap_err();
    assert_eq!(error.field, "healthy_for");
}
