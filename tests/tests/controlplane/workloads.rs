//! Real clusters run workloads, refuse strangers and clean up.

use std::fs;

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    batch::v1::Job,
    core::v1::{ConfigMap, Namespace},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;
use tidegate_tests::harness::{Cluster, Fleet, User, eventually, require_real};
use tokio::time::Instant;

use super::support::{
    SOON, apply, assert_forbidden, available, deployment, kubectl_as, named, pods, succeeds, text,
};

#[tokio::test]
async fn three_clusters_run_workloads() {
    let Some(binaries) = require_real("workloads::three_clusters_run_workloads") else {
        return;
    };
    let asked = Instant::now();
    let fleet = Fleet::named(&binaries, &["dev", "stage", "prod"])
        .await
        .unwrap();
    eprintln!("three clusters started in {:?}", asked.elapsed());
    let [dev, stage, prod] = fleet.clusters() else {
        panic!("not three clusters")
    };
    futures::join!(
        a_deployment_becomes_available_and_leaves_no_pods(dev),
        a_job_completes_and_a_daemon_runs(dev),
        a_bad_image_crash_loops(stage),
        a_namespace_is_deleted_with_its_contents(prod),
        the_agent_may_do_nothing_before_rbac(prod),
        an_engineer_edits_under_a_name_of_their_own(stage),
        a_token_opens_its_own_cluster_only(dev, prod),
    );
    let error = fleet.cluster("nowhere").unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

async fn a_deployment_becomes_available_and_leaves_no_pods(cluster: &Cluster) {
    apply(cluster, &deployment("web", "example.org/web:1", 2)).await;
    available(cluster, "web", 2).await;
    let pods = pods(cluster, "app=web").await;
    assert_eq!(pods.len(), 2);
    for pod in &pods {
        assert_eq!(
            pod.spec.as_ref().unwrap().node_name.as_deref(),
            Some("node-1")
        );
    }

    let client = cluster.kube_client().unwrap();
    let deployments = Api::<Deployment>::namespaced(client.clone(), "default");
    deployments
        .delete("web", &DeleteParams::background())
        .await
        .unwrap();
    let sets = Api::<ReplicaSet>::namespaced(client, "default");
    eventually("no pods of a deleted deployment", SOON, || async {
        let selector = ListParams::default().labels("app=web");
        let sets = sets
            .list(&selector)
            .await
            .map_err(|e| e.to_string())?
            .items
            .len();
        let pods = super::support::pods(cluster, "app=web").await.len();
        if sets + pods == 0 {
            Ok(())
        } else {
            Err(format!("{sets} sets, {pods} pods"))
        }
    })
    .await
    .unwrap();
}

async fn a_job_completes_and_a_daemon_runs(cluster: &Cluster) {
    let template = |policy: &str| {
        json!({
            "metadata": {"labels": {"app": "batch"}},
            "spec": {"restartPolicy": policy, "containers": [{"name": "main", "image": "good:1"}]},
        })
    };
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"},
        "spec": {"template": template("Never")},
    });
    let daemon = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "everywhere"},
        "spec": {"selector": {"matchLabels": {"app": "batch"}}, "template": template("Always")},
    });
    apply(cluster, &job.to_string()).await;
    apply(cluster, &daemon.to_string()).await;
    let jobs = Api::<Job>::namespaced(cluster.kube_client().unwrap(), "default");
    eventually("the job complete", SOON, || async {
        let status = jobs
            .get_status("once")
            .await
            .map_err(|e| e.to_string())?
            .status;
        let done = status.as_ref().and_then(|status| status.succeeded) == Some(1);
        done.then_some(()).ok_or_else(|| format!("{status:?}"))
    })
    .await
    .unwrap();
    succeeds(
        cluster,
        &["rollout", "status", "daemonset/everywhere", "--timeout=60s"],
    )
    .await;
}

async fn a_bad_image_crash_loops(cluster: &Cluster) {
    apply(cluster, &deployment("broken", "bad:1", 1)).await;
    eventually("restarts of a bad image", SOON, || async {
        let pods = pods(cluster, "app=broken").await;
        let status = pods.first().and_then(|pod| pod.status.as_ref());
        let container = status.and_then(|status| status.container_statuses.as_ref()?.first());
        let waiting = container.and_then(|c| c.state.as_ref()?.waiting.as_ref());
        let crash_loops = waiting.and_then(|waiting| waiting.reason.as_deref())
            == Some("CrashLoopBackOff")
            && container.is_some_and(|c| c.restart_count >= 3 && !c.ready);
        crash_loops
            .then_some(())
            .ok_or_else(|| format!("{container:?}"))
    })
    .await
    .unwrap();
    let deployments = Api::<Deployment>::namespaced(cluster.kube_client().unwrap(), "default");
    let status = deployments
        .get_status("broken")
        .await
        .unwrap()
        .status
        .unwrap();
    assert_eq!(
        (status.available_replicas, status.unavailable_replicas),
        (None, Some(1))
    );
}

async fn a_namespace_is_deleted_with_its_contents(cluster: &Cluster) {
    let namespaces = Api::<Namespace>::all(cluster.kube_client().unwrap());
    succeeds(cluster, &["create", "namespace", "doomed"]).await;
    succeeds(
        cluster,
        &[
            "-n",
            "doomed",
            "create",
            "deployment",
            "app",
            "--image=good:1",
        ],
    )
    .await;
    let ready = [
        "wait",
        "-n",
        "doomed",
        "deployment/app",
        "--for=condition=Available",
    ];
    succeeds(cluster, &[&ready[..], &["--timeout=60s"]].concat()).await;
    namespaces
        .delete("doomed", &DeleteParams::default())
        .await
        .unwrap();
    eventually("the namespace gone", SOON, || async {
        match namespaces.get_opt("doomed").await {
            Ok(None) => Ok(()),
            other => Err(format!(
                "{:?}",
                other.map(|namespace| namespace.unwrap().status)
            )),
        }
    })
    .await
    .unwrap();
}

async fn the_agent_may_do_nothing_before_rbac(cluster: &Cluster) {
    let client = cluster.kube_client_for(User::Agent).unwrap();
    let maps = Api::<ConfigMap>::namespaced(client, "tidegate-system");
    assert_forbidden(maps.list(&ListParams::default()).await.unwrap_err());
    let map = ConfigMap {
        metadata: named("mine"),
        ..ConfigMap::default()
    };
    assert_forbidden(maps.create(&PostParams::default(), &map).await.unwrap_err());
    let can = kubectl_as(
        cluster,
        User::Agent,
        &["auth", "can-i", "get", "pods", "-A"],
    )
    .await;
    assert_eq!(text(&can.stdout).trim(), "no");
    let who = kubectl_as(cluster, User::Agent, &["auth", "whoami", "-o", "json"]).await;
    assert!(
        text(&who.stdout).contains(User::Agent.username()),
        "{who:?}"
    );

    // A binding to the service account reaches the token.
    let role = [
        "create",
        "clusterrole",
        "reads-pods",
        "--verb=get",
        "--resource=pods",
    ];
    succeeds(cluster, &role).await;
    let bind = [
        "create",
        "clusterrolebinding",
        "agent",
        "--clusterrole=reads-pods",
    ];
    let whom = ["--serviceaccount=tidegate-system:tidegate-agent"];
    succeeds(cluster, &[&bind[..], &whom].concat()).await;
    eventually("the agent's permission", SOON, || async {
        let can = kubectl_as(
            cluster,
            User::Agent,
            &["auth", "can-i", "get", "pods", "-A"],
        )
        .await;
        let answer = text(&can.stdout);
        if answer.trim() == "yes" {
            Ok(())
        } else {
            Err(answer)
        }
    })
    .await
    .unwrap();
}

async fn an_engineer_edits_under_a_name_of_their_own(cluster: &Cluster) {
    succeeds(cluster, &["create", "configmap", "edited"]).await;
    let edit = ["annotate", "configmap", "edited", "by=hand"];
    let edited = kubectl_as(cluster, User::Engineer, &edit).await;
    assert!(edited.status.success(), "{edited:?}");
    let who = kubectl_as(cluster, User::Engineer, &["auth", "whoami", "-o", "json"]).await;
    assert!(
        text(&who.stdout).contains("\"username\": \"engineer\""),
        "{who:?}"
    );
}

async fn a_token_opens_its_own_cluster_only(own: &Cluster, other: &Cluster) {
    let stolen = fs::read_to_string(own.kubeconfig()).unwrap();
    let token = stolen
        .split("\"token\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap();
    // Through the agent, who may not read this by itself.
    let get = ["get", "secrets", "--token", token];
    let own = kubectl_as(own, User::Agent, &get).await;
    assert!(own.status.success(), "{own:?}");
    let refused = kubectl_as(other, User::Agent, &get).await;
    assert!(
        !refused.status.success() && text(&refused.stderr).contains("Unauthorized"),
        "{refused:?}"
    );
}
