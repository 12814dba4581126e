//! The canned hub: every call of the Fleet service, answered from `data`.
//!
//! Names say how it behaves: `missing` is not found, `forbidden` is refused, `stuck` never answers, `sluggish` late,
//! `slow` gets where it should at the third look. It keeps what it was asked, for tests to see.

use std::{
    future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tidegate_proto::v1::{self as wire, fleet_server::Fleet};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use crate::{applied, data, happenings, insight, ledger, pages::lists, pki::Authority, plans};

/// Answers.
pub(crate) struct Canned {
    authority: Arc<Authority>,
    asked: Mutex<Vec<String>>,
    looks: AtomicUsize,
    /// What a test put in place of the canned applications, an answer each; the last stays.
    apps: Mutex<Vec<Vec<wire::Application>>>,
    /// What was decided since the test began.
    decided: Mutex<Vec<&'static str>>,
}

impl Canned {
    pub(crate) fn new(authority: Arc<Authority>) -> Self {
        Self {
            authority,
            asked: Mutex::default(),
            looks: AtomicUsize::new(0),
            apps: Mutex::default(),
            decided: Mutex::default(),
        }
    }

    /// From now on there are these applications.
    pub(crate) fn now_has(&self, apps: Vec<wire::Application>) {
        *self.apps.lock().unwrap() = vec![apps];
    }

    /// Once they were looked at, there are these.
    pub(crate) fn then_has(&self, apps: Vec<wire::Application>) {
        self.apps.lock().unwrap().push(apps);
    }

    fn apps(&self) -> Vec<wire::Application> {
        let mut put = self.apps.lock().unwrap();
        match put.len() {
            0 => data::apps(),
            1 => put[0].clone(),
            _ => put.remove(0),
        }
    }

    /// One more record in every chain.
    pub(crate) fn decides(&self, action: &'static str) {
        self.decided.lock().unwrap().push(action);
    }

    /// The only request so far, in Rust's debug form.
    pub(crate) fn only_request(&self) -> String {
        let mut asked = self.asked.lock().unwrap();
        assert_eq!(asked.len(), 1, "{asked:#?}");
        asked.remove(0)
    }

    /// How many requests came so far.
    pub(crate) fn requests(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn look(&self) -> usize {
        self.looks.fetch_add(1, Ordering::SeqCst)
    }

    /// Notes the request and refuses some names.
    async fn hear<T: std::fmt::Debug>(
        &self,
        request: Request<T>,
        name: impl Fn(&T) -> &str,
    ) -> Result<T, Status> {
        assert!(
            request.peer_certs().is_some_and(|certs| !certs.is_empty()),
            "no client certificate"
        );
        let request = request.into_inner();
        self.asked.lock().unwrap().push(format!("{request:?}"));
        match name(&request) {
            "missing" => Err(Status::not_found(
                "no set missing in project default; `tidegate get sets` lists them",
            )),
            "forbidden" => Err(Status::permission_denied(
                "kim is a viewer: this needs an operator",
            )),
            "busy" => Err(Status::failed_precondition(
                "run 1 is Succeeded: it changes no more",
            )),
            "down" => Err(Status::unavailable(
                "another hub leads now; nothing was written",
            )),
            "stuck" => future::pending().await,
            // Longer than a person waits without a word.
            "sluggish" => {
                tokio::time::sleep(Duration::from_millis(1600)).await;
                Ok(request)
            }
            _ => Ok(request),
        }
    }
}

fn of_run(run: Option<&wire::GetRunRequest>) -> &str {
    run.map(named).unwrap_or_default()
}

fn named(request: &wire::GetRunRequest) -> &str {
    if request.set.is_empty() {
        &request.run_id
    } else {
        &request.set
    }
}

type States = Pin<Box<dyn Stream<Item = Result<wire::Run, Status>> + Send>>;

#[tonic::async_trait]
impl Fleet for Canned {
    async fn apply(
        &self,
        request: Request<wire::ApplyRequest>,
    ) -> Result<Response<wire::ApplyResponse>, Status> {
        let request = self.hear(request, |_| "").await?;
        applied::applied(&request).map(Response::new)
    }

    async fn list_application_sets(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<wire::ListApplicationSetsResponse>, Status> {
        let request = self
            .hear(request, |request| request.project.as_str())
            .await?;
        let mut sets = data::sets();
        if request.name == "slow" {
            sets = vec![wire::ApplicationSet {
                run_state: if self.look() < 2 {
                    "Rolling"
                } else {
                    "Succeeded"
                }
                .to_owned(),
                name: "slow".to_owned(),
                project: "default".to_owned(),
                ..wire::ApplicationSet::default()
            }];
        }
        if request.project == "nothing" {
            sets.clear();
        }
        lists!(request, ListApplicationSetsResponse, sets)
    }

    async fn delete_application_set(
        &self,
        request: Request<wire::DeleteApplicationSetRequest>,
    ) -> Result<Response<wire::DeleteApplicationSetResponse>, Status> {
        self.hear(request, |request| &request.name).await?;
        Ok(Response::new(wire::DeleteApplicationSetResponse {
            applications: 2,
        }))
    }

    async fn list_wave_plans(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<wire::ListWavePlansResponse>, Status> {
        let request = self.hear(request, |_| "").await?;
        lists!(request, ListWavePlansResponse, data::wave_plans())
    }

    async fn delete_wave_plan(
        &self,
        request: Request<wire::DeleteWavePlanRequest>,
    ) -> Result<Response<wire::DeleteWavePlanResponse>, Status> {
        self.hear(request, |request| &request.name).await?;
        Ok(Response::new(wire::DeleteWavePlanResponse {}))
    }

    async fn list_applications(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<wire::ListApplicationsResponse>, Status> {
        let request = self.hear(request, |_| "").await?;
        let mut apps = self.apps();
        if request.name == "slow" {
            let health = if self.look() < 2 {
                wire::Health::Progressing
            } else {
                wire::Health::Healthy
            };
            let first = apps.remove(0);
            apps = vec![wire::Application {
                name: "slow".to_owned(),
                health: health.into(),
                ..first
            }];
        }
        if request.name == "twin" {
            let twin = |project: &str| wire::Application {
                name: "twin".to_owned(),
                project: project.to_owned(),
                ..wire::Application::default()
            };
            apps = vec![twin("default"), twin("shop")];
        }
        lists!(request, ListApplicationsResponse, apps)
    }

    async fn list_clusters(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<wire::ListClustersResponse>, Status> {
        let request = self.hear(request, |_| "").await?;
        lists!(request, ListClustersResponse, data::clusters())
    }

    async fn list_releases(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<wire::ListReleasesResponse>, Status> {
        let request = self.hear(request, |_| "").await?;
        let mut releases = data::releases();
        if request.name.is_empty() {
            for release in &mut releases {
                release.entries.clear();
            }
        }
        lists!(request, ListReleasesResponse, releases)
    }

    async fn list_runs(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<wire::ListRunsResponse>, Status> {
        let request = self.hear(request, |_| "").await?;
        lists!(request, ListRunsResponse, data::runs())
    }

    async fn list_sources(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<wire::ListSourcesResponse>, Status> {
        let request = self.hear(request, |_| "").await?;
        lists!(request, ListSourcesResponse, data::sources())
    }

    async fn list_holds(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<wire::ListHoldsResponse>, Status> {
        let request = self.hear(request, |_| "").await?;
        lists!(request, ListHoldsResponse, data::holds())
    }

    async fn list_pins(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<wire::ListPinsResponse>, Status> {
        let request = self.hear(request, |_| "").await?;
        lists!(request, ListPinsResponse, data::pins())
    }

    async fn list_audit(
        &self,
        request: Request<wire::ListAuditRequest>,
    ) -> Result<Response<wire::ListAuditResponse>, Status> {
        let request = self.hear(request, |_| "").await?;
        let decided = self.decided.lock().unwrap();
        Ok(Response::new(ledger::page(&request, &decided)))
    }

    async fn get_run(
        &self,
        request: Request<wire::GetRunRequest>,
    ) -> Result<Response<wire::Run>, Status> {
        let request = self.hear(request, named).await?;
        Ok(Response::new(match named(&request) {
            "good" => data::run_in("Succeeded", ""),
            "bad" => data::run_in("Failed", "the failure budget of wave canary is used up"),
            "slow" => data::run_in(
                if self.look() < 2 {
                    "Rolling"
                } else {
                    "Succeeded"
                },
                "",
            ),
            _ => data::run(),
        }))
    }

    type WatchRunStream = States;

    async fn watch_run(
        &self,
        request: Request<wire::GetRunRequest>,
    ) -> Result<Response<States>, Status> {
        let request = self.hear(request, named).await?;
        let run = |state: &str, cause: &str, member: &str| {
            let mut run = data::run_in(state, cause);
            run.waves = vec![data::wave(
                "canary",
                state,
                vec![data::member("dev-1", member, "")],
            )];
            Ok(run)
        };
        let states = match named(&request) {
            "good" => vec![
                run("Rolling", "", "Queued"),
                run("Rolling", "", "Applying"),
                run("Soaking", "", "Healthy"),
                run("Succeeded", "", "Soaked"),
            ],
            "bad" => vec![
                run("Rolling", "", "Applying"),
                run("RolledBack", "the budget is used up", "Reverted"),
            ],
            // The hub goes away in the middle, and again; the run is asked for by its id then.
            "cut" => vec![run("Rolling", "", "Queued")],
            data::RUN if self.look() == 0 => {
                vec![
                    run("Rolling", "", "Queued"),
                    Err(Status::unavailable("the hub drains")),
                ]
            }
            data::RUN => vec![run("Succeeded", "", "Soaked")],
            _ => {
                let first = tokio_stream::iter(vec![run("Rolling", "", "Queued")]);
                return Ok(Response::new(Box::pin(
                    first.chain(tokio_stream::pending()),
                )));
            }
        };
        Ok(Response::new(Box::pin(tokio_stream::iter(states))))
    }

    type WatchEventsStream = happenings::Messages;

    async fn watch_events(
        &self,
        request: Request<wire::WatchEventsRequest>,
    ) -> Result<Response<happenings::Messages>, Status> {
        let request = self.hear(request, |request| &request.set).await?;
        Ok(Response::new(happenings::watched(&request)))
    }

    async fn explain_run(
        &self,
        request: Request<wire::GetRunRequest>,
    ) -> Result<Response<wire::ExplainRunResponse>, Status> {
        let request = self.hear(request, named).await?;
        Ok(Response::new(match named(&request) {
            "good" => wire::ExplainRunResponse {
                run: Some(data::run_in("Succeeded", "")),
                ..wire::ExplainRunResponse::default()
            },
            _ => data::explanation(),
        }))
    }

    async fn preview(
        &self,
        request: Request<wire::PreviewRequest>,
    ) -> Result<Response<wire::PreviewResponse>, Status> {
        let request = self.hear(request, |request| &request.set).await?;
        Ok(Response::new(insight::preview(&request.set)))
    }

    async fn plan(
        &self,
        request: Request<wire::PlanRequest>,
    ) -> Result<Response<wire::PlanResponse>, Status> {
        let request = self.hear(request, |request| &request.set).await?;
        Ok(Response::new(plans::plan(&request.set)))
    }

    async fn plan_apply(
        &self,
        request: Request<wire::PlanApplyRequest>,
    ) -> Result<Response<wire::PlanResponse>, Status> {
        self.hear(request, |_| "").await?;
        Ok(Response::new(plans::plan("broken")))
    }

    async fn preview_apply(
        &self,
        request: Request<wire::PreviewApplyRequest>,
    ) -> Result<Response<wire::PreviewResponse>, Status> {
        let request = self.hear(request, |_| "").await?;
        insight::preview_files(&request.files).map(Response::new)
    }

    async fn diff_releases(
        &self,
        request: Request<wire::DiffReleasesRequest>,
    ) -> Result<Response<wire::DiffReleasesResponse>, Status> {
        let request = self.hear(request, |request| &request.set).await?;
        Ok(Response::new(insight::releases(&request)))
    }

    async fn get_trace(
        &self,
        request: Request<wire::GetTraceRequest>,
    ) -> Result<Response<wire::GetTraceResponse>, Status> {
        let request = self.hear(request, |request| &request.name).await?;
        Ok(Response::new(insight::traces(&request.name)))
    }

    async fn explain_application(
        &self,
        request: Request<wire::ExplainApplicationRequest>,
    ) -> Result<Response<wire::ExplainApplicationResponse>, Status> {
        let request = self.hear(request, |request| &request.name).await?;
        Ok(Response::new(insight::why(&request.name)))
    }

    async fn list_objects(
        &self,
        request: Request<wire::ListObjectsRequest>,
    ) -> Result<Response<wire::ListObjectsResponse>, Status> {
        let request = self.hear(request, |request| &request.name).await?;
        Ok(Response::new(insight::objects(&request)))
    }

    async fn approve_run(
        &self,
        request: Request<wire::ApproveRunRequest>,
    ) -> Result<Response<wire::Run>, Status> {
        self.hear(request, |request| of_run(request.run.as_ref()))
            .await?;
        Ok(Response::new(data::run_in("Rolling", "")))
    }

    async fn control_run(
        &self,
        request: Request<wire::ControlRunRequest>,
    ) -> Result<Response<wire::Run>, Status> {
        self.hear(request, |request| of_run(request.run.as_ref()))
            .await?;
        Ok(Response::new(data::run_in("Rolling", "")))
    }

    async fn break_glass(
        &self,
        request: Request<wire::BreakGlassRequest>,
    ) -> Result<Response<wire::Run>, Status> {
        self.hear(request, |request| of_run(request.run.as_ref()))
            .await?;
        Ok(Response::new(data::run_in("Rolling", "")))
    }

    async fn rollback(
        &self,
        request: Request<wire::RollbackRequest>,
    ) -> Result<Response<wire::RollbackResponse>, Status> {
        let dry = request.get_ref().dry_run;
        self.hear(request, |request| &request.set).await?;
        Ok(Response::new(wire::RollbackResponse {
            run: Some(data::run_in("RollingBack", "asked by kim")),
            changes: if dry { data::way_back() } else { Vec::new() },
        }))
    }

    async fn unpin(
        &self,
        request: Request<wire::UnpinRequest>,
    ) -> Result<Response<wire::UnpinResponse>, Status> {
        self.hear(request, |request| &request.set).await?;
        let applications = data::pins().into_iter().map(|pin| pin.app).collect();
        Ok(Response::new(wire::UnpinResponse {
            applications,
            denies_lifted: 3,
        }))
    }

    async fn refresh(
        &self,
        request: Request<wire::RefreshRequest>,
    ) -> Result<Response<wire::RefreshResponse>, Status> {
        let request = self.hear(request, |request| &request.set).await?;
        let mut sources = data::sources();
        if request.set == "web" {
            sources.truncate(1);
        }
        Ok(Response::new(wire::RefreshResponse { sources }))
    }

    async fn sync_applications(
        &self,
        request: Request<wire::SyncApplicationsRequest>,
    ) -> Result<Response<wire::SyncApplicationsResponse>, Status> {
        let request = self.hear(request, |request| &request.set).await?;
        let item = |cluster: &str, error: &str| wire::SyncedApplication {
            name: format!("web-{cluster}"),
            cluster: cluster.to_owned(),
            error: error.to_owned(),
        };
        let mut items = vec![item("dev-1", "")];
        if request.set == "web" {
            items.push(item("prod-1", "cluster c-2 has no session"));
        }
        Ok(Response::new(wire::SyncApplicationsResponse { items }))
    }

    async fn approve_hold(
        &self,
        request: Request<wire::ApproveHoldRequest>,
    ) -> Result<Response<wire::ApproveHoldResponse>, Status> {
        self.hear(request, |request| &request.id).await?;
        Ok(Response::new(wire::ApproveHoldResponse {
            hold: data::holds().pop(),
        }))
    }

    async fn create_join_token(
        &self,
        request: Request<wire::CreateJoinTokenRequest>,
    ) -> Result<Response<wire::CreateJoinTokenResponse>, Status> {
        self.hear(request, |request| &request.cluster).await?;
        Ok(Response::new(wire::CreateJoinTokenResponse {
            token: "tg-0123456789abcdef".to_owned(),
            cluster_uid: "c-9".to_owned(),
            expires_at_ms: data::ago() + 105 * 60_000,
            ca_pem: self.authority.pem.clone(),
        }))
    }

    async fn label_cluster(
        &self,
        request: Request<wire::LabelClusterRequest>,
    ) -> Result<Response<wire::Cluster>, Status> {
        self.hear(request, |request| &request.cluster).await?;
        Ok(Response::new(data::clusters().remove(0)))
    }

    async fn rotate_cluster(
        &self,
        request: Request<wire::RotateClusterRequest>,
    ) -> Result<Response<wire::Cluster>, Status> {
        let request = self.hear(request, |request| &request.cluster).await?;
        Ok(Response::new(data::rotating(&request.cluster)))
    }

    async fn remove_cluster(
        &self,
        request: Request<wire::RemoveClusterRequest>,
    ) -> Result<Response<wire::RemoveClusterResponse>, Status> {
        self.hear(request, |request| &request.cluster).await?;
        Ok(Response::new(wire::RemoveClusterResponse {}))
    }

    async fn create_user(
        &self,
        request: Request<wire::CreateUserRequest>,
    ) -> Result<Response<wire::CreateUserResponse>, Status> {
        let request = self.hear(request, |request| &request.name).await?;
        Ok(Response::new(wire::CreateUserResponse {
            certificate_pem: self.authority.person_from_csr(&request.csr),
            ca_pem: self.authority.pem.clone(),
            not_after_ms: data::ago() + 400 * 86_400_000,
        }))
    }

    async fn who_am_i(
        &self,
        request: Request<wire::WhoAmIRequest>,
    ) -> Result<Response<wire::WhoAmIResponse>, Status> {
        self.hear(request, |_| "").await?;
        Ok(Response::new(wire::WhoAmIResponse {
            name: "kim".to_owned(),
            role: wire::Role::Operator.into(),
            trust_domain: "tidegate.local".to_owned(),
            groups: vec!["sre".to_owned()],
        }))
    }
}
