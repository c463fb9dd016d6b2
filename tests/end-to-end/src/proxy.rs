//! A TCP proxy that stands between two parts and strikes at a boundary: it lets a request through, keeps the answer to
//! itself, cuts the connection and tells the test, which then kills the part that waits for the answer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// When to strike: at the n-th request whose bytes contain `text`, counted from 1.
#[derive(Clone, Copy, Debug)]
pub struct Strike {
    /// What the request contains.
    pub text: &'static str,
    /// Which of them.
    pub nth: usize,
}

/// A proxy to one upstream. It works until the test's runtime ends.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub url: String,
    /// One message for the strike, when the upstream has answered and the answer is lost.
    pub struck: mpsc::UnboundedReceiver<()>,
}

impl Proxy {
    /// To `127.0.0.1:<upstream>`.
    ///
    /// # Panics
    /// No port is free.
    pub async fn to(upstream: u16, strike: Strike) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (sender, struck) = mpsc::unbounded_channel();
        let seen = Arc::new(AtomicUsize::new(0));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, upstream, strike, seen.clone(), sender.clone()));
            }
        });
        Self { url, struck }
    }
}

/// Carries one connection, request by request as they come.
async fn carry(
    mut client: TcpStream,
    upstream: u16,
    strike: Strike,
    seen: Arc<AtomicUsize>,
    struck: mpsc::UnboundedSender<()>,
) -> Option<()> {
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).await.ok()?;
    let (mut from_client, mut from_server) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut striking = false;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let bytes = &from_client[..read.ok().filter(|read| *read > 0)?];
                let matches = bytes.windows(strike.text.len()).any(|window| window == strike.text.as_bytes());
                if matches && seen.fetch_add(1, Ordering::SeqCst) + 1 == strike.nth {
                    striking = true;
                }
                server.write_all(bytes).await.ok()?;
            }
            read = server.read(&mut from_server) => {
                let bytes = &from_server[..read.ok().filter(|read| *read > 0)?];
                if striking {
                    let _ = struck.send(());
                    return None; // both connections are cut here
                }
                client.write_all(bytes).await.ok()?;
            }
        }
    }
}
