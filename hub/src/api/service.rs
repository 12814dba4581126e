//! The Fleet service: one line per call.

use std::pin::Pin;

use futures::Stream;
use tidegate_proto::v1::{self as wire, fleet_server::Fleet};
use tonic::{Request, Response, Status};

use super::{FleetApi, actor, list};

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Fleet for FleetApi {
    async fn apply(&self, request: Request<wire::ApplyRequest>) -> Answer<wire::ApplyResponse> {
        let actor = actor(&request)?;
        self.apply_documents(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn list_application_sets(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Answer<wire::ListApplicationSetsResponse> {
        Ok(Response::new(list::application_sets(
            &self.db.read(),
            request.get_ref(),
        )))
    }

    async fn delete_application_set(
        &self,
        request: Request<wire::DeleteApplicationSetRequest>,
    ) -> Answer<wire::DeleteApplicationSetResponse> {
        let actor = actor(&request)?;
        self.delete_set(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn list_wave_plans(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Answer<wire::ListWavePlansResponse> {
        Ok(Response::new(list::wave_plans(
            &self.db.read(),
            request.get_ref(),
        )))
    }

    async fn delete_wave_plan(
        &self,
        request: Request<wire::DeleteWavePlanRequest>,
    ) -> Answer<wire::DeleteWavePlanResponse> {
        let actor = actor(&request)?;
        self.delete_plan(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn list_applications(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Answer<wire::ListApplicationsResponse> {
        let answer = list::applications(&self.db.read(), &self.evidence, request.get_ref());
        Ok(Response::new(answer))
    }

    async fn list_clusters(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Answer<wire::ListClustersResponse> {
        let answer = list::clusters(&self.db.read(), &self.evidence, request.get_ref());
        Ok(Response::new(answer))
    }

    async fn list_releases(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Answer<wire::ListReleasesResponse> {
        let mut answer = list::releases(&self.db.read(), request.get_ref());
        self.add_entries(request.get_ref(), &mut answer).await?;
        Ok(Response::new(answer))
    }

    async fn list_runs(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Answer<wire::ListRunsResponse> {
        Ok(Response::new(list::runs(
            &self.db.read(),
            request.get_ref(),
        )))
    }

    async fn list_sources(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Answer<wire::ListSourcesResponse> {
        Ok(Response::new(list::sources(
            &self.db.read(),
            request.get_ref(),
        )))
    }

    async fn list_holds(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Answer<wire::ListHoldsResponse> {
        Ok(Response::new(list::holds(
            &self.db.read(),
            request.get_ref(),
        )))
    }

    async fn list_pins(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Answer<wire::ListPinsResponse> {
        Ok(Response::new(list::pins(
            &self.db.read(),
            request.get_ref(),
        )))
    }

    async fn list_audit(
        &self,
        request: Request<wire::ListAuditRequest>,
    ) -> Answer<wire::ListAuditResponse> {
        self.audit_records(request.get_ref())
            .await
            .map(Response::new)
    }

    async fn get_run(&self, request: Request<wire::GetRunRequest>) -> Answer<wire::Run> {
        self.show(request.get_ref()).map(Response::new)
    }

    type WatchRunStream = Pin<Box<dyn Stream<Item = Result<wire::Run, Status>> + Send>>;

    async fn watch_run(
        &self,
        request: Request<wire::GetRunRequest>,
    ) -> Answer<Self::WatchRunStream> {
        self.follow_run(request.into_inner()).map(Response::new)
    }

    type WatchEventsStream =
        Pin<Box<dyn Stream<Item = Result<wire::WatchEventsResponse, Status>> + Send>>;

    async fn watch_events(
        &self,
        request: Request<wire::WatchEventsRequest>,
    ) -> Answer<Self::WatchEventsStream> {
        let events = self.watch_events_after(request.into_inner());
        Ok(Response::new(events))
    }

    async fn explain_run(
        &self,
        request: Request<wire::GetRunRequest>,
    ) -> Answer<wire::ExplainRunResponse> {
        self.explain(request.get_ref()).map(Response::new)
    }

    async fn approve_run(&self, request: Request<wire::ApproveRunRequest>) -> Answer<wire::Run> {
        let actor = actor(&request)?;
        self.approve(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn control_run(&self, request: Request<wire::ControlRunRequest>) -> Answer<wire::Run> {
        let actor = actor(&request)?;
        self.control(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn break_glass(&self, request: Request<wire::BreakGlassRequest>) -> Answer<wire::Run> {
        let actor = actor(&request)?;
        self.open_windows(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn preview(
        &self,
        request: Request<wire::PreviewRequest>,
    ) -> Answer<wire::PreviewResponse> {
        self.preview_sets(request.get_ref())
            .await
            .map(Response::new)
    }

    async fn preview_apply(
        &self,
        request: Request<wire::PreviewApplyRequest>,
    ) -> Answer<wire::PreviewResponse> {
        let actor = actor(&request)?;
        self.preview_documents(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn plan(&self, request: Request<wire::PlanRequest>) -> Answer<wire::PlanResponse> {
        self.plan_set(request.get_ref()).map(Response::new)
    }

    async fn plan_apply(
        &self,
        request: Request<wire::PlanApplyRequest>,
    ) -> Answer<wire::PlanResponse> {
        let actor = actor(&request)?;
        self.plan_documents(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn diff_releases(
        &self,
        request: Request<wire::DiffReleasesRequest>,
    ) -> Answer<wire::DiffReleasesResponse> {
        self.compare_releases(request.get_ref())
            .await
            .map(Response::new)
    }

    async fn explain_application(
        &self,
        request: Request<wire::ExplainApplicationRequest>,
    ) -> Answer<wire::ExplainApplicationResponse> {
        self.why(request.get_ref()).map(Response::new)
    }

    async fn list_objects(
        &self,
        request: Request<wire::ListObjectsRequest>,
    ) -> Answer<wire::ListObjectsResponse> {
        self.tree(request.get_ref()).await.map(Response::new)
    }

    async fn get_trace(
        &self,
        request: Request<wire::GetTraceRequest>,
    ) -> Answer<wire::GetTraceResponse> {
        self.trace(request.get_ref()).await.map(Response::new)
    }

    async fn rollback(
        &self,
        request: Request<wire::RollbackRequest>,
    ) -> Answer<wire::RollbackResponse> {
        let actor = actor(&request)?;
        self.go_back(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn unpin(&self, request: Request<wire::UnpinRequest>) -> Answer<wire::UnpinResponse> {
        let actor = actor(&request)?;
        self.lift_pins(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn refresh(
        &self,
        request: Request<wire::RefreshRequest>,
    ) -> Answer<wire::RefreshResponse> {
        let actor = actor(&request)?;
        self.refresh_set(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn sync_applications(
        &self,
        request: Request<wire::SyncApplicationsRequest>,
    ) -> Answer<wire::SyncApplicationsResponse> {
        let actor = actor(&request)?;
        self.sync(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn approve_hold(
        &self,
        request: Request<wire::ApproveHoldRequest>,
    ) -> Answer<wire::ApproveHoldResponse> {
        let actor = actor(&request)?;
        self.approve_held(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn create_join_token(
        &self,
        request: Request<wire::CreateJoinTokenRequest>,
    ) -> Answer<wire::CreateJoinTokenResponse> {
        let actor = actor(&request)?;
        self.mint_token(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn label_cluster(
        &self,
        request: Request<wire::LabelClusterRequest>,
    ) -> Answer<wire::Cluster> {
        let actor = actor(&request)?;
        self.label(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn rotate_cluster(
        &self,
        request: Request<wire::RotateClusterRequest>,
    ) -> Answer<wire::Cluster> {
        let actor = actor(&request)?;
        self.rotate(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn remove_cluster(
        &self,
        request: Request<wire::RemoveClusterRequest>,
    ) -> Answer<wire::RemoveClusterResponse> {
        let actor = actor(&request)?;
        self.remove(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn create_user(
        &self,
        request: Request<wire::CreateUserRequest>,
    ) -> Answer<wire::CreateUserResponse> {
        let actor = actor(&request)?;
        self.sign_up(&actor, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn who_am_i(
        &self,
        request: Request<wire::WhoAmIRequest>,
    ) -> Answer<wire::WhoAmIResponse> {
        let actor = actor(&request)?;
        self.who(&actor).map(Response::new)
    }
}
