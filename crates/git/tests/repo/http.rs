//! `git http-backend` behind a socket of the loopback interface: a Git server as small as one can be.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

/// Serves the repositories below `root` until the test's process ends.
pub struct Server {
    pub url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `authorization` is the header that every request must carry, if any.
    pub fn start(root: PathBuf, authorization: Option<&str>) -> Self {
        Self::over("http", root, authorization, Ok)
    }

    /// Over TLS, and the authority that vouches for it.
    pub fn start_tls(root: PathBuf, authorization: Option<&str>) -> (Self, String) {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key =
            rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
        let config = Arc::new(config);
        let server = Self::over("https", root, authorization, move |stream| {
            let session = rustls::ServerConnection::new(Arc::clone(&config))
                .map_err(std::io::Error::other)?;
            Ok(rustls::StreamOwned::new(session, stream))
        });
        (server, issued.cert.pem())
    }

    fn over<S: Read + Write>(
        scheme: &str,
        root: PathBuf,
        authorization: Option<&str>,
        accept: impl Fn(TcpStream) -> std::io::Result<S> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, authorization) = (Arc::clone(&requests), authorization.map(str::to_owned));
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that goes away is none of the test's business.
                let _ = accept(stream.unwrap())
                    .and_then(|it| answer(it, &root, authorization.as_deref(), &log));
            }
        });
        Self { url, requests }
    }

    /// The requests since the last call, such as `GET /r/info/refs`.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

fn answer(
    stream: impl Read + Write,
    root: &PathBuf,
    authorization: Option<&str>,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let [method, target] = [words.next().unwrap_or_default(), words.next().unwrap_or_default()];
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    log.lock().unwrap().push(format!("{method} {path}"));
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let header = |wanted: &str| {
        headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    };
    if let Some(path) = path.strip_prefix("/moved/") {
        let to = format!("/{path}?{query}");
        return write!(
            reader.get_mut(),
            "HTTP/1.1 301 Moved\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    if authorization.is_some() && header("authorization") != authorization {
        return write!(
            reader.get_mut(),
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let length = header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut child = Command::new("git")
        .args(["-c", "safe.directory=*", "http-backend"])
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROTOCOL", header("git-protocol").unwrap_or_default())
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    child.stdin.take().unwrap().write_all(&body)?;
    let output = child.wait_with_output()?.stdout;
    let split = output.windows(4).position(|it| it == b"\r\n\r\n").unwrap_or(0);
    let head = String::from_utf8_lossy(&output[..split]).into_owned();
    let status = head.lines().find_map(|it| it.strip_prefix("Status: ")).unwrap_or("200 OK");
    let rest: Vec<&str> = head.lines().filter(|it| !it.starts_with("Status: ")).collect();
    let body = &output[split + 4..];
    let head =
        format!("{}\r\nContent-Length: {}\r\nConnection: close", rest.join("\r\n"), body.len());
    let stream = reader.get_mut();
    write!(stream, "HTTP/1.1 {status}\r\n{head}\r\n\r\n")?;
    stream.write_all(body)?;
    stream.flush()
}
