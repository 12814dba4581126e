//! Documents in: all of them or none, with places.

use tonic_types::StatusExt as _;

use super::*;

/// A good document.
fn yaml(name: &str, image: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1alpha1
kind: ApplicationSet
metadata:
  name: {name}
spec:
  generators:
    - clusters: {{}}
  template:
    metadata:
      name: \"{name}-{{{{.name}}}}\"
      labels: {{image: {image}}}
    spec:
      source:
        repoURL: https://git.example.org/a.git
        path: a
      destination:
        name: \"{{{{.name}}}}\"
"
    )
}

fn files(files: &[(&str, &str)]) -> wire::ApplyRequest {
    let file = |(name, content): &(&str, &str)| wire::SourceFile {
        name: (*name).to_owned(),
        content: (*content).to_owned().into(),
    };
    wire::ApplyRequest {
        files: files.iter().map(file).collect(),
        dry_run: false,
    }
}

async fn outcomes(hub: &Hub, request: wire::ApplyRequest) -> Vec<wire::ApplyOutcome> {
    let answer = hub.api().apply(ada(request)).await.unwrap().into_inner();
    answer
        .objects
        .iter()
        .map(wire::AppliedObject::outcome)
        .collect()
}

#[tokio::test]
async fn one_wrong_document_keeps_all_out_and_every_problem_is_told() {
    let hub = Hub::new().await;
    let before = hub.revision().await;
    let good = yaml("good", "a");
    let bad = yaml("bad", "a").replace("        path: a\n", "        paht: a\n");
    let worse =
        yaml("worse", "a").replace("    - clusters: {}\n", "    - clusters: {selectr: {}}\n");
    let request = files(&[("good.yaml", &good), ("b.yaml", &bad), ("c.yaml", &worse)]);
    let status = hub.api().apply(ada(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    for words in [
        "nothing was written",
        "b.yaml:15",
        "paht",
        "c.yaml:7",
        "selectr",
    ] {
        assert!(
            status.message().contains(words),
            "{words}: {}",
            status.message()
        );
    }
    let details = status.get_error_details();
    let places: Vec<_> = details
        .bad_request()
        .unwrap()
        .field_violations
        .iter()
        .collect();
    assert!(
        places
            .iter()
            .any(|place| place.field.starts_with("b.yaml:15")),
        "{places:?}"
    );
    assert!(
        places
            .iter()
            .all(|place| !place.field.starts_with("good.yaml")),
        "{places:?}"
    );
    assert_eq!(hub.revision().await, before);

    // Two documents of one file are no different.
    let both = format!("{good}---\n{bad}");
    refused(
        hub.api().apply(ada(files(&[("x.yaml", &both)]))).await,
        Code::InvalidArgument,
        &["x.yaml:33"],
    );
    assert_eq!(hub.revision().await, before);
    assert_eq!(
        outcomes(&hub, files(&[("good.yaml", &good)])).await,
        [wire::ApplyOutcome::Created]
    );
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_writes_nothing() {
    let hub = Hub::new().await;
    let before = hub.revision().await;
    let dry = wire::ApplyRequest {
        dry_run: true,
        ..files(&[("a.yaml", &yaml("web", "a"))])
    };
    assert_eq!(outcomes(&hub, dry).await, [wire::ApplyOutcome::Created]);
    assert_eq!(hub.revision().await, before);
    assert!(hub.db.read().sets.is_empty());
}

#[tokio::test]
async fn the_same_again_is_unchanged_and_other_content_a_new_version() {
    let hub = Hub::new().await;
    let apply = |image| files(&[("a.yaml", &yaml("web", image))]);
    assert_eq!(
        outcomes(&hub, apply("a")).await,
        [wire::ApplyOutcome::Created]
    );
    assert_eq!(hub.last_decision("default").await.1, "set.create");
    let revision = hub.revision().await;
    assert_eq!(
        outcomes(&hub, apply("a")).await,
        [wire::ApplyOutcome::Unchanged]
    );
    assert_eq!(hub.revision().await, revision);
    let uid = hub.db.read().set("default", "web").unwrap().record.uid;

    assert_eq!(
        outcomes(&hub, apply("b")).await,
        [wire::ApplyOutcome::Configured]
    );
    let row = hub.db.read().set("default", "web").unwrap().clone();
    assert_eq!((row.record.version, row.record.uid), (2, uid));
    let last = hub.audit("default").await.pop().unwrap();
    assert_eq!(
        (last.actor.as_str(), last.action.as_str()),
        ("ada", "set.change")
    );
    assert_eq!((last.before.as_str(), last.after.as_str()), ("1", "2"));
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let hub = Hub::new().await;
    let good = yaml("web", "a");
    let ftp = good.replace("https://", "ftp://");
    let apply = |request| async { hub.api().apply(ada(request)).await };
    let code = Code::InvalidArgument;
    refused(apply(files(&[])).await, code, &["holds no file"]);
    refused(
        apply(files(&[("e.yaml", "# nothing\n")])).await,
        code,
        &["e.yaml", "no document"],
    );
    refused(apply(files(&[("t.yaml", "a: [")])).await, code, &["t.yaml"]);
    let twice = [("1.yaml", good.as_str()), ("2.yaml", good.as_str())];
    refused(
        apply(files(&twice)).await,
        code,
        &["2.yaml:1: set web is there twice"],
    );
    refused(
        apply(files(&[("f.yaml", &ftp)])).await,
        code,
        &["f.yaml:1", "ftp"],
    );
    assert!(hub.db.read().sets.is_empty());
}

#[tokio::test]
async fn members_that_no_wave_picks_are_told_when_the_set_is_written() {
    let hub = Hub::new().await;
    hub.create([cluster(1), cluster(2)]).await;
    let strategy = "  strategy:
    type: Waves
    waves:
      - name: first
        select: {clusters: {matchLabels: {rank: \"1\"}}}
";
    let text = yaml("web", "a") + strategy;
    let refusal = hub.api().apply(ada(files(&[("w.yaml", &text)]))).await;
    refused(
        refusal,
        Code::InvalidArgument,
        &["w.yaml:18", "no wave picks c2"],
    );
    let text = text.replace("type: Waves", "type: Waves\n    unmatched: exclude");
    assert_eq!(
        outcomes(&hub, files(&[("w.yaml", &text)])).await,
        [wire::ApplyOutcome::Created]
    );
    let empty = yaml("two", "a") + "  strategy: {type: Waves}\n";
    let refusal = hub.api().apply(ada(files(&[("w.yaml", &empty)]))).await;
    refused(
        refusal,
        Code::InvalidArgument,
        &["w.yaml:18", "spec.strategy"],
    );
}

#[tokio::test]
async fn sets_that_belong_elsewhere_or_are_on_their_way_out_are_left_alone() {
    let hub = Hub::new().await;
    let mut crd = set(1, "crd", &json!({}));
    crd.managed_by = "kubernetes".to_owned();
    let mut gone = set(2, "gone", &json!({}));
    gone.deleting = true;
    hub.create([crd, gone]).await;
    let before = hub.revision().await;
    for (name, words) in [
        ("crd", "managed by kubernetes"),
        ("gone", "is being deleted"),
    ] {
        let request = files(&[("1.yaml", &yaml("new", "a")), ("2.yaml", &yaml(name, "a"))]);
        refused(
            hub.api().apply(ada(request)).await,
            Code::FailedPrecondition,
            &[name, words],
        );
    }
    assert_eq!(hub.revision().await, before, "not even the good one");
}

#[tokio::test]
async fn more_documents_than_a_transaction_holds_are_the_callers_to_split() {
    let hub = Hub::new().await;
    let before = hub.revision().await;
    let many: Vec<_> = (0..60).map(|n| yaml(&format!("s{n}"), "a")).collect();
    let request = files(&[("many.yaml", &many.join("---\n"))]);
    let words = ["at most 100", "split it", "nothing was written"];
    refused(
        hub.api().apply(ada(request)).await,
        Code::InvalidArgument,
        &words,
    );
    assert_eq!(hub.revision().await, before);
}
