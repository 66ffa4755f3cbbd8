//! What a server offers beside the Kubernetes API: streams of lines, and bodies that are no objects.

use futures::{AsyncBufReadExt as _, Stream, StreamExt as _};
use http::Method;

use crate::{
    client::{Client, request},
    error::{Error, Fault},
};

impl Client {
    /// GETs a stream of lines, for as long as the server goes on. The caller minds the time.
    pub async fn lines(
        &self,
        path: &str,
    ) -> Result<impl Stream<Item = Result<String, Error>> + Send + use<>, Error> {
        let asked = request(Method::GET, path, "application/json", None);
        let what = path.to_owned();
        let body = self.kube.request_stream(asked).await;
        let body = body.map_err(|error| Error::new("get", path, Fault::from(error)))?;
        Ok(body.lines().map(move |line| {
            line.map_err(|error| {
                Error::new("read", what.clone(), Fault::Unreachable(error.to_string()))
            })
        }))
    }

    /// POSTs JSON as it is given. The caller minds the time.
    pub async fn post_bytes(&self, path: &str, json: Vec<u8>) -> Result<String, Error> {
        let mut asked = request(Method::POST, path, "application/json", None);
        *asked.body_mut() = json;
        let answered = self.kube.request_text(asked).await;
        answered.map_err(|error| Error::new("post", path, Fault::from(error)))
    }
}
