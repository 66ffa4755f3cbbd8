//! The server as a service in this process: no socket, no TLS, the user given.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};

use crate::{
    body::{Body, BoxError},
    server::ApiServer,
    user::User,
};

/// A tower service over an [`ApiServer`], for one user. `kube::Client` takes it as it is.
#[derive(Clone)]
pub struct LocalService {
    server: ApiServer,
    user: Arc<User>,
}

impl LocalService {
    pub(crate) fn new(server: ApiServer, user: User) -> Self {
        Self { server, user: Arc::new(user) }
    }
}

impl<B> tower::Service<Request<B>> for LocalService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (server, user) = (self.server.clone(), self.user.clone());
        Box::pin(async move { Ok(server.handle(user, request).await) })
    }
}
