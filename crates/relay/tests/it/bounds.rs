//! What slow clients get, and what they can't hold: raw connections that send
//! or read as no library does.

use crate::common::{Fixture, PATIENCE, job, start, start_with, until};
use futures_util::StreamExt as _;
use grid_protocol::{Digest, Files, LeaseOffer};
use grid_relay::Patience;
use reqwest::Method;
use std::io::ErrorKind::WouldBlock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

const SHORT: Duration = Duration::from_millis(300);

/// A relay that is patient in all but this.
async fn impatient(change: impl FnOnce(&mut Patience)) -> Fixture {
    start_with(|config| change(&mut config.patience)).await
}

/// Sends what is the beginning of a request.
async fn begin(relay: &Fixture, head: String) -> TcpStream {
    let mut stream = TcpStream::connect(relay.relay.address()).await.unwrap();
    stream.write_all(format!("{head}\r\nHost: relay\r\n\r\n").as_bytes()).await.unwrap();
    stream
}

/// The status of the next answer.
async fn status(stream: &mut TcpStream) -> u16 {
    let mut line = Vec::new();
    let read = async {
        while !line.ends_with(b"\r\n\r\n") {
            line.push(stream.read_u8().await.unwrap());
        }
    };
    timeout(PATIENCE, read).await.expect("the relay says nothing");
    let text = String::from_utf8(line).unwrap();
    text.split(' ').nth(1).unwrap().parse().unwrap()
}

fn put(authorization: &str, digest: Digest, length: &str) -> String {
    format!("PUT /v1/blobs/{digest} HTTP/1.1\r\nAuthorization: {authorization}\r\n{length}")
}

/// The beginning of an upload of so many bytes, which the relay reads once it
/// says so.
async fn upload(relay: &Fixture, offer: &LeaseOffer, bytes: usize) -> TcpStream {
    let lease = format!("Lease {}:{}", offer.lease, offer.token);
    let length = format!("Content-Length: {bytes}\r\nExpect: 100-continue");
    begin(relay, put(&lease, Digest([1; 32]), &length)).await
}

#[tokio::test]
async fn a_body_that_trickles_ends() {
    let relay = impatient(|patience| patience.body = SHORT).await;
    let bearer = format!("Bearer {}", relay.owner.key);
    let head = put(&bearer, Digest([1; 32]), "Content-Length: 60000");
    let (mut read, mut write) = begin(&relay, head).await.into_split();
    let trickle = tokio::spawn(async move {
        let mut ticks = interval(SHORT / 10);
        while write.write_all(b"x").await.is_ok() {
            ticks.tick().await;
        }
    });
    let mut answer = [0; 12];
    timeout(PATIENCE, read.read_exact(&mut answer)).await.expect("it is read on").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    trickle.abort();
    relay.finish().await;
}

#[tokio::test]
async fn who_signs_is_not_waited_for_either() {
    let relay = impatient(|patience| patience.pause = SHORT).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let signed = format!("Account {}:{now}:{}", "0".repeat(64), "0".repeat(128));
    let head = format!("POST /v1/teams HTTP/1.1\r\nAuthorization: {signed}\r\nContent-Length: 100");
    let mut stream = begin(&relay, head).await;
    assert_eq!(status(&mut stream).await, 408);
    relay.finish().await;
}

#[tokio::test]
async fn an_upload_ends_with_its_lease() {
    let relay = start().await;
    let info = relay.owner.submit_job(&[b"1"], None).await;
    let mut node = relay.node(1).await;
    node.ready(1).await;
    let offer = node.lease().await;
    let mut first = upload(&relay, &offer, 100_000).await;
    assert_eq!(status(&mut first).await, 100);
    let mut second = upload(&relay, &offer, 100_000).await;
    assert_eq!(status(&mut second).await, 100);
    assert_eq!(status(&mut first).await, 401, "a lease uploads one thing at a time");
    let cancel = format!("/v1/jobs/{}/cancel", info.id);
    assert_eq!(relay.owner.ask(Method::POST, &cancel, "").await.0, 200);
    assert_eq!(status(&mut second).await, 401);
    relay.finish().await;
}

#[tokio::test]
async fn nodes_hold_no_memory_that_owners_need() {
    let relay = start().await;
    let module = relay.owner.submit_module().await;
    let mut job = job(&module, &[b"1", b"2", b"3"], None);
    job["output_bytes"] = (64 << 20).into();
    let (made, _) = relay.owner.ask(Method::POST, "/v1/jobs", job.to_string()).await;
    assert_eq!(made, 201);
    let mut node = relay.node(1).await;
    node.ready(3).await;
    let mut uploads = Vec::new();
    for _ in 0..3 {
        let offer = node.lease().await;
        uploads.push(upload(&relay, &offer, 64 << 20).await);
    }
    assert_eq!(status(&mut uploads[0]).await, 100, "the largest output has room");
    // Of unknown length, so as large as may be.
    let input = Files::stdin(b"an input".to_vec()).encode();
    let bearer = format!("Bearer {}", relay.owner.key);
    let head = put(&bearer, Digest::of(&input), "Transfer-Encoding: chunked");
    let mut stream = begin(&relay, head).await;
    let chunk = [format!("{:x}\r\n", input.len()).as_bytes(), &input, b"\r\n0\r\n\r\n"].concat();
    stream.write_all(&chunk).await.unwrap();
    assert_eq!(status(&mut stream).await, 204);
    drop(uploads);
    relay.finish().await;
}

#[tokio::test]
async fn who_asks_and_never_reads_is_disconnected() {
    let relay = impatient(|patience| patience.unread = SHORT).await;
    // More than systems keep for a connection.
    let input = Files::stdin(vec![7; 32 << 20]).encode();
    let path = format!("/v1/blobs/{}", Digest::of(&input));
    assert_eq!(relay.owner.ask(Method::PUT, &path, input).await.0, 204);
    let url = format!("{}/v1/network/live", relay.owner.base);
    let live = crate::common::get(&url).await;
    let head = format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer {}", relay.owner.key);
    let stream = begin(&relay, head).await;
    // A connection that is gone takes nothing any more.
    let gone = || stream.try_write(b"\r\n").is_err_and(|error| error.kind() != WouldBlock);
    until(|| std::future::ready(gone())).await;
    // Who reads, and is sent nothing, stays.
    let _node = relay.node(1).await;
    let mut events = live.bytes_stream();
    let news = async {
        loop {
            let event = events.next().await.expect("the stream ended").unwrap();
            if String::from_utf8_lossy(&event).contains("\"nodes_online\":1") {
                return;
            }
        }
    };
    timeout(PATIENCE, news).await.expect("no news");
    drop(events);
    relay.finish().await;
}
