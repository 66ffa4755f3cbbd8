//! A place on the way of TCP connections that can be cut.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::watch,
};

/// Leads to one address, as long as it is not cut.
pub struct Gate {
    address: SocketAddr,
    is_cut: watch::Sender<bool>,
    _runtime: Runtime,
}

impl Gate {
    pub fn open(to: SocketAddr) -> Self {
        let runtime = Runtime::new().unwrap();
        let is_cut = watch::Sender::new(false);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(lead(listener, to, is_cut.clone()));
        Self { address, is_cut, _runtime: runtime }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is open falls silent without a word, and nothing new is let in.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// New connections are let in; those that fell silent stay so.
    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

async fn lead(mut listener: TcpListener, to: SocketAddr, is_cut: watch::Sender<bool>) {
    let address = listener.local_addr().unwrap();
    let mut cut = is_cut.subscribe();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let stream = accepted.unwrap().0;
                tokio::spawn(pass(stream, to, is_cut.subscribe()));
            }
            () = told(&mut cut, true) => {
                drop(listener);
                told(&mut cut, false).await;
                listener = TcpListener::bind(address).await.unwrap();
            }
        }
    }
}

async fn pass(mut stream: TcpStream, to: SocketAddr, mut cut: watch::Receiver<bool>) {
    let Ok(mut hub) = TcpStream::connect(to).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut stream, &mut hub) => {}
        () = told(&mut cut, true) => {
            // Neither end hears of it.
            std::future::pending::<()>().await;
        }
    }
}

async fn told(cut: &mut watch::Receiver<bool>, what: bool) {
    // The sender lives as long as the gate.
    let _ = cut.wait_for(|it| *it == what).await;
}
