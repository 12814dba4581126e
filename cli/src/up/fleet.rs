//! A fleet that comes up, runs and stops.
//!
//! Owns the order of it, and that what was interrupted anywhere is gone on with. Never decides what
//! the fleet is: `plan` does.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use kube::Client;
use serde::Serialize;
use tidegate_proto::v1 as proto;
use tidegate_telemetry::describe;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{
    clusters::{self, Simulated},
    error::Error,
    hints,
    layout::Layout,
    log,
    pace::{Pace, WaveTime, seconds},
    parts, plan,
    repository::{self, Story},
    show::Show,
    state::{self, Lock, State},
    wire,
};
use crate::{
    args::{self, Format},
    commands,
    config::{Config, edit::edit},
    connect::Hub,
    error as cli,
    output::Output,
};

/// How long the hub may take until it answers.
const HUB_STARTS: Duration = Duration::from_secs(30);
/// How long one of its answers may take.
const ANSWER: Duration = Duration::from_mins(1);

/// What `up --once -o json` prints.
#[derive(Serialize)]
struct Summary {
    clusters: usize,
    applications: u32,
    run: RunSummary,
    seconds: f64,
}

#[derive(Serialize)]
struct RunSummary {
    id: String,
    state: String,
    waves: Vec<WaveTime>,
}

/// A fleet that comes up or runs.
pub(super) struct Fleet {
    layout: Layout,
    state: State,
    story: Story,
    tasks: JoinSet<Result<(), Error>>,
    /// Of the agents, which end before the hub.
    agents: JoinSet<Result<(), Error>>,
    pub(super) cancel: CancellationToken,
    /// Of hub and clusters, which outlive the agents.
    inner: CancellationToken,
    /// The first run has ended.
    pub(super) ran: bool,
    _lock: Lock,
}

impl Fleet {
    /// Takes the folder, and remembers or begins what it is.
    pub(super) fn open(options: &args::Up, layout: Layout) -> Result<Self, Error> {
        let root = layout.root().to_owned();
        let path = || root.clone();
        if !layout.state().exists() && holds_something(&root)? {
            return Err(Error::NotOurs { path: path() });
        }
        fs::create_dir_all(&root).map_err(state::file("make", &root))?;
        let lock = Lock::take(&layout)?;
        let state = match State::load(&layout)? {
            Some(state) => plan::same(state, options, &root)?,
            None => plan::begin(options)?,
        };
        let story = repository::story(&state.example).ok_or_else(|| Error::Damaged {
            path: layout.state(),
            problem: format!("there is no example {:?}", state.example),
        })?;
        state.save(&layout)?;
        log::start(&layout)?;
        repository::make(&layout, story)?;
        Ok(Self {
            layout,
            state,
            story,
            tasks: JoinSet::new(),
            agents: JoinSet::new(),
            cancel: CancellationToken::new(),
            inner: CancellationToken::new(),
            ran: false,
            _lock: lock,
        })
    }

    pub(super) async fn run(
        &mut self,
        options: &args::Up,
        begun: Instant,
        output: &mut Output,
    ) -> Result<(), cli::Error> {
        let address = self.start_hub(options.port).await?;
        let clients = self.start_clusters().await?;
        let hub = self.connect().await?;
        let (told, notes) = mpsc::channel(64);
        self.join(&hub).await?;
        self.apply(&hub).await?;
        self.start_agents(clients, address, &told).await?;
        self.say_ready(begun, output);
        let mut show = Show {
            hub,
            set: self.story.set.to_owned(),
            begun,
            notes,
            pace: Pace::default(),
        };
        let first = tokio::select! {
            first = show.latest(output) => first?,
            failed = self.failure() => return Err(failed.into()),
        };
        self.ran = true;
        if options.once {
            return self.summary(&show, &first, begun, output).await;
        }
        self.say_next(output)?;
        let mut last = first;
        loop {
            last = tokio::select! {
                next = show.next(&last, output) => next?,
                failed = self.failure() => return Err(failed.into()),
            };
        }
    }

    /// Ends agents, then the hub and clusters, whose objects are written then.
    pub(super) async fn stop(&mut self) -> Result<(), Error> {
        self.cancel.cancel();
        while self.agents.join_next().await.is_some() {}
        self.inner.cancel();
        let mut outcome = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            if let Ok(Err(error)) = ended {
                outcome = Err(error);
            }
        }
        outcome
    }

    /// Why a part ended, when one does.
    async fn failure(&mut self) -> Error {
        loop {
            let ended = tokio::select! {
                Some(ended) = self.tasks.join_next() => ended,
                Some(ended) = self.agents.join_next() => ended,
                else => return std::future::pending().await,
            };
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error,
                Err(error) => {
                    return Error::Part {
                        part: "fleet".to_owned(),
                        problem: error.to_string(),
                        log: self.layout.log(),
                    };
                }
            }
        }
    }

    /// Makes the hub if need be, and runs it on the port it had.
    async fn start_hub(&mut self, asked: Option<u16>) -> Result<SocketAddr, cli::Error> {
        let port = asked.unwrap_or(self.state.port);
        let listener = clusters::listen(port, asked.is_none()).await?;
        let port = clusters::port(&listener)?;
        self.state.port = port;
        parts::make_hub(&self.layout, &mut self.state).await?;
        readdress(&self.layout, port).await?;
        self.state.save(&self.layout)?;
        self.tasks.spawn(parts::run_hub(
            self.layout.clone(),
            listener,
            self.inner.clone(),
        ));
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// A client of each cluster, simulated ones running.
    async fn start_clusters(&mut self) -> Result<Vec<Client>, Error> {
        let mut clients = Vec::new();
        let kubeconfig = self.state.kubeconfig.clone();
        for cluster in &mut self.state.clusters {
            let folder = self.layout.cluster(&cluster.name);
            fs::create_dir_all(&folder).map_err(state::file("make", &folder))?;
            let client = if cluster.context.is_some() {
                // The port does not matter for a client of the cluster.
                let options =
                    parts::agent_options(&self.layout, cluster, kubeconfig.as_deref(), 1)?;
                let client = tidegate_agent::runtime::client(&options).await;
                client.map_err(|error| Error::Cluster {
                    cluster: cluster.name.clone(),
                    problem: describe(&error),
                })?
            } else {
                let simulated = Simulated::open(&self.layout, cluster).await?;
                let client = simulated.client();
                self.tasks.spawn(simulated.run(self.inner.clone()));
                client
            };
            clusters::prepare(&cluster.name, client.clone()).await?;
            clients.push(client);
        }
        clusters::write_kubeconfig(&self.layout, &self.state)?;
        self.state.save(&self.layout)?;
        Ok(clients)
    }

    /// The hub, when it answers.
    async fn connect(&mut self) -> Result<Hub, cli::Error> {
        let path = self.layout.config();
        let config = Config::load(&path)?;
        let context = config.context(None, &path)?;
        let mut retry = tokio::time::interval(Duration::from_millis(50));
        retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let begun = Instant::now();
        loop {
            tokio::select! {
                _ = retry.tick() => {}
                failed = self.failure() => return Err(failed.into()),
            }
            let now_ms = crate::clock::Clock::default().now_ms();
            match Hub::connect(context, None, ANSWER, now_ms).await {
                Ok(hub) => return Ok(hub),
                Err(error) if error.is_retryable() && begun.elapsed() < HUB_STARTS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Registers the clusters that are not, and writes a token for each agent. One that has joined
    /// needs none, unless it was killed between its joining and the keeping of what it got.
    async fn join(&self, hub: &Hub) -> Result<(), cli::Error> {
        let listed = hub
            .call(async |fleet| fleet.list_clusters(proto::ListRequest::default()).await)
            .await?;
        for cluster in &self.state.clusters {
            let known = listed.items.iter().any(|it| it.name == cluster.name);
            let label = ("env".to_owned(), cluster.env.clone());
            let request = proto::CreateJoinTokenRequest {
                cluster: cluster.name.clone(),
                // Whoever changed labels meanwhile keeps them.
                labels: (!known).then_some(label).into_iter().collect(),
                ..proto::CreateJoinTokenRequest::default()
            };
            let made = hub
                .call(async |fleet| fleet.create_join_token(request).await)
                .await?;
            state::write(&self.layout.token(&cluster.name), made.token.as_bytes())?;
        }
        Ok(())
    }

    /// Applies the example, once.
    async fn apply(&mut self, hub: &Hub) -> Result<(), cli::Error> {
        if self.state.applied {
            return Ok(());
        }
        let path = self.layout.repository().join("applicationset.yaml");
        let content = fs::read(&path).map_err(state::file("read", &path))?;
        let request = proto::ApplyRequest {
            files: vec![proto::SourceFile {
                name: path.display().to_string(),
                content,
            }],
            dry_run: false,
        };
        hub.call(async |fleet| fleet.apply(request).await).await?;
        self.state.applied = true;
        Ok(self.state.save(&self.layout)?)
    }

    /// An agent in each cluster, each on a wire of its own.
    async fn start_agents(
        &mut self,
        clients: Vec<Client>,
        hub: SocketAddr,
        notes: &mpsc::Sender<String>,
    ) -> Result<(), Error> {
        for (cluster, client) in self.state.clusters.iter().zip(clients) {
            let name = cluster.name.clone();
            let refused = |source| Error::Port { port: 0, source };
            let wire = wire::Wire::new(hub, self.layout.cut(&name)).await;
            let wire = wire.map_err(refused)?;
            let port = wire.port().map_err(refused)?;
            let kubeconfig = self.state.kubeconfig.as_deref();
            let options = parts::agent_options(&self.layout, cluster, kubeconfig, port)?;
            let (notes, cut) = (notes.clone(), name.clone());
            let tell = move |whole: bool| {
                let said = if whole {
                    "reaches the hub again"
                } else {
                    "is cut off"
                };
                // A note more or less: a full screen must not hold a wire up.
                let _ = notes.try_send(format!("cluster {cut} {said}"));
            };
            let running = wire.run(tell, self.inner.clone());
            self.tasks.spawn(async move {
                running.await;
                Ok(())
            });
            self.agents.spawn(parts::run_agent(
                self.layout.clone(),
                name,
                client,
                options,
                self.cancel.clone(),
            ));
        }
        Ok(())
    }

    fn say_ready(&self, begun: Instant, output: &mut Output) {
        if output.format() != Format::Table {
            return;
        }
        let (count, real) = (self.state.clusters.len(), self.state.kubeconfig.is_some());
        output.note(&format!(
            "hub {} with {count} {} clusters, up in {:.1} s; logs in {}",
            parts::server(self.state.port),
            if real { "real" } else { "simulated" },
            seconds(begun.elapsed()),
            self.layout.log().display(),
        ));
        output.note("");
    }

    fn say_next(&self, output: &mut Output) -> Result<(), cli::Error> {
        let Some(cluster) = self.state.clusters.last() else {
            return Ok(());
        };
        let program = std::env::current_exe().ok();
        let place = hints::Place {
            root: self.layout.root(),
            story: self.story,
            cluster: (&cluster.name, cluster.context.is_none()),
            program: program.as_deref().filter(|program| !on_path(program)),
        };
        output.note("");
        for line in hints::hints(&place) {
            output.line(&line)?;
        }
        output.note("\nCtrl-C stops the fleet; `tidegate up` goes on from there.");
        Ok(())
    }

    async fn summary(
        &self,
        show: &Show,
        run: &proto::Run,
        begun: Instant,
        output: &mut Output,
    ) -> Result<(), cli::Error> {
        let request = proto::ListRequest {
            set: self.story.set.to_owned(),
            ..proto::ListRequest::default()
        };
        let sets = show
            .hub
            .call(async |fleet| fleet.list_application_sets(request).await)
            .await?;
        let summary = Summary {
            clusters: self.state.clusters.len(),
            applications: sets.items.iter().map(|set| set.applications).sum(),
            run: RunSummary {
                id: run.id.clone(),
                state: run.state.clone(),
                waves: show.pace.waves(run),
            },
            seconds: seconds(begun.elapsed()),
        };
        let text = format!(
            "{} applications in {} clusters: {} after {:.1} s",
            summary.applications, summary.clusters, summary.run.state, summary.seconds
        );
        output.value(&summary, &text)?;
        commands::outcome(run)
    }
}

fn holds_something(root: &Path) -> Result<bool, Error> {
    match fs::read_dir(root) {
        // An `up` that was killed at once leaves its lock, and perhaps the beginning of its record.
        Ok(entries) => Ok(entries.filter_map(Result::ok).any(|entry| {
            !["up.lock", ".up.json.new"]
                .map(Into::into)
                .contains(&entry.file_name())
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(state::file("read", root)(source)),
    }
}

/// Whether a shell finds this very program by its name.
fn on_path(program: &Path) -> bool {
    let Some((name, path)) = program.file_name().zip(std::env::var_os("PATH")) else {
        return false;
    };
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.and_then(|path| path.canonicalize().ok()) == program.canonicalize().ok()
}

/// The hub's address in the administrator's configuration, brought up to date.
async fn readdress(layout: &Layout, port: u16) -> Result<(), cli::Error> {
    let (path, server) = (layout.config(), parts::server(port));
    let edited = edit(&path, |config| {
        for context in &mut config.contexts {
            context.server.clone_from(&server);
        }
        Ok(())
    });
    Ok(edited.await?)
}
