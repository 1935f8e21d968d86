//! What the pages show: `/v1/live`, `/v1/history`, `/v1/leaders`, from entries.

use crate::common::{self, Fixture, http, start, start_with, until};
use grid_protocol::live::{History, Leaders, Live};
use serde::de::DeserializeOwned;

async fn json<T: DeserializeOwned>(relay: &Fixture, path: &str) -> T {
    common::get(&format!("{}{path}", relay.owner.base)).await.json().await.unwrap()
}

async fn watch(relay: &Fixture) -> reqwest::Response {
    common::get(&format!("{}/v1/live", relay.owner.base)).await
}

async fn event(stream: &mut reqwest::Response) -> Live {
    let event = stream.chunk().await.unwrap().unwrap();
    serde_json::from_slice(event.strip_prefix(b"data: ").unwrap().trim_ascii()).unwrap()
}

/// A relay with one settled task of 7 fuel, and one that waits.
async fn worked() -> Fixture {
    let relay = start().await;
    relay.owner.submit_job(&[b"1", b"2"], None).await;
    let mut node = relay.node(1).await;
    node.ready(1).await;
    let offer = node.lease().await;
    let result = node.result(&offer, b"", 7);
    node.deliver(&result).await;
    until(|| async { json::<Leaders>(&relay, "/v1/leaders?span=all").await.count == 1 }).await;
    relay
}

#[tokio::test]
async fn the_stream_shows_what_was_settled() {
    let relay = worked().await;
    let mut stream = watch(&relay).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let live = event(&mut stream).await;
    assert_eq!(live.relay, relay.relay.key());
    assert_eq!(stream.headers()["x-accel-buffering"], "no");
    assert_eq!((live.tasks_settled, live.tasks_provisional, live.fuel), (1, 0, 7));
    assert!(live.complete);
    let [settled] = live.settled.as_slice() else { panic!("{live:?}") };
    assert_eq!((settled.fuel, settled.agree, settled.lost), (7, 1, 0));
    // A node that comes makes news.
    let online = live.nodes_online;
    let _other = relay.node(2).await;
    until(|| async {
        json::<serde_json::Value>(&relay, "/v1/network").await["nodes_online"] == online + 1
    })
    .await;
    let live = event(&mut stream).await;
    assert_eq!(live.nodes_online, online + 1);
    assert_eq!(live.kinds.iter().map(|kind| kind.nodes).sum::<u64>(), online + 1);
    drop(stream);
    relay.finish().await;
}

#[tokio::test]
async fn charts_and_leaderboards_follow_the_entries() {
    let relay = worked().await;
    for (span, moments) in [("hour", 60), ("day", 96), ("month", 90)] {
        let history: History = json(&relay, &format!("/v1/history?span={span}")).await;
        assert_eq!(history.moments.len(), moments, "{span}");
        assert!(history.complete);
        let sum = |of: fn(&grid_protocol::live::Moment) -> u64| {
            history.moments.iter().map(of).sum::<u64>()
        };
        assert_eq!(
            (sum(|m| m.receipts), sum(|m| m.settled), sum(|m| m.checked), sum(|m| m.fuel)),
            (1, 1, 0, 7)
        );
    }
    let all: Leaders = json(&relay, "/v1/leaders?span=all").await;
    for span in ["day", "week"] {
        let leaders: Leaders = json(&relay, &format!("/v1/leaders?span={span}")).await;
        assert_eq!(
            (&leaders.nodes, leaders.count, leaders.complete),
            (&all.nodes, 1, true),
            "{span}"
        );
    }
    let bad = [
        "/v1/history",
        "/v1/history?span=week",
        "/v1/history?span=x",
        "/v1/leaders?span=hour",
        "/v1/leaders?span=day&x=1",
    ];
    for path in bad {
        let answer = common::get(&format!("{}{path}", relay.owner.base)).await;
        assert_eq!(answer.status(), 400, "{path}");
    }
    // The same after a restart: it is read anew from the entries.
    let relay = relay.restart().await;
    let leaders: Leaders = json(&relay, "/v1/leaders?span=day").await;
    assert_eq!(leaders.nodes, all.nodes);
    let live = event(&mut watch(&relay).await).await;
    assert_eq!((live.tasks_settled, live.tasks_provisional, live.settled.len()), (1, 0, 1));
    relay.finish().await;
}

#[tokio::test]
async fn streams_are_bounded() {
    let relay = start_with(|config| config.trust.forwarded = true).await;
    let watch = async |path: &str, from: &str| {
        let request = http().get(format!("{}{path}", relay.owner.base));
        request.header("x-forwarded-for", from).send().await.unwrap()
    };
    let mut streams = Vec::new();
    for path in ["/v1/live", "/v1/network/live"].into_iter().cycle().take(8) {
        let stream = watch(path, "192.0.2.1").await;
        assert_eq!(stream.status(), 200);
        assert_eq!(stream.headers()["x-accel-buffering"], "no");
        streams.push(stream);
    }
    for path in ["/v1/live", "/v1/network/live"] {
        let refused = watch(path, "192.0.2.1").await;
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (503, &"2".parse().unwrap())
        );
        assert_eq!(watch(path, "192.0.2.2").await.status(), 200, "somebody else");
    }
    // Results are a stream, too.
    let job = relay.owner.submit_job(&[b"1"], None).await.id;
    let results = format!("{}/v1/jobs/{job}/results", relay.owner.base);
    let results = http().get(results).bearer_auth(&relay.owner.key).send().await.unwrap();
    assert_eq!(results.headers()["x-accel-buffering"], "no");
    streams.pop();
    until(|| async { watch("/v1/live", "192.0.2.1").await.status() == 200 }).await;
    drop(streams);
    relay.finish().await;
}
