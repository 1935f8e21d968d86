//! The OpenAPI document: valid, and true of a real relay. (What the other tests
//! ask is held against it too: `Owner::ask`.)

use crate::common::{DOCUMENT, Fixture, PATIENCE, http, start, until};
use futures_util::StreamExt as _;
use grid_protocol::{Digest, Files};
use grid_testing::document::{Answer, Described};
use jsonschema::Validator;
use reqwest::{Method, header};
use serde_json::Value;
use std::process::Command;
use tokio::time::timeout;

#[tokio::test]
async fn it_is_served_and_printed() {
    let relay = start().await;
    let (status, served) = relay.owner.get("/v1/openapi.json").await;
    assert_eq!(status, 200);
    let printed = Command::new(env!("CARGO_BIN_EXE_grid-relay")).arg("openapi").output().unwrap();
    assert!(printed.status.success());
    assert!(printed.stdout == served, "what is printed is not what is served");
    relay.finish().await;
}

#[test]
fn it_is_valid() {
    // The official schema of OpenAPI 3.1 documents.
    let meta = include_str!("../../../../tests/vectors/openapi-3.1.json");
    let meta = jsonschema::validator_for(&serde_json::from_str(meta).unwrap()).unwrap();
    let document: Value = serde_json::from_str(grid_relay::openapi()).unwrap();
    let wrong = |schema: &Validator, value: &Value| -> Vec<String> {
        schema.iter_errors(value).map(|error| format!("{error}")).collect()
    };
    assert_eq!(wrong(&meta, &document), [""; 0]);
    let mut broken = document.clone();
    broken["paths"]["/v1/jobs"]["get"]["responses"]["200"] = "fine".into();
    assert!(!meta.is_valid(&broken));
    // That one leaves out what is inside schemas.
    let schemas = jsonschema::draft202012::meta::validator();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert_eq!(wrong(&schemas, schema), [""; 0], "{name}");
    }
    let mut references = Vec::new();
    find_references(&document, &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let at = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(at).is_some(), "{reference} leads nowhere");
    }
}

fn find_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| find_references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| find_references(value, found)),
        _ => {}
    }
}

/// An address of this route, its names filled with things that there are not.
fn address(route: &Described) -> String {
    let operation = DOCUMENT.operation(route);
    let mut path = route.path.clone();
    for parameter in operation["parameters"].as_array().unwrap() {
        if parameter["in"] == "path" {
            let schema = match parameter["schema"]["$ref"].as_str() {
                Some(reference) => DOCUMENT.root().pointer(&reference[1..]).unwrap(),
                None => &parameter["schema"],
            };
            let value = match schema["pattern"].as_str() {
                // As many digits as are asked for.
                Some(pattern) => {
                    let digits = pattern.split(['{', '}']).nth(1).unwrap();
                    "0".repeat(digits.parse().unwrap())
                }
                None => "7".to_owned(),
            };
            let name = parameter["name"].as_str().unwrap();
            path = path.replace(&format!("{{{name}}}"), &value);
        }
    }
    path
}

/// Asks, reads what comes at once, and holds it against the document.
async fn ask(relay: &Fixture, method: &Method, path: &str, key: Option<&str>) -> u16 {
    let mut request = http().request(method.clone(), format!("{}{path}", relay.owner.base));
    if let Some(key) = key {
        request = request.header(header::AUTHORIZATION, key);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap());
    let body = match kind {
        // It has no end; an event has two line breaks at its.
        Some("text/event-stream") => {
            let mut stream = response.bytes_stream();
            let mut body = Vec::new();
            let event = async {
                while !body.ends_with(b"\n\n") {
                    body.extend_from_slice(&stream.next().await.unwrap().unwrap());
                }
            };
            timeout(PATIENCE, event).await.expect("no event came");
            assert!(body.starts_with(b"data:"), "{}", String::from_utf8_lossy(&body));
            body
        }
        _ => response.bytes().await.unwrap().to_vec(),
    };
    let answer = Answer { status, headers: &headers, body: &body };
    DOCUMENT.check_answer(method, path, answer).unwrap();
    status
}

/// Whatever routes there are: each is asked with every kind of key, with wrong
/// ones and with none, and by methods that it doesn't have.
#[tokio::test]
async fn every_route_answers_as_described() {
    let relay = start().await;
    let (dir, owner) = (relay.dir.path().to_owned(), format!("Bearer {}", relay.owner.key));
    let operator = move || grid_relay::add_operator(&dir, "eve").unwrap();
    let operator = format!("Bearer {}", tokio::task::spawn_blocking(operator).await.unwrap());
    // The right ones first: who comes with wrong ones has to wait.
    let keys = [
        (Some(operator.as_str()), "operator"),
        (Some(owner.as_str()), "owner"),
        (None, ""),
        (Some("Bearer grid_wrong"), ""),
        (Some("Lease 00:00"), ""),
        (Some("nonsense"), ""),
    ];
    let routes = DOCUMENT.routes();
    for (key, kind) in keys {
        for route in &routes {
            let path = address(route);
            let status = ask(&relay, &route.method, &path, key).await;
            let kinds = DOCUMENT.operation(route)["security"].as_array().unwrap();
            let known = kinds.is_empty() || kinds.iter().any(|one| one.get(kind).is_some());
            let refused = status == 401 || status == 429;
            assert_eq!(refused, !known, "{} {path} with {key:?}: {status}", route.method);
        }
    }
    for route in &routes {
        let path = address(route);
        for method in [Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE] {
            if !routes.iter().any(|other| other.method == method && other.path == route.path) {
                assert_eq!(ask(&relay, &method, &path, Some(&owner)).await, 405, "{method} {path}");
            }
        }
    }
    assert_eq!(ask(&relay, &Method::GET, "/v1/nothing", None).await, 404);
    relay.finish().await;
}

/// What anyone may read, pages of other origins may; what is for the operator
/// and for owners' own programs, they may not. With a key in a header nodes and
/// accounts are let in from their pages; no route reads cookies.
#[tokio::test]
async fn other_origins_read_what_is_public_and_nothing_else() {
    let relay = start().await;
    let mut open = Vec::new();
    for route in DOCUMENT.routes() {
        let operation = DOCUMENT.operation(&route);
        let said = operation["description"].as_str().unwrap().contains("any origin");
        let url = format!("{}{}", relay.owner.base, address(&route));
        for method in [route.method.clone(), Method::OPTIONS] {
            let asked =
                http().request(method.clone(), &url).header(header::ORIGIN, "https://a.example");
            let asked = asked.header("access-control-request-method", route.method.as_str());
            let answer = asked.header("access-control-request-headers", "authorization");
            let answer = answer.send().await.unwrap();
            let named = format!("{method} {}", route.path);
            let allowed = answer.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(allowed.is_some(), said, "{named}");
            assert!(allowed.is_none_or(|allowed| allowed == "*"), "{named}");
            let cookies = answer.headers().get(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
            assert!(cookies.is_none(), "{named}");
        }
        let kinds = operation["security"].as_array().unwrap();
        let public = route.method == Method::GET && kinds.is_empty();
        let own = kinds.iter().any(|kind| kind.get("lease").or(kind.get("account")).is_some());
        // A socket names its origin; the operator's tools and the widget's own
        // frames ask from where they are.
        let here = ["/v1/node", "/healthz", "/metrics"].contains(&route.path.as_str());
        assert_eq!(said, (public && !here) || own, "{} {}", route.method, route.path);
        open.extend(said.then_some(route.path));
    }
    for path in ["/v1/nodes/{key}", "/v1/receipts/{seq}", "/v1/leaders", "/v1/ledger", "/v1/live"] {
        assert!(open.iter().any(|open| open == path), "{path}");
    }
    relay.finish().await;
}

/// What the routes answer when there is something to answer.
#[tokio::test]
async fn a_job_is_as_described() {
    let relay = start().await;
    let owner = &relay.owner;
    let module = owner.submit_module().await;
    owner.get(&format!("/v1/modules/{}", module.source)).await;
    owner.get(&format!("/v1/modules/{}/admitted", module.source)).await;
    let input = Files::stdin(b"in".to_vec()).encode();
    let blob = format!("/v1/blobs/{}", Digest::of(&input));
    assert_eq!(owner.ask(Method::PUT, &blob, input).await.0, 204);
    assert_eq!(owner.get(&blob).await.0, 200);
    let job = owner.submit_job(&[b"one", b"two"], None).await;
    let mut node = relay.node(1).await;
    node.ready(2).await;
    let offers = [node.lease().await, node.lease().await];
    for offer in &offers {
        let path = format!("/v1/blobs/{}", module.admitted);
        let token = offer.token;
        let key = format!("Lease {}:{token}", offer.lease);
        assert_eq!(ask(&relay, &Method::GET, &path, Some(&key)).await, 200);
        let result = node.result(offer, b"out", 7);
        node.deliver(&result).await;
    }
    let id = job.id;
    until(async || owner.job(id).await.done == 2).await;
    let about = [
        "/v1/jobs".to_owned(),
        format!("/v1/jobs/{id}/tasks"),
        format!("/v1/jobs/{id}/results?follow=true"),
        format!("/v1/jobs/{id}/results?after=x"),
        format!("/v1/jobs/{id}/tasks/0/result"),
        format!("/v1/jobs/{id}/tasks/1/output"),
        format!("/v1/nodes/{}", node.key.public()),
        "/v1/points".to_owned(),
        "/v1/network".to_owned(),
        "/v1/history?span=hour".to_owned(),
        "/v1/leaders?span=day".to_owned(),
        "/v1/leaders?span=all".to_owned(),
        "/log/tile/0/000.p/1".to_owned(),
    ];
    for path in about {
        let status = if path.ends_with("=x") { 400 } else { 200 };
        assert_eq!(owner.get(&path).await.0, status, "{path}");
    }
    for path in ["/v1/live", "/v1/network/live"] {
        assert_eq!(ask(&relay, &Method::GET, path, None).await, 200);
    }
    assert_eq!(owner.ask(Method::POST, &format!("/v1/jobs/{id}/cancel"), "").await.0, 200);
    relay.finish().await;
}
