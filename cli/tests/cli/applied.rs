//! What the canned hub says to documents: each is the name of a set, but for `forbidden` and `wrong`.

use tidegate_proto::v1 as wire;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

pub(crate) fn applied(request: &wire::ApplyRequest) -> Result<wire::ApplyResponse, Status> {
    let text: Vec<_> = request
        .files
        .iter()
        .map(|file| String::from_utf8_lossy(&file.content))
        .collect();
    if let Some(index) = text.iter().position(|text| text.contains("forbidden")) {
        let name = &request.files[index].name;
        return Err(Status::permission_denied(format!(
            "{name}: a viewer may only look"
        )));
    }
    if let Some(index) = text.iter().position(|text| text.contains("wrong")) {
        let place = format!("{}:1", request.files[index].name);
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation(place.clone(), "kind: required");
        let message = format!("nothing was written:\n{place}: kind: required");
        return Err(Status::with_error_details(
            Code::InvalidArgument,
            message,
            details,
        ));
    }
    let outcomes = [
        wire::ApplyOutcome::Created,
        wire::ApplyOutcome::Configured,
        wire::ApplyOutcome::Unchanged,
    ];
    let objects = text
        .iter()
        .zip(outcomes.iter().cycle())
        .map(|(text, outcome)| wire::AppliedObject {
            kind: "ApplicationSet".to_owned(),
            project: "default".to_owned(),
            name: text.trim().to_owned(),
            outcome: (*outcome).into(),
        });
    Ok(wire::ApplyResponse {
        objects: objects.collect(),
    })
}
