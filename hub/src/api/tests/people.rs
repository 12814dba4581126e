//! People get certificates; roles are not changed on the side.

use super::*;

fn sign_up(name: &str, role: wire::Role) -> wire::CreateUserRequest {
    wire::CreateUserRequest {
        name: name.to_owned(),
        role: role.into(),
        csr: csr(),
        groups: Vec::new(),
        no_groups: false,
    }
}

#[tokio::test]
async fn a_person_gets_a_certificate_and_a_role() {
    let hub = Hub::new().await;
    let api = hub.api();
    let answer = api
        .create_user(ada(sign_up("bob", wire::Role::Operator)))
        .await
        .unwrap()
        .into_inner();
    assert!(answer.certificate_pem.contains("BEGIN CERTIFICATE"));
    assert_eq!(answer.ca_pem, hub.authority.ca_pem());
    let user = hub
        .db
        .read()
        .users
        .find(|user| user.name == "bob")
        .unwrap()
        .record
        .clone();
    assert_eq!(
        (user.role, user.created_by.as_str()),
        (Role::Operator, "ada")
    );
    let told = hub.last_decision(FLEET).await;
    assert_eq!(
        told,
        (
            "ada".into(),
            "user.sign".into(),
            "user/bob role/Operator".into()
        )
    );
}

#[tokio::test]
async fn an_existing_name_keeps_its_role() {
    let hub = Hub::new().await;
    let api = hub.api();
    api.create_user(ada(sign_up("bob", wire::Role::Viewer)))
        .await
        .unwrap();
    let before = hub.revision().await;
    let more = api
        .create_user(ada(sign_up("bob", wire::Role::Admin)))
        .await;
    refused(more, Code::AlreadyExists, &["bob is a Viewer already"]);
    assert_eq!(hub.revision().await, before);
    // A new certificate for the same role is a record, and no second person.
    api.create_user(ada(sign_up("bob", wire::Role::Viewer)))
        .await
        .unwrap();
    assert_eq!(hub.db.read().users.len(), 1);
    assert_eq!(hub.audit(FLEET).await.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_a_person_is_refused() {
    let hub = Hub::new().await;
    let api = hub.api();
    let before = hub.revision().await;
    let none = sign_up("bob", wire::Role::Unspecified);
    refused(
        api.create_user(ada(none)).await,
        Code::InvalidArgument,
        &["viewer, operator or admin"],
    );
    for name in ["system", "a/b", ""] {
        let request = sign_up(name, wire::Role::Viewer);
        refused(
            api.create_user(ada(request)).await,
            Code::InvalidArgument,
            &[],
        );
    }
    let csr = wire::CreateUserRequest {
        csr: b"x".to_vec(),
        ..sign_up("bob", wire::Role::Viewer)
    };
    refused(
        api.create_user(ada(csr)).await,
        Code::InvalidArgument,
        &["certificate request"],
    );
    assert_eq!(hub.revision().await, before);
}

#[tokio::test]
async fn who_am_i_tells_the_role_on_record() {
    let hub = Hub::new().await;
    let api = hub.api();
    refused(
        api.who_am_i(ada(wire::WhoAmIRequest {})).await,
        Code::PermissionDenied,
        &["ada"],
    );
    api.create_user(ada(sign_up("ada", wire::Role::Admin)))
        .await
        .unwrap();
    let me = api
        .who_am_i(ada(wire::WhoAmIRequest {}))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((me.name.as_str(), me.role()), ("ada", wire::Role::Admin));
    assert_eq!(me.trust_domain, "fleet.example.org");
}

#[tokio::test]
async fn groups_are_kept_until_others_are_named() {
    let hub = Hub::new().await;
    let api = hub.api();
    let sign = async |groups: &[&str]| {
        let request = wire::CreateUserRequest {
            groups: groups.iter().map(ToString::to_string).collect(),
            ..sign_up("bob", wire::Role::Viewer)
        };
        api.create_user(ada(request)).await
    };
    let groups = || {
        let state = hub.db.read();
        let user = state.users.find(|user| user.name == "bob").unwrap();
        user.record.groups.join(",")
    };
    sign(&["sre", "dev", "sre"]).await.unwrap();
    assert_eq!(groups(), "dev,sre");
    sign(&[]).await.unwrap();
    assert_eq!(groups(), "dev,sre");
    let audited = hub.audit(FLEET).await.len();
    sign(&["ops"]).await.unwrap();
    assert_eq!(groups(), "ops");
    let told = &hub.audit(FLEET).await[audited];
    assert_eq!(
        (
            told.action.as_str(),
            told.before.as_str(),
            told.after.as_str()
        ),
        ("user.groups", "dev,sre", "ops")
    );
    let none = wire::CreateUserRequest {
        no_groups: true,
        ..sign_up("bob", wire::Role::Viewer)
    };
    api.create_user(ada(none)).await.unwrap();
    assert_eq!(groups(), "");
    refused(
        sign(&["a b"]).await,
        Code::InvalidArgument,
        &["group \"a b\""],
    );
}
