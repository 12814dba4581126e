//! The one authoriser: who may make which call. What is not in the table is denied.
//!
//! Pure. Owns the table and the texts of denials. Never looks at a message: whether a caller may
//! touch the cluster or set that a message names is not asked, because a cluster is always the
//! caller's own and roles hold for the whole fleet.

use std::fmt;

use jiff::Timestamp;
use tidegate_model::ids::ClusterUid;
use tonic::{Code, Status};

use super::{IdentityError, Peer};
use crate::records::Role;

/// What a call asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// A person with at least this role.
    Role(Role),
    /// The agent of a registered cluster.
    Cluster,
    /// A join token in the message; the handler checks it.
    JoinToken,
    /// Nothing: health, and nothing else.
    Anonymous,
}

const VIEWER: Requirement = Requirement::Role(Role::Viewer);
const OPERATOR: Requirement = Requirement::Role(Role::Operator);
const ADMIN: Requirement = Requirement::Role(Role::Admin);

/// Every call there is.
const TABLE: &[(&str, Requirement)] = &[
    ("/tidegate.v1.Enrollment/Join", Requirement::JoinToken),
    ("/tidegate.v1.Enrollment/Renew", Requirement::Cluster),
    ("/tidegate.v1.AgentLink/Session", Requirement::Cluster),
    ("/tidegate.v1.AgentLink/FetchBlobs", Requirement::Cluster),
    ("/tidegate.v1.Fleet/ListApplicationSets", VIEWER),
    ("/tidegate.v1.Fleet/ListWavePlans", VIEWER),
    ("/tidegate.v1.Fleet/ListApplications", VIEWER),
    ("/tidegate.v1.Fleet/ListClusters", VIEWER),
    ("/tidegate.v1.Fleet/ListReleases", VIEWER),
    ("/tidegate.v1.Fleet/ListRuns", VIEWER),
    ("/tidegate.v1.Fleet/ListSources", VIEWER),
    ("/tidegate.v1.Fleet/ListHolds", VIEWER),
    ("/tidegate.v1.Fleet/ListPins", VIEWER),
    ("/tidegate.v1.Fleet/ListAudit", VIEWER),
    ("/tidegate.v1.Fleet/GetRun", VIEWER),
    ("/tidegate.v1.Fleet/WatchRun", VIEWER),
    ("/tidegate.v1.Fleet/WatchEvents", VIEWER),
    ("/tidegate.v1.Fleet/ExplainRun", VIEWER),
    ("/tidegate.v1.Fleet/WhoAmI", VIEWER),
    ("/tidegate.v1.Fleet/Preview", VIEWER),
    ("/tidegate.v1.Fleet/DiffReleases", VIEWER),
    ("/tidegate.v1.Fleet/GetTrace", VIEWER),
    ("/tidegate.v1.Fleet/ListObjects", VIEWER),
    ("/tidegate.v1.Fleet/ExplainApplication", VIEWER),
    ("/tidegate.v1.Fleet/Plan", VIEWER),
    // The documents may name any repository that the hub's credentials open: as much as applying.
    ("/tidegate.v1.Fleet/PreviewApply", OPERATOR),
    ("/tidegate.v1.Fleet/PlanApply", OPERATOR),
    ("/tidegate.v1.Fleet/Apply", OPERATOR),
    ("/tidegate.v1.Fleet/DeleteApplicationSet", OPERATOR),
    ("/tidegate.v1.Fleet/DeleteWavePlan", OPERATOR),
    ("/tidegate.v1.Fleet/ApproveRun", OPERATOR),
    ("/tidegate.v1.Fleet/ControlRun", OPERATOR),
    // What the time of day forbids is not an operator's to allow.
    ("/tidegate.v1.Fleet/BreakGlass", ADMIN),
    ("/tidegate.v1.Fleet/Rollback", OPERATOR),
    ("/tidegate.v1.Fleet/Unpin", OPERATOR),
    ("/tidegate.v1.Fleet/Refresh", OPERATOR),
    ("/tidegate.v1.Fleet/SyncApplications", OPERATOR),
    ("/tidegate.v1.Fleet/ApproveHold", OPERATOR),
    ("/tidegate.v1.Fleet/CreateJoinToken", ADMIN),
    ("/tidegate.v1.Fleet/LabelCluster", ADMIN),
    ("/tidegate.v1.Fleet/RotateCluster", ADMIN),
    ("/tidegate.v1.Fleet/RemoveCluster", ADMIN),
    ("/tidegate.v1.Fleet/CreateUser", ADMIN),
    ("/grpc.health.v1.Health/Check", Requirement::Anonymous),
    // A stream that anybody could hold open is more than health needs.
    ("/grpc.health.v1.Health/Watch", VIEWER),
    (
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        VIEWER,
    ),
    (
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        VIEWER,
    ),
];

/// The call at this path, without the slash, if there is one.
pub fn known_call(path: &str) -> Option<&'static str> {
    let known = TABLE.iter().find(|(known, _)| *known == path)?;
    known.0.strip_prefix('/')
}

/// Who makes a call. In the extensions of every request that got past the authoriser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// For the audit log: a person's name, `cluster/<uid>`, or `anonymous`.
    pub name: String,
    /// The identity of the TLS session; `None` without a certificate.
    pub peer: Option<Peer>,
    /// A person's role.
    pub role: Option<Role>,
    /// When the life of the certificate begins: of two of one identity, the later made.
    pub since: Option<Timestamp>,
}

impl Caller {
    /// The caller with this identity and role.
    pub fn new(peer: Option<Peer>, role: Option<Role>, since: Option<Timestamp>) -> Self {
        let name = peer
            .as_ref()
            .map_or_else(|| "anonymous".to_owned(), Peer::to_string);
        Self {
            name,
            peer,
            role,
            since,
        }
    }

    /// The cluster whose agent calls.
    pub fn cluster(&self) -> Option<ClusterUid> {
        match self.peer {
            Some(Peer::Cluster(uid)) => Some(uid),
            Some(Peer::User(_)) | None => None,
        }
    }
}

/// Why a call is denied: what is missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Denied {
    /// Nobody is known at the other end.
    #[error("{call} needs a client certificate, and none was presented; {}", advice(*for_agents))]
    NoCertificate {
        /// The call.
        call: Call,
        /// It is one that agents make.
        for_agents: bool,
    },
    /// The certificate is of this hub's authority, and names nobody.
    #[error("the client certificate stands for nobody: {0}")]
    NoIdentity(String),
    /// There is no such person.
    #[error(
        "{name} has no role here: the person was never added or was removed; an admin can add them"
    )]
    NoRole {
        /// The name in the certificate.
        name: String,
    },
    /// The person may do less than that.
    #[error(
        "{call} needs the role {}, {name} has the role {}; an admin can change that",
        needs.as_str(), has.as_str()
    )]
    RoleTooLow {
        /// The call.
        call: Call,
        /// The person.
        name: String,
        /// Their role.
        has: Role,
        /// The role that would do.
        needs: Role,
    },
    /// An agent makes a call for people.
    #[error("{call} is for people; this is the certificate of the agent of cluster {cluster}")]
    NotForClusters {
        /// The call.
        call: Call,
        /// The agent's cluster.
        cluster: ClusterUid,
    },
    /// A person makes a call for agents.
    #[error("{call} is for agents; this is the certificate of the person {name}")]
    NotForPeople {
        /// The call.
        call: Call,
        /// The person.
        name: String,
    },
    /// The cluster was removed.
    #[error(
        "the cluster {cluster} is not registered: it was removed; make a join token to bring it \
         back as a new one"
    )]
    NotRegistered {
        /// The agent's cluster.
        cluster: ClusterUid,
    },
    /// The agent has a newer certificate.
    #[error(
        "this certificate of cluster {cluster} was replaced by a newer one and is refused since; \
         an agent that lost the newer one joins with a new token"
    )]
    Replaced {
        /// The agent's cluster.
        cluster: ClusterUid,
    },
    /// Nobody may call what is not known.
    #[error("{0} is not a call of this hub")]
    NoSuchCall(Call),
}

/// The name of a call in messages and logs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// One of the table: `package.Service/Method`.
    Known(&'static str),
    /// Anything else, cut; a caller can write what it likes.
    Unknown(String),
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(path) => f.write_str(path.trim_start_matches('/')),
            Self::Unknown(path) => write!(f, "{path:?}"),
        }
    }
}

fn advice(for_agents: bool) -> &'static str {
    if for_agents {
        "an agent gets one with a join token"
    } else {
        "an admin can make one for you"
    }
}

impl From<IdentityError> for Denied {
    fn from(error: IdentityError) -> Self {
        Self::NoIdentity(error.to_string())
    }
}

impl Denied {
    /// `UNAUTHENTICATED` while nobody is known, else `PERMISSION_DENIED`.
    pub fn code(&self) -> Code {
        match self {
            Self::NoCertificate { .. } | Self::NoIdentity(_) => Code::Unauthenticated,
            Self::NoRole { .. }
            | Self::RoleTooLow { .. }
            | Self::NotForClusters { .. }
            | Self::NotForPeople { .. }
            | Self::NotRegistered { .. }
            | Self::Replaced { .. }
            | Self::NoSuchCall(_) => Code::PermissionDenied,
        }
    }

    /// The answer to the caller.
    pub fn to_status(&self) -> Status {
        Status::new(self.code(), self.to_string())
    }
}

/// What the call at `path` (`/package.Service/Method`) asks for; `None` if there is no such call.
pub fn requirement(path: &str) -> Option<Requirement> {
    known(path).map(|(_, requirement)| requirement)
}

fn known(path: &str) -> Option<(&'static str, Requirement)> {
    TABLE.iter().find(|(known, _)| *known == path).copied()
}

/// Whether `peer`, a person with `role` or an agent, may make the call at `path`. Whether an
/// agent's cluster is registered is for whoever knows the fleet to ask.
pub fn authorize(path: &str, peer: Option<&Peer>, role: Option<Role>) -> Result<(), Denied> {
    let found = known(path);
    let call = found.map_or_else(
        || Call::Unknown(path.chars().take(100).collect()),
        |(path, _)| Call::Known(path),
    );
    let requirement = found.map(|(_, requirement)| requirement);
    match (requirement, peer) {
        (Some(Requirement::Anonymous | Requirement::JoinToken), _)
        | (Some(Requirement::Cluster), Some(Peer::Cluster(_))) => Ok(()),
        (Some(Requirement::Role(needs)), Some(Peer::User(name))) => match role {
            Some(has) if has >= needs => Ok(()),
            Some(has) => Err(Denied::RoleTooLow {
                call,
                name: name.clone(),
                has,
                needs,
            }),
            None => Err(Denied::NoRole { name: name.clone() }),
        },
        (requirement, None) => {
            let for_agents = requirement == Some(Requirement::Cluster);
            Err(Denied::NoCertificate { call, for_agents })
        }
        (Some(Requirement::Role(_)), Some(Peer::Cluster(cluster))) => Err(Denied::NotForClusters {
            call,
            cluster: *cluster,
        }),
        (Some(Requirement::Cluster), Some(Peer::User(name))) => Err(Denied::NotForPeople {
            call,
            name: name.clone(),
        }),
        (None, Some(_)) => Err(Denied::NoSuchCall(call)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// Paths of every call in these descriptors.
    fn paths(descriptors: &[u8]) -> BTreeSet<String> {
        let set = FileDescriptorSet::decode(descriptors).unwrap();
        let mut paths = BTreeSet::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let (package, service) = (file.package(), service.name());
                    paths.insert(format!("/{package}.{service}/{}", method.name()));
                }
            }
        }
        paths
    }

    fn served() -> BTreeSet<String> {
        let mut all = paths(tidegate_proto::DESCRIPTORS);
        assert!(all.len() > 20, "the descriptors were not read: {all:?}");
        all.extend(paths(tonic_health::pb::FILE_DESCRIPTOR_SET));
        all.extend(paths(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET));
        all.extend(paths(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET));
        all
    }

    fn cluster() -> Peer {
        Peer::Cluster("0190a0b0-c0d0-7000-8000-000000000001".parse().unwrap())
    }

    fn ada() -> Peer {
        Peer::User("ada".to_owned())
    }

    #[test]
    fn the_table_holds_every_call_that_is_served_and_no_other() {
        let table: BTreeSet<_> = TABLE.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(table.len(), TABLE.len(), "a call is in the table twice");
        let served = served();
        let missing: Vec<_> = served.difference(&table).collect();
        let stale: Vec<_> = table.difference(&served).collect();
        assert!(missing.is_empty(), "say what these need: {missing:?}");
        assert!(stale.is_empty(), "these are not served any more: {stale:?}");
    }

    /// What a call of ours needs by its name alone, written down apart from the table.
    fn by_name(path: &str) -> Requirement {
        let (service, method) = path
            .trim_start_matches("/tidegate.v1.")
            .split_once('/')
            .unwrap();
        let reads = ["List", "Get", "Watch", "Explain", "WhoAmI", "Diff"];
        let administers = [
            "CreateJoinToken",
            "LabelCluster",
            "RotateCluster",
            "RemoveCluster",
            "CreateUser",
            "BreakGlass",
        ];
        match (service, method) {
            ("Enrollment", "Join") => Requirement::JoinToken,
            ("Enrollment" | "AgentLink", _) => Requirement::Cluster,
            ("Fleet", name) if reads.iter().any(|read| name.starts_with(read)) => VIEWER,
            // Of what is applied; of a document it may be any repository.
            ("Fleet", "Preview" | "Plan") => VIEWER,
            ("Fleet", name) if administers.contains(&name) => ADMIN,
            ("Fleet", _) => OPERATOR,
            other => panic!("a new service: {other:?}"),
        }
    }

    #[test]
    fn every_call_of_ours_needs_what_its_name_says() {
        for path in paths(tidegate_proto::DESCRIPTORS) {
            assert_eq!(requirement(&path), Some(by_name(&path)), "{path}");
        }
    }

    #[test]
    fn every_call_by_everybody() {
        for path in served() {
            let allowed = |peer: Option<&Peer>, role| authorize(&path, peer, role).is_ok();
            let (nobody, unknown) = (allowed(None, None), allowed(Some(&ada()), None));
            let agent = allowed(Some(&cluster()), None);
            let people = [Role::Viewer, Role::Operator, Role::Admin]
                .map(|role| allowed(Some(&ada()), Some(role)));
            let expected = match requirement(&path).unwrap() {
                Requirement::Anonymous | Requirement::JoinToken => {
                    (true, true, true, [true, true, true])
                }
                Requirement::Cluster => (false, false, true, [false, false, false]),
                Requirement::Role(Role::Viewer) => (false, false, false, [true, true, true]),
                Requirement::Role(Role::Operator) => (false, false, false, [false, true, true]),
                Requirement::Role(Role::Admin) => (false, false, false, [false, false, true]),
            };
            assert_eq!((nobody, unknown, agent, people), expected, "{path}");
        }
    }

    #[test]
    fn only_the_health_check_is_open_to_everybody() {
        let open: Vec<_> = TABLE
            .iter()
            .filter(|(_, needs)| *needs == Requirement::Anonymous)
            .collect();
        assert_eq!(
            open,
            [&("/grpc.health.v1.Health/Check", Requirement::Anonymous)]
        );
    }

    #[test]
    fn a_viewers_write_is_denied_and_says_what_is_missing() {
        let denied =
            authorize("/tidegate.v1.Fleet/Apply", Some(&ada()), Some(Role::Viewer)).unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied);
        assert_eq!(
            denied.to_string(),
            "tidegate.v1.Fleet/Apply needs the role Operator, ada has the role Viewer; an admin \
             can change that"
        );
    }

    #[test]
    fn each_denial_has_its_code_and_text() {
        let fleet = "/tidegate.v1.Fleet/ListRuns";
        let link = "/tidegate.v1.AgentLink/Session";
        for (path, peer, code, text) in [
            (
                fleet,
                None,
                Code::Unauthenticated,
                "needs a client certificate",
            ),
            (link, None, Code::Unauthenticated, "join token"),
            (
                fleet,
                Some(ada()),
                Code::PermissionDenied,
                "ada has no role",
            ),
            (
                fleet,
                Some(cluster()),
                Code::PermissionDenied,
                "is for people",
            ),
            (link, Some(ada()), Code::PermissionDenied, "is for agents"),
            (
                "/x.Y/Z",
                None,
                Code::Unauthenticated,
                "\"/x.Y/Z\" needs a client certificate",
            ),
            (
                "/x.Y/Z",
                Some(ada()),
                Code::PermissionDenied,
                "not a call of this hub",
            ),
        ] {
            let denied = authorize(path, peer.as_ref(), None).unwrap_err();
            assert_eq!(denied.code(), code, "{denied}");
            assert!(denied.to_string().contains(text), "{denied}");
        }
    }

    #[test]
    fn nearly_a_known_path_is_not_known() {
        for path in [
            "",
            "/",
            "/tidegate.v1.Fleet",
            "/tidegate.v1.Fleet/",
            "/tidegate.v1.Fleet/apply",
            "/tidegate.v1.Fleet/Apply/",
            "//tidegate.v1.Fleet/Apply",
            "/tidegate.v1.Fleet/Apply?x",
            "tidegate.v1.Fleet/Apply",
            "/grpc.health.v1.Health/check",
        ] {
            assert_eq!(requirement(path), None, "{path}");
            assert!(
                authorize(path, Some(&ada()), Some(Role::Admin)).is_err(),
                "{path}"
            );
        }
        let long = format!("/{}", "x\u{1b}".repeat(10_000));
        let denied = authorize(&long, Some(&ada()), Some(Role::Admin))
            .unwrap_err()
            .to_string();
        assert!(
            denied.len() < 1_000 && !denied.contains('\u{1b}'),
            "{denied}"
        );
    }
}
