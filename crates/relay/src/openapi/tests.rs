//! The document against the router itself, and against docs/api.md.

use super::DOCUMENT;
use crate::error::Code;
use crate::{Config, Relay, api};
use axum::Router;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Method and path.
type Route = (String, String);

fn document() -> Value {
    serde_json::from_str(&DOCUMENT).unwrap()
}

fn operations(document: &Value) -> impl Iterator<Item = (Route, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations
            .map(|(method, operation)| ((method.to_ascii_uppercase(), path.clone()), operation))
    })
}

/// What the router says of itself: it has no list of its routes but in its
/// debug output, where each route's methods and each route's path stand under
/// the route's number.
fn routes(router: &Router) -> BTreeSet<Route> {
    let text = format!("{router:?}");
    let (text, _) = text.split_once("fallback_router").unwrap();
    let (mut methods, mut paths) = (BTreeMap::new(), BTreeMap::new());
    for part in text.split("RouteId(").skip(1) {
        let (number, rest) = part.split_once("): ").unwrap();
        if let Some(path) = rest.strip_prefix('"') {
            paths.insert(number.to_owned(), path.split('"').next().unwrap().to_owned());
        } else if let Some((_, allow)) = rest.split_once("allow_header: Bytes(b\"") {
            let allow = allow.split('"').next().unwrap();
            methods.insert(number.to_owned(), allow.to_owned());
        }
    }
    assert!(paths.len() > 30, "axum's debug output changed: {text}");
    let routes = paths.into_iter().flat_map(|(number, path)| {
        let any = "any method".to_owned();
        let methods = methods.get(&number).unwrap_or(&any);
        // What answers GET answers HEAD; OPTIONS is for who asks across origins.
        let methods = methods.split(',').filter(|method| !["HEAD", "OPTIONS"].contains(method));
        let path = path.replace("{*", "{");
        methods.map(|method| (method.to_owned(), path.clone())).collect::<Vec<_>>()
    });
    routes.collect()
}

#[tokio::test]
async fn what_is_served_is_described_and_what_is_described_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let relay = Relay::start(Config::for_test(dir.path())).await.unwrap();
    let mut served = routes(&api::router(relay.shared().clone()));
    for page in api::api().pages {
        assert!(served.remove(&("GET".into(), page.into())), "{page} is no page");
    }
    let document = document();
    let described: BTreeSet<_> = operations(&document).map(|(route, _)| route).collect();
    let only = |some: &BTreeSet<Route>, others| -> Vec<Route> {
        some.difference(others).cloned().collect()
    };
    assert_eq!(only(&served, &described), [], "served, and not described");
    assert_eq!(only(&described, &served), [], "described, and not served");
    relay.shutdown().await;
}

#[test]
fn each_operation_says_enough() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (route, operation) in operations(&document) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        assert!(ids.insert(text(&operation["operationId"])), "{route:?} has another's id");
        assert!(!text(&operation["summary"]).is_empty(), "{route:?} has no summary");
        for parameter in operation["parameters"].as_array().unwrap() {
            let words = text(&parameter["description"]);
            assert!(!words.is_empty(), "{route:?} doesn't say what {} is", parameter["name"]);
        }
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.as_str() < "400"), "{route:?} never answers");
    }
}

#[test]
fn each_path_is_in_the_docs() {
    let docs = include_str!("../../../../docs/api.md");
    for ((method, path), _) in operations(&document()) {
        assert!(docs.contains(&path), "docs/api.md doesn't say what {method} {path} is");
    }
}

#[test]
fn each_code_is_described() {
    let document = document();
    let docs = include_str!("../../../../docs/api.md");
    let answers = document["components"]["responses"].as_object().unwrap();
    for code in Code::ALL {
        let (status, name) = (code.status().as_u16(), code.name());
        let says = |key: &&String| key.split('.').any(|one| one == name);
        assert!(answers.keys().any(|key| says(&key)), "no answer has the code {name}");
        let row = format!("| {status} | `{name}` | ");
        assert!(docs.contains(&row), "docs/api.md has no row for {status} {name}");
    }
    for (status, name) in crate::openai::FAILURES {
        let row = |line: &&str| line.starts_with(&format!("| {status} | "));
        let named = docs.lines().filter(row).any(|line| line.contains(&format!("`{name}`")));
        assert!(named, "docs/api.md has no row for {status} {name}");
    }
}
