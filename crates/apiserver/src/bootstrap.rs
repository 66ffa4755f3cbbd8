//! What exists in every cluster from the start.

use http::Method;
use serde_json::{Value, json};

use crate::{authz, object::meta, server::ApiServer, status::Failure};

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Makes what is missing, through the front door; what is there stays as it is.
pub(crate) async fn run(server: &ApiServer) -> Result<(), Failure> {
    for name in NAMESPACES {
        let object = json!({"metadata": {"name": name}});
        ensure(server, "/api/v1/namespaces", &object).await?;
    }
    for object in authz::bootstrap::objects() {
        let plural = match object["kind"].as_str() {
            Some("ClusterRole") => "clusterroles",
            _ => "clusterrolebindings",
        };
        ensure(server, &format!("{RBAC}/{plural}"), &object).await?;
    }
    Ok(())
}

async fn ensure(server: &ApiServer, path: &str, object: &Value) -> Result<(), Failure> {
    let path = path.to_owned();
    let name = meta(object, "name");
    if server.ask(Method::GET, &format!("{path}/{name}"), None).await.0 == 200 {
        return Ok(());
    }
    match server.ask(Method::POST, &path, Some(object)).await {
        (201 | 409, _) => Ok(()),
        (code, status) => {
            let why = status["message"].as_str().unwrap_or_default();
            Err(Failure::new(
                code,
                "InternalError",
                format!("could not create {path}/{name}: {why}"),
            ))
        }
    }
}
