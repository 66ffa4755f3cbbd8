//! The network between hub and member, at its worst.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

/// A wire to a server that can be cut, or fall silent.
pub struct Wire {
    pub address: String,
    state: Arc<AtomicU8>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

const OPEN: u8 = 0;
const CUT: u8 = 1;
/// What is open stays so for ever, and nothing comes through any more.
const SILENT: u8 = 2;

impl Wire {
    pub fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let it = Self { address, state: Arc::default(), open: Arc::default() };
        let (server, state, open) = (server.to_owned(), it.state.clone(), it.open.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut open = open.lock().expect("no holder panics");
                match state.load(Ordering::SeqCst) {
                    CUT => {}
                    SILENT => open.push(client),
                    _ => {
                        let Ok(server) = TcpStream::connect(&server) else { continue };
                        forward(&client, &server, &state);
                        forward(&server, &client, &state);
                        open.extend([client, server]);
                    }
                }
            }
        });
        it
    }

    pub fn cut(&self) {
        self.state.store(CUT, Ordering::SeqCst);
        for stream in self.open.lock().expect("no holder panics").drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn fall_silent(&self) {
        self.state.store(SILENT, Ordering::SeqCst);
    }

    pub fn mend(&self) {
        self.state.store(OPEN, Ordering::SeqCst);
    }
}

/// Carries bytes until either side ends. Once the wire was silent it carries no more, mended or not.
fn forward(from: &TcpStream, to: &TcpStream, state: &Arc<AtomicU8>) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    let state = state.clone();
    thread::spawn(move || {
        let mut buffer = [0; 1 << 14];
        let (mut is_dead, wait) = (false, Some(Duration::from_millis(20)));
        from.set_read_timeout(wait).expect("a socket has timeouts");
        loop {
            is_dead |= state.load(Ordering::SeqCst) == SILENT;
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) if is_dead => {}
                Ok(count) if to.write_all(&buffer[..count]).is_err() => break,
                Err(it) if !matches!(it.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    break;
                }
                _ => {}
            }
        }
        // It may have ended by itself.
        let _ = to.shutdown(Shutdown::Both);
    });
}
