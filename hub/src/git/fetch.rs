//! One fetch: ask what the revision is, take its commit, as little as the server gives.
//!
//! Blocks; runs in a blocking thread under the repository's lock. Never retries: the next poll
//! does.

use std::{
    cell::Cell,
    collections::BTreeMap,
    io,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use gix::{
    ObjectId, Repository,
    protocol::{
        fetch::{Shallow, Tags, refmap::Mapping},
        transport::{
            Protocol,
            client::blocking_io::{Transport, http},
        },
    },
    remote::{Connection, Direction, ref_map},
};

use super::{
    Error,
    address::{Address, Revision, local_name},
    credentials::{Answers, Credential},
    error::chain,
    meter::{Budget, Meter},
    mirror::{self, Mirror},
};
use crate::pem::certificates;

type Dialled<'a, 'repo> = Connection<'a, 'a, 'repo, Box<dyn Transport + Send>>;

/// Brings the commit that `revision` means into the mirror and returns its id.
pub(super) fn fetch(
    mirror: &Mirror,
    address: &Address,
    revision: &Revision,
    stop: &Arc<AtomicBool>,
) -> Result<String, Error> {
    let credentials = if address.url().scheme == gix::url::Scheme::Https {
        mirror.options().all_credentials()?
    } else {
        BTreeMap::new()
    };
    let session = Session {
        mirror,
        credentials,
        address,
        revision,
        asked: Cell::new(false),
        budget: Budget::new(mirror.options().fetch_bytes, Arc::clone(stop)),
        stop,
    };
    let commit = match revision {
        Revision::Commit(text) => session.commit(text),
        _ => session.reference(),
    };
    commit.map(|id| id.to_string())
}

struct Session<'a> {
    mirror: &'a Mirror,
    address: &'a Address,
    revision: &'a Revision,
    /// As they were when the fetch began.
    credentials: BTreeMap<String, Credential>,
    /// Whether the server asked for credentials.
    asked: Cell<bool>,
    budget: Arc<Budget>,
    stop: &'a AtomicBool,
}

impl Session<'_> {
    /// A branch, a tag or `HEAD`.
    fn reference(&self) -> Result<ObjectId, Error> {
        let repository = self.mirror.current()?;
        let names = self.revision.remote_names();
        let specs = names
            .iter()
            .map(|name| format!("+{name}:{}", local_name(name)));
        let remote = self.remote(&repository, specs)?;
        let prepared = self
            .connect(&remote)?
            .prepare_fetch(self.meter(), ref_map::Options::default())
            .map_err(|error| self.explain(&error))?;
        let (id, peeled) = self.choose(&prepared.ref_map().mappings)?;
        if mirror::has_commit(&repository, peeled) {
            return Ok(peeled);
        }
        prepared
            .with_shallow(Shallow::DepthAtRemote(NonZeroU32::MIN))
            .receive(self.meter(), self.stop)
            .map_err(|error| self.explain(&error))?;
        self.peel(&repository, id)
    }

    /// A commit by its id. It never changes, so one that is there needs no server.
    fn commit(&self, text: &str) -> Result<ObjectId, Error> {
        let id = ObjectId::from_hex(text.as_bytes()).map_err(|_| self.unknown())?;
        if self.mirror.find(id)?.is_some() {
            return Ok(id);
        }
        let repository = self.mirror.current()?;
        let spec = format!("{text}:{}", local_name(text));
        let shallow = Shallow::DepthAtRemote(NonZeroU32::MIN);
        if let Err(error) = self.receive(&repository, [spec], shallow) {
            if !matches!(error, Error::Unreachable { .. }) {
                return Err(error);
            }
            self.everything(&repository, error)?;
        }
        self.peel(&repository, id)
    }

    /// Servers that speak an old protocol give only what has a name: then everything with a name,
    /// with its history. Others would have given the commit if they had it.
    fn everything(&self, repository: &Repository, refused: Error) -> Result<(), Error> {
        // Only asked, never written: the local names do not matter.
        let all = [
            "refs/heads/*:refs/ask/heads/*",
            "refs/tags/*:refs/ask/tags/*",
        ];
        let remote = self.remote(repository, all.map(str::to_owned))?;
        let asked = self
            .connect(&remote)?
            .ref_map(self.meter(), ref_map::Options::default());
        let Ok((references, handshake)) = asked else {
            // Not reached again: what was said first is as good.
            return Err(refused);
        };
        if handshake.server_protocol_version == Protocol::V2 {
            return Err(self.unknown());
        }
        let names = references.mappings.iter().filter_map(|mapping| {
            let name = mapping.remote.as_name()?.to_string();
            Some(format!("+{name}:{}", local_name(&name)))
        });
        self.receive(repository, names, Shallow::undo())
    }

    fn receive(
        &self,
        repository: &Repository,
        specs: impl IntoIterator<Item = String>,
        shallow: Shallow,
    ) -> Result<(), Error> {
        let remote = self.remote(repository, specs)?;
        self.connect(&remote)?
            .prepare_fetch(self.meter(), ref_map::Options::default())
            .and_then(|prepared| {
                let prepared = prepared.with_shallow(shallow);
                prepared.receive(self.meter(), self.stop)
            })
            .map(drop)
            .map_err(|error| self.explain(&error))
    }

    fn remote<'repo>(
        &self,
        repository: &'repo Repository,
        specs: impl IntoIterator<Item = String>,
    ) -> Result<gix::Remote<'repo>, Error> {
        let specs: Vec<String> = specs.into_iter().collect();
        repository
            .remote_at_without_url_rewrite(self.address.url().clone())
            .and_then(|remote| {
                let specs = specs.iter().map(String::as_str);
                remote
                    .with_fetch_tags(Tags::None)
                    .with_refspecs(specs, Direction::Fetch)
            })
            .map_err(|error| self.explain(&error))
    }

    fn connect<'a, 'repo>(
        &'a self,
        remote: &'a gix::Remote<'repo>,
    ) -> Result<Dialled<'a, 'repo>, Error> {
        let connection = remote
            .connect(Direction::Fetch)
            .map_err(|error| self.explain(&error))?;
        let answers = Answers {
            known: &self.credentials,
            asked: &self.asked,
        };
        let is_ssh = self.address.url().scheme == gix::url::Scheme::Ssh;
        let connection = connection.with_credentials(move |action| match answers.answer(action) {
            // ssh has asked its agent and read its keys before it comes to this.
            None if is_ssh => Err(gix::Error::from_error(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "ssh was refused with the keys it has",
            ))),
            answer => Ok(answer),
        });
        if self.address.url().scheme == gix::url::Scheme::Https {
            let options = self.http_options();
            return Ok(connection.with_transport_options(Box::new(options)));
        }
        Ok(connection)
    }

    fn http_options(&self) -> http::Options {
        let stall = self.mirror.options().stall_timeout;
        let ca_file = self.mirror.options().ca_file.clone();
        let configure = move |builder: reqwest::blocking::ClientBuilder| {
            let mut builder = builder.timeout(stall).connect_timeout(stall);
            if let Some(path) = &ca_file {
                let authorities = certificates(path).map_err(gix::Error::from_error)?;
                builder = builder.tls_certs_merge(authorities);
            }
            Ok(builder)
        };
        let backend = http::reqwest::Options {
            configure_client: Some(Box::new(configure)),
            configure_request: None,
        };
        http::Options {
            user_agent: Some(concat!("git/tidegate-", env!("CARGO_PKG_VERSION")).to_owned()),
            backend: Some(Arc::new(Mutex::new(backend))),
            ..http::Options::default()
        }
    }

    /// What the server's references say: the object and the commit behind it.
    fn choose(&self, mappings: &[Mapping]) -> Result<(ObjectId, ObjectId), Error> {
        let repo = || self.address.text().to_owned();
        let mut found = Vec::new();
        for mapping in mappings {
            match (mapping.remote.as_id(), mapping.remote.peeled_id()) {
                (Some(id), Some(peeled)) if !id.is_null() => {
                    found.push((id.to_owned(), peeled.to_owned()));
                }
                // `HEAD` of a repository without commits leads to a branch that is not born.
                _ => return Err(Error::Empty { repo: repo() }),
            }
        }
        match found[..] {
            [] if *self.revision == Revision::Head => Err(Error::Empty { repo: repo() }),
            [] => Err(self.unknown()),
            [first, ref others @ ..] if others.iter().all(|it| it.1 == first.1) => Ok(first),
            _ => Err(Error::Ambiguous {
                repo: repo(),
                revision: self.revision.text().to_owned(),
            }),
        }
    }

    /// Follows tags to a commit.
    fn peel(&self, repository: &Repository, id: ObjectId) -> Result<ObjectId, Error> {
        let object = repository
            .find_object(id)
            .map_err(|_| self.unknown())?
            .peel_tags_to_end()
            .map_err(|error| self.explain(&error))?;
        if object.kind == gix::objs::Kind::Commit {
            return Ok(object.id);
        }
        Err(Error::NotACommit {
            repo: self.address.text().to_owned(),
            revision: self.revision.text().to_owned(),
            kind: object.kind.to_string(),
        })
    }

    fn meter(&self) -> Meter {
        Meter::new(Arc::clone(&self.budget))
    }

    fn unknown(&self) -> Error {
        Error::UnknownRevision {
            repo: self.address.text().to_owned(),
            revision: self.revision.text().to_owned(),
        }
    }

    /// Tells apart whose turn it is: the user's, the operator's, or nobody's because it may pass.
    fn explain(&self, error: &gix::Error) -> Error {
        let (repo, detail) = (self.address.text().to_owned(), chain(error));
        let options = self.mirror.options();
        if self.budget.is_exceeded() {
            let limit = options.fetch_bytes;
            return Error::TooLarge { repo, limit };
        }
        if self.stop.load(Ordering::Relaxed) {
            let seconds = options.timeout.as_secs();
            return Error::Timeout { repo, seconds };
        }
        if error.iter_errors().any(is_of_our_disk) {
            let path = options.dir.clone();
            return Error::Mirror { path, detail };
        }
        if error.is_resource_exhausted() {
            let limit = options.object_bytes;
            return Error::ObjectTooLarge { repo, limit };
        }
        if self.asked.get() || error.is_unauthenticated() || error.is_permission_denied() {
            return Error::Authentication { repo, detail };
        }
        let is_local = self.address.url().scheme == gix::url::Scheme::File;
        if detail.contains("HTTP status 404") || is_local && error.is_not_found() {
            return Error::NoRepository { repo, detail };
        }
        Error::Unreachable { repo, detail }
    }
}

fn is_of_our_disk(error: &(dyn std::error::Error + 'static)) -> bool {
    use io::ErrorKind as Kind;
    error.downcast_ref::<io::Error>().is_some_and(|error| {
        matches!(
            error.kind(),
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge | Kind::ReadOnlyFilesystem
        )
    })
}
