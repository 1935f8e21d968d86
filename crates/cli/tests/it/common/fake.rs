//! A relay played by hand: answers each request as a test says, and keeps what
//! it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Status and body of an answer.
pub(crate) type Answer = (u16, String);

pub(crate) struct FakeRelay {
    pub(crate) url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl FakeRelay {
    /// `answer` is given `METHOD /path`. The thread ends with the test.
    pub(crate) fn start(answer: impl Fn(&str) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let log = heads.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that hangs up is its own affair.
                let _ = serve(stream, &log, &answer);
            }
        });
        Self { url, heads }
    }

    /// A relay with this key that knows an owner.
    pub(crate) fn with_key(key: &str) -> Self {
        let network = format!(
            r#"{{"relay":"{key}","version":"0","protocol":[1],"nodes":[],"nodes_online":0,
            "tasks_waiting":0,"tasks_leased":0,"tasks_done":0,"fuel":0,"receipts":[]}}"#
        );
        Self::start(move |request| match request {
            "GET /v1/network" => (200, network.clone()),
            "GET /v1/account" => (200, r#"{"name":"me","budget":5000000}"#.into()),
            "GET /v1/jobs" => (200, "[]".into()),
            _ => error(404, "not_found"),
        })
    }

    /// Heads of the requests so far, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// An error as relays give them.
pub(crate) fn error(status: u16, code: &str) -> Answer {
    (status, format!(r#"{{"error":{{"code":"{code}","message":"because of that"}}}}"#))
}

fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<String>>,
    answer: &impl Fn(&str) -> Answer,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let request = head.split(" HTTP/").next().unwrap_or_default().to_owned();
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.trim().parse().unwrap());
    reader.read_exact(&mut vec![0; length])?;
    log.lock().unwrap().push(head);
    let (status, body) = answer(&request);
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n");
    reader.into_inner().write_all(format!("{head}\r\n{body}").as_bytes())
}
