//! Starts the API server and the controllers, and moves news between them.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use kogge_agent::link::ClusterState;
use kogge_api::fleet::{Cluster, SyncMode};
use kogge_apiserver::{ApiServer, Authorization, Config, User, serve::Added};
use kogge_store::Store;
use tokio::task::JoinSet;

use crate::{
    admission::{HUB_USER, HubAdmission},
    cache::Cache,
    context::{Context, Shared},
    controllers::{
        autoscaler::AutoscalerController,
        cluster::{self, ClusterController},
        failover::FailoverController,
        federation::FederationController,
        kustomization::KustomizationController,
        placement::PlacementController,
        signing::SigningController,
        source::SourceController,
        status::StatusController,
    },
    decisions::Decisions,
    dispatch::{Dispatch, Wired, wire},
    events::{self, Recorder},
    git::Git,
    gossip::{FleetGossip, GossipError, GossipOptions, Listening},
    kinds,
    moves::Moves,
    policies::Policies,
    pull::{self, Agents},
    recovery::{Recovering, Recovery},
    reports::Reports,
    roll::Roll,
    verdicts::Verdicts,
    works::{Works, WorksController},
};

/// What `/version` says: the API that kubectl 1.37 knows.
const KUBERNETES_VERSION: &str = "v1.37.0+kogge";
const EVENT_TTL: Duration = Duration::from_hours(1);

pub struct Options {
    pub store: Arc<dyn Store>,
    pub now: fn() -> Timestamp,
    /// For what can be fetched or made again, Git's copies for one; made where there is none.
    pub data_dir: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("could not start the hub's API server")]
    ApiServer(#[from] kogge_apiserver::StartError),
    #[error("could not read whether the hub waits for its state")]
    Recovery(#[source] std::io::Error),
    #[error("could not say what agents may do")]
    Grant(#[from] kogge_member::Error),
}

/// A running hub. Stops when it is dropped.
pub struct Hub {
    server: ApiServer,
    context: Shared,
    reports: Reports,
    verdicts: Verdicts,
    gossip: Listening,
    added: Added,
    _tasks: JoinSet<()>,
}

impl Hub {
    /// A hub that dials its clusters, and lets no agent in.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        Self::start_with(options, None).await
    }

    /// A hub that agents can dial, if it is given what it needs to let them in.
    pub async fn start_with(options: Options, agents: Option<Agents>) -> Result<Self, StartError> {
        let recovery = Recovery::open(&options.data_dir).map_err(StartError::Recovery)?;
        let policies = Policies::default();
        let cache = Cache::default();
        let config = Config {
            kinds: kinds::rows(),
            admission: vec![Arc::new(HubAdmission::new(policies.clone(), cache.clone()))],
            authorization: Authorization::Rbac,
            now: options.now,
            git_version: KUBERNETES_VERSION.to_owned(),
            event_ttl: EVENT_TTL,
        };
        let id = options.store.id().to_string();
        let server = ApiServer::start(options.store, config).await?;
        let client = kogge_member::from_service(server.local(User::system(HUB_USER)));
        let (events, said) = Recorder::new();
        let hub: Shared = Arc::new(Context {
            cache,
            client: client.clone(),
            works: Works::new(id, recovery.is_on()),
            events,
            now: options.now,
            recovery: recovery.clone(),
            roll: Roll::default(),
        });
        let mut tasks = JoinSet::new();
        pull::grant(&client).await?;
        tasks.spawn(events::write(client, said, options.now));
        let decisions = Decisions::default();
        let (reports, news) = Reports::new();
        let verdicts = Verdicts::new(reports.clone());
        let git = Git::new(options.data_dir.join("git"));
        let moves = Moves::default();
        let failover = FailoverController::new(
            hub.clone(),
            policies.clone(),
            reports.clone(),
            verdicts.clone(),
            moves.clone(),
        );
        let mut controllers =
            start_controllers(&hub, &policies, &verdicts, &decisions, moves, &mut tasks);
        controllers.push(wire(failover, &recovery, &mut tasks));
        controllers.push(wire(
            SourceController::new(hub.clone(), git.clone()),
            &recovery,
            &mut tasks,
        ));
        controllers.push(wire(
            KustomizationController::new(hub.clone(), git),
            &recovery,
            &mut tasks,
        ));
        let gossip = Listening::default();
        let mut added = Added::default();
        if let Some(agents) = agents {
            added = pull::added(&hub, &reports, &gossip, &agents);
            controllers.push(wire(
                SigningController::new(hub.clone(), agents),
                &recovery,
                &mut tasks,
            ));
        }
        let dispatch = Dispatch { hub: hub.clone(), policies, decisions, controllers };
        let dispatch = Arc::new(dispatch);
        tasks.spawn(dispatch.clone().news(news));
        tasks.spawn(dispatch.changes(server.clone()));
        Ok(Self { server, context: hub, reports, verdicts, gossip, added, _tasks: tasks })
    }

    pub fn server(&self) -> &ApiServer {
        &self.server
    }

    /// What is served beside the API, to agents.
    pub fn added(&self) -> Added {
        self.added.clone()
    }

    /// Joins the fleet's gossip, as long as this hub runs.
    ///
    /// # Errors
    /// If the fleet's key cannot be read or made, or nothing can listen there.
    pub async fn gossip(&self, options: GossipOptions) -> Result<Arc<FleetGossip>, GossipError> {
        let started = FleetGossip::start(&self.context, options, self.verdicts.clone()).await?;
        Ok(self.gossip.get_or_init(|| Arc::new(started)).clone())
    }

    /// What the agent of a cluster last said of it that runs in this process; of others that is theirs
    /// to tell.
    pub fn pushed_state(&self, name: &str) -> Option<ClusterState> {
        let clusters = self.context.cache.all(cluster::GROUP, "Cluster");
        let found = clusters.into_iter().find(|it| it.0.name == name)?;
        let cluster: Cluster = serde_json::from_value(found.1.value()).ok()?;
        self.reports.cluster(name).filter(|_| cluster.spec.sync_mode == SyncMode::Push)
    }

    /// Whether the hub waits for its state, and why.
    pub fn recovering(&self) -> Option<Recovering> {
        self.context.recovery.get()
    }

    /// Where the fleet's word about its clusters is told, by who listens to it.
    pub fn verdicts(&self) -> &Verdicts {
        &self.verdicts
    }
}

fn start_controllers(
    hub: &Shared,
    policies: &Policies,
    verdicts: &Verdicts,
    decisions: &Decisions,
    moves: Moves,
    tasks: &mut JoinSet<()>,
) -> Vec<Wired> {
    let (hub, reports, decisions) =
        (|| hub.clone(), || verdicts.reports().clone(), || decisions.clone());
    vec![
        wire(ClusterController::new(hub(), reports()), &hub().recovery, tasks),
        wire(FederationController::new(hub(), verdicts.clone()), &hub().recovery, tasks),
        wire(AutoscalerController::new(hub(), policies.clone(), reports()), &hub().recovery, tasks),
        wire(
            PlacementController::new(hub(), policies.clone(), reports(), decisions()),
            &hub().recovery,
            tasks,
        ),
        wire(
            WorksController::new(hub().cache.clone(), hub().works.clone()),
            &hub().recovery,
            tasks,
        ),
        wire(StatusController::new(hub(), reports(), decisions(), moves), &hub().recovery, tasks),
    ]
}
