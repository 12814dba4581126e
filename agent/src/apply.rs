//! Brings one object to what its manifest says, or tells what differs.
//!
//! Owns: read, adoption check, comparison, the one server-side apply. An object that is right is
//! not written. Never decides when to heal or what to do after a failure.

use serde_json::{Value, json};
use tidegate_model::ids::AppUid;

use crate::{
    cluster::{Cluster, Error, Kind, guarded, meta},
    drift, fields,
    ownership::{self, Adoption, Claim},
    plan::Target,
};

/// What became of one object.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It is as its manifest says.
    Right {
        /// The object.
        live: Value,
        /// If it was written now: what differed, as far as that was asked.
        wrote: Option<Vec<String>>,
    },
    /// It is somebody else's; the text says whose.
    Foreign(String),
    /// It is being deleted; the next try makes it anew.
    Terminating(String),
}

/// What a comparison found.
#[derive(Clone, Debug)]
pub(crate) enum Look {
    /// There is none.
    Missing,
    /// It is as its manifest says.
    Right(Value),
    /// It differs at these JSON pointers.
    Differs(Value, Vec<String>),
    /// Its values are right, but somebody else has taken over fields of ours.
    Disowned(Value),
    /// It is somebody else's.
    Foreign(String),
    /// It is being deleted.
    Terminating(String),
}

/// How one application works on its objects.
pub(crate) struct Applier<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) app: AppUid,
    /// What another application has to do with the object at hand.
    pub(crate) claim: &'a (dyn Fn(AppUid) -> Claim + Sync),
}

impl Applier<'_> {
    /// Compares without writing.
    pub(crate) async fn look(&self, kind: &Kind, target: &Target) -> Result<Look, Error> {
        let Some(live) = self.cluster.get(kind, &target.id).await? else {
            return Ok(Look::Missing);
        };
        if let Some(why) = terminating(&live) {
            return Ok(Look::Terminating(why));
        }
        let ours = match ownership::adoption(&live, self.app, self.claim) {
            Adoption::Foreign(why) => return Ok(Look::Foreign(why)),
            adoption => adoption == Adoption::Ours,
        };
        if ours && drift::surely_applied(&live, &target.body) {
            return Ok(Look::Right(live));
        }
        let found = match self
            .cluster
            .apply(kind, &target.id, &target.body, true)
            .await
        {
            Ok(wanted) => {
                let found = drift::pointers(&live, &wanted);
                if found.is_empty() && fields::owned(&live) != fields::owned(&wanted) {
                    return Ok(Look::Disowned(live));
                }
                found
            }
            // Some admission webhook cannot: compare with what the manifest says.
            Err(error) if error.refuses_dry_run() => drift::unapplied(&live, &target.body),
            Err(error) => return Err(error),
        };
        Ok(if found.is_empty() {
            Look::Right(live)
        } else {
            Look::Differs(live, found)
        })
    }

    /// Applies. `changed` says that the content is known to be new, which saves the comparison.
    pub(crate) async fn converge(
        &self,
        kind: &Kind,
        target: &Target,
        changed: bool,
    ) -> Result<Outcome, Error> {
        let mut fields = Vec::new();
        let live = if changed {
            match self.cluster.get(kind, &target.id).await? {
                None => None,
                Some(live) => match self.check(&live) {
                    Some(refused) => return Ok(refused),
                    None if drift::surely_applied(&live, &target.body) => {
                        return Ok(Outcome::Right { live, wrote: None });
                    }
                    None => Some(live),
                },
            }
        } else {
            match self.look(kind, target).await? {
                Look::Right(live) => return Ok(Outcome::Right { live, wrote: None }),
                Look::Foreign(why) => return Ok(Outcome::Foreign(why)),
                Look::Terminating(why) => return Ok(Outcome::Terminating(why)),
                Look::Missing => None,
                Look::Disowned(live) => Some(live),
                Look::Differs(live, found) => {
                    fields = found;
                    Some(live)
                }
            }
        };
        let live = self.write(kind, target, live).await?;
        Ok(Outcome::Right {
            live,
            wrote: Some(fields),
        })
    }

    fn check(&self, live: &Value) -> Option<Outcome> {
        if let Some(why) = terminating(live) {
            return Some(Outcome::Terminating(why));
        }
        match ownership::adoption(live, self.app, self.claim) {
            Adoption::Foreign(why) => Some(Outcome::Foreign(why)),
            _ => None,
        }
    }

    /// Writes what was checked: an object that changes hands only as it was read, so that an owner
    /// who came in between is seen by the next try.
    async fn write(
        &self,
        kind: &Kind,
        target: &Target,
        live: Option<Value>,
    ) -> Result<Value, Error> {
        let Some(mut live) = live else {
            return self
                .cluster
                .apply(kind, &target.id, &target.body, false)
                .await;
        };
        if ownership::adoption(&live, self.app, self.claim) == Adoption::Ours {
            return self
                .cluster
                .apply(kind, &target.id, &target.body, false)
                .await;
        }
        // Fields that kubectl set for people would stay for ever after leaving the manifest.
        if let Some(managers) = fields::inherited(&live, &target.body) {
            let patch = json!({"metadata": {
                "resourceVersion": meta(&live, "resourceVersion"), "managedFields": managers}});
            live = self.cluster.merge(kind, &target.id, &patch).await?;
        }
        let body = guarded(&target.body, &live);
        self.cluster.apply(kind, &target.id, &body, false).await
    }
}

fn terminating(live: &Value) -> Option<String> {
    if meta(live, "deletionTimestamp").is_empty() {
        return None;
    }
    Some(format!(
        "it is being deleted since {} and waits for {}",
        meta(live, "deletionTimestamp"),
        finalizers(live)
    ))
}

/// The finalizers of an object, for people.
pub(crate) fn finalizers(live: &Value) -> String {
    let list = live
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    let names: Vec<_> = list
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if names.is_empty() {
        "its end".to_owned()
    } else {
        format!("finalizers {}", names.join(", "))
    }
}
