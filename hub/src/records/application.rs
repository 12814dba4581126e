//! How applications and their assignments are stored.
//!
//! Never holds content: that is a blob named by digest.

use prost::Message as _;
use tidegate_model::{
    application::{Application, InputVersion, Provenance},
    assignment::{Assignment, Desired},
    ids::{Epoch, Generation},
    source::{Directory, Source},
};
use tidegate_proto::storage::v1::{self, assignment::Desired as StoredDesired};

use super::{
    AppRecord, Error, Record, Rejection,
    wire::{Reader, millis, store_last_good, store_policy},
};

impl Record for AppRecord {
    const KIND: &'static str = "applications";

    fn path(&self) -> String {
        format!("{}/{}/{}", self.app.project, self.set, self.uid)
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            uid,
            set: set_uid,
            app,
            generation,
            assignment,
            release,
            last_good,
            vanished,
            rejection,
        } = self;
        let Application {
            project,
            set,
            name,
            cluster,
            cluster_name,
            namespace,
            labels,
            annotations,
            source,
            policy,
            provenance:
                Provenance {
                    generator,
                    row,
                    inputs,
                },
        } = app.clone();
        v1::Application {
            uid: uid.to_string(),
            set_uid: set_uid.to_string(),
            project,
            set,
            name,
            cluster: cluster.to_string(),
            cluster_name,
            namespace,
            labels,
            annotations,
            source: Some(store_source(source)),
            policy: Some(store_policy(&policy)),
            generator,
            row,
            inputs: inputs.into_iter().map(store_input).collect(),
            generation: generation.0,
            assignment: assignment.as_ref().map(store_assignment),
            last_good: last_good.as_ref().map(store_last_good),
            vanished: *vanished,
            release: *release,
            rejection: rejection.as_ref().map(store_rejection),
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let v1::Application {
            uid,
            set_uid,
            project,
            set,
            name,
            cluster,
            cluster_name,
            namespace,
            labels,
            annotations,
            source,
            policy,
            generator,
            row,
            inputs,
            generation,
            assignment,
            last_good,
            vanished,
            release,
            rejection,
        } = reader.message(bytes)?;
        let inputs = inputs.into_iter().map(read_input).collect();
        let app = Application {
            project,
            set,
            name,
            cluster: reader.parse("cluster", &cluster)?,
            cluster_name,
            namespace,
            labels,
            annotations,
            source: read_source(reader.present("source", source)?),
            policy: reader.policy("policy", policy)?,
            provenance: Provenance {
                generator,
                row,
                inputs,
            },
        };
        reader.finish(Self {
            uid: reader.parse("uid", &uid)?,
            set: reader.parse("set_uid", &set_uid)?,
            app,
            generation: Generation(generation),
            assignment: reader.maybe(assignment, read_assignment)?,
            release,
            last_good: reader.maybe(last_good, Reader::last_good)?,
            vanished,
            rejection: reader.maybe(rejection, read_rejection)?,
        })
    }
}

fn store_rejection(rejection: &Rejection) -> v1::Rejection {
    let Rejection {
        generation,
        digest,
        reason,
        at,
    } = rejection;
    v1::Rejection {
        generation: generation.0,
        digest: digest.to_string(),
        reason: reason.clone(),
        at: millis(*at),
    }
}

fn read_rejection(reader: Reader<'_>, stored: v1::Rejection) -> Result<Rejection, Error> {
    let v1::Rejection {
        generation,
        digest,
        reason,
        at,
    } = stored;
    Ok(Rejection {
        generation: Generation(generation),
        digest: reader.parse("rejection.digest", &digest)?,
        reason,
        at: reader.time("rejection.at", at)?,
    })
}

fn store_source(source: Source) -> v1::Source {
    let Source {
        repo_url,
        target_revision,
        path,
        directory,
    } = source;
    let Directory {
        recurse,
        include,
        exclude,
    } = directory;
    v1::Source {
        repo_url,
        target_revision,
        path,
        recurse,
        include,
        exclude,
    }
}

fn read_source(stored: v1::Source) -> Source {
    let v1::Source {
        repo_url,
        target_revision,
        path,
        recurse,
        include,
        exclude,
    } = stored;
    let directory = Directory {
        recurse,
        include,
        exclude,
    };
    Source {
        repo_url,
        target_revision,
        path,
        directory,
    }
}

fn store_input(input: InputVersion) -> v1::InputVersion {
    let InputVersion { input, version } = input;
    v1::InputVersion { input, version }
}

fn read_input(stored: v1::InputVersion) -> InputVersion {
    let v1::InputVersion { input, version } = stored;
    InputVersion { input, version }
}

fn store_assignment(assignment: &Assignment) -> v1::Assignment {
    let Assignment {
        cluster,
        app,
        app_name,
        generation,
        epoch,
        desired,
    } = assignment;
    let desired = match desired {
        Desired::Run {
            bundle,
            policy,
            namespace,
            run,
            prune_approved,
        } => StoredDesired::Run(v1::DesiredRun {
            bundle: bundle.to_string(),
            policy: Some(store_policy(policy)),
            namespace: namespace.clone(),
            run: run.to_string(),
            prune_approved: *prune_approved,
        }),
        Desired::Tombstone { cascade } => {
            StoredDesired::Tombstone(v1::Tombstone { cascade: *cascade })
        }
    };
    v1::Assignment {
        generation: generation.0,
        epoch: epoch.0,
        desired: Some(desired),
        app_name: app_name.clone(),
        cluster: cluster.to_string(),
        app: app.to_string(),
    }
}

fn read_assignment(reader: Reader<'_>, stored: v1::Assignment) -> Result<Assignment, Error> {
    let v1::Assignment {
        generation,
        epoch,
        desired,
        app_name,
        cluster,
        app,
    } = stored;
    let desired = match reader.present("assignment.desired", desired)? {
        StoredDesired::Run(v1::DesiredRun {
            bundle,
            policy,
            namespace,
            run,
            prune_approved,
        }) => Desired::Run {
            bundle: reader.parse("assignment.run.bundle", &bundle)?,
            policy: reader.policy("assignment.run.policy", policy)?,
            namespace,
            run: reader.parse("assignment.run.run", &run)?,
            prune_approved,
        },
        StoredDesired::Tombstone(v1::Tombstone { cascade }) => Desired::Tombstone { cascade },
    };
    Ok(Assignment {
        cluster: reader.parse("assignment.cluster", &cluster)?,
        app: reader.parse("assignment.app", &app)?,
        app_name,
        generation: Generation(generation),
        epoch: Epoch(epoch),
        desired,
    })
}
