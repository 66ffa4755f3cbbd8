//! A whole cluster in this process: API server, scheduler, nodes and their kubelets.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kogge_apiserver::{ApiServer, Authorization, Config, User};
use kogge_member::Client;
use kogge_store::Store;
use tokio::task::JoinSet;

use crate::{Faults, GroupSpec, NodesConfig, controllers, lifecycle, run_nodes, scheduler};

/// What `/version` says.
const KUBERNETES_VERSION: &str = "v1.37.0+kogge-sim";
const EVENT_TTL: Duration = Duration::from_hours(1);

pub struct SimOptions {
    pub name: String,
    pub store: Arc<dyn Store>,
    pub groups: Vec<GroupSpec>,
    pub faults: Faults,
    /// From a pod being bound to its running.
    pub start_delay: Duration,
    pub now: fn() -> Timestamp,
    pub authorization: Authorization,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("could not start the API server of {name}")]
    ApiServer { name: String, source: kogge_apiserver::StartError },
}

/// A running member. Stops when it is dropped.
pub struct SimMember {
    name: String,
    server: ApiServer,
    client: Client,
    faults: Faults,
    _tasks: JoinSet<()>,
}

impl SimMember {
    pub async fn start(options: SimOptions) -> Result<Self, StartError> {
        let SimOptions { name, store, groups, faults, start_delay, now, authorization } = options;
        let config = Config {
            kinds: Vec::new(),
            admission: Vec::new(),
            authorization,
            now,
            git_version: KUBERNETES_VERSION.to_owned(),
            event_ttl: EVENT_TTL,
        };
        let server = ApiServer::start(store, config)
            .await
            .map_err(|source| StartError::ApiServer { name: name.clone(), source })?;
        let part = |user: &str| kogge_member::from_service(server.local(User::system(user)));
        let mut tasks = JoinSet::new();
        tasks.spawn(scheduler::run(part("system:kube-scheduler"), now));
        tasks.spawn(controllers::run(part("system:kube-controller-manager"), now));
        tasks.spawn(lifecycle::run(part("system:kube-controller-manager"), now));
        tasks.spawn(run_nodes(NodesConfig {
            client: part("system:nodes"),
            groups,
            faults: faults.clone(),
            start_delay,
            now,
        }));
        let client = part("system:admin");
        Ok(Self { name, server, client, faults, _tasks: tasks })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// To serve it on a socket with `kogge_apiserver::serve::listen`.
    pub fn server(&self) -> &ApiServer {
        &self.server
    }

    /// May do everything.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}
