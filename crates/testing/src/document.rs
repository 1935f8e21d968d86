//! Holds a relay's answers against its OpenAPI document.

use anyhow::{Context as _, Result, bail, ensure};
use jsonschema::Validator;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// An OpenAPI document, read strictly: an answer may hold nothing that isn't
/// described.
pub struct Document {
    root: Value,
    /// By the place in the document.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// A route that the document describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its method.
    pub method: Method,
    /// Its path, names in braces.
    pub path: String,
    /// Where the document describes it (RFC 6901).
    at: String,
}

/// What came back.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, or what was read of a stream.
    pub body: &'a [u8],
}

impl Document {
    /// Reads a document.
    pub fn new(json: &str) -> Result<Self> {
        let mut root: Value = serde_json::from_str(json)?;
        let schemas = root.pointer_mut("/components/schemas").context("no schemas")?;
        close(schemas);
        Ok(Self { root, validators: Mutex::default() })
    }

    /// The document, with nothing left open.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// Every route.
    pub fn routes(&self) -> Vec<Described> {
        let paths = self.root["paths"].as_object().into_iter().flatten();
        let routes = paths.flat_map(|(path, item)| {
            METHODS.into_iter().filter(|method| item.get(method).is_some()).map(|method| {
                Described {
                    method: method.to_ascii_uppercase().parse().unwrap_or_default(),
                    path: path.clone(),
                    at: format!("/paths/{}/{method}", escaped(path)),
                }
            })
        });
        routes.collect()
    }

    /// What it says of a route.
    pub fn operation(&self, route: &Described) -> &Value {
        self.root.pointer(&route.at).unwrap_or(&Value::Null)
    }

    /// The route that answers this; a query is left out of the path.
    pub fn route(&self, method: &Method, path: &str) -> Option<Described> {
        let path = path.split('?').next().unwrap_or_default();
        let asked = |route: &Described| route.method == *method && matches(&route.path, path);
        // Of two, the one with fewer names in it is meant.
        let names = |route: &Described| route.path.matches('{').count();
        self.routes().into_iter().filter(asked).min_by_key(names)
    }

    /// Does this answer to a request fit what is described?
    ///
    /// An address or a method that isn't described may have the errors for
    /// that, and nothing else.
    pub fn check_answer(&self, method: &Method, path: &str, answer: Answer<'_>) -> Result<()> {
        let fits = match self.route(method, path) {
            Some(route) => self.fits(&format!("{}/responses/{}", route.at, answer.status), answer),
            None => {
                let name = match answer.status {
                    404 => "not_found",
                    405 => "method_not_allowed",
                    other => bail!("{method} {path} is not described, and answers {other}"),
                };
                self.fits(&format!("/components/responses/{name}"), answer)
            }
        };
        let body = || String::from_utf8_lossy(answer.body).chars().take(2_000).collect::<String>();
        fits.with_context(|| format!("{method} {path}: {} {}", answer.status, body()))
    }

    /// Does this request's body fit what is described? Asked of those that were
    /// taken.
    pub fn check_request(&self, method: &Method, path: &str, body: &[u8]) -> Result<()> {
        let Some(route) = self.route(method, path) else { return Ok(()) };
        let at = format!("{}/requestBody/content/application~1json/schema", route.at);
        if self.root.pointer(&at).is_none() {
            return Ok(());
        }
        self.valid(&at, &serde_json::from_slice(body)?)
            .with_context(|| format!("the body of {method} {path}"))
    }

    fn fits(&self, at: &str, answer: Answer<'_>) -> Result<()> {
        let described = self.root.pointer(at).context("this status is not described")?;
        let (at, described) = match described["$ref"].as_str() {
            Some(reference) => {
                let at = reference.trim_start_matches('#');
                (at, self.root.pointer(at).context("the reference leads nowhere")?)
            }
            None => (at, described),
        };
        for (name, header) in described["headers"].as_object().into_iter().flatten() {
            let there = answer.headers.contains_key(name);
            ensure!(there || header["required"] != true, "there is no header {name}");
        }
        let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
        let Some(contents) = described["content"].as_object() else {
            ensure!(answer.body.is_empty(), "a body that is not described");
            return Ok(());
        };
        ensure!(contents.contains_key(kind), "a body of type {kind:?}");
        let at = format!("{at}/content/{}", escaped(kind));
        let text = || std::str::from_utf8(answer.body).context("not UTF-8");
        match kind {
            "application/json" => {
                self.valid(&format!("{at}/schema"), &serde_json::from_slice(answer.body)?)
            }
            "application/x-ndjson" => self.all_valid(&at, text()?.lines()),
            "text/event-stream" => {
                let data = text()?.lines().filter_map(|line| line.strip_prefix("data:"));
                self.all_valid(&at, data.map(str::trim).filter(|data| *data != "[DONE]"))
            }
            _ => Ok(()),
        }
    }

    fn all_valid<'a>(&self, at: &str, items: impl Iterator<Item = &'a str>) -> Result<()> {
        for item in items {
            self.valid(&format!("{at}/x-item-schema"), &serde_json::from_str(item)?)?;
        }
        Ok(())
    }

    fn valid(&self, at: &str, value: &Value) -> Result<()> {
        let validator = self.validator(at)?;
        let wrong = validator.iter_errors(value);
        let wrong = wrong.map(|error| {
            let words: String = error.to_string().chars().take(500).collect();
            format!("{words} at {:?}", error.instance_path().as_str())
        });
        let wrong: Vec<_> = wrong.collect();
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    }

    fn validator(&self, at: &str) -> Result<Arc<Validator>> {
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = validators.get(at) {
            return Ok(known.clone());
        }
        // References in it are from the document's root. One is a URI, which has
        // no braces.
        let reference = format!("#{at}").replace('{', "%7B").replace('}', "%7D");
        let schema = Map::from_iter([
            ("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into()),
            ("$ref".to_owned(), reference.into()),
            ("paths".to_owned(), self.root["paths"].clone()),
            ("components".to_owned(), self.root["components"].clone()),
        ]);
        let validator = Arc::new(jsonschema::validator_for(&schema.into())?);
        validators.insert(at.to_owned(), validator.clone());
        Ok(validator)
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

/// Objects whose fields are described have no others.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("type").is_some_and(|kind| kind == "object")
                && fields.contains_key("properties")
            {
                fields.entry("additionalProperties").or_insert(false.into());
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

/// As a part of a JSON pointer.
fn escaped(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

/// Is this path one of these? `{rest}` at the end may hold slashes.
fn matches(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some("{rest}"), Some(_)) => return true,
            (Some(name), Some(part)) if name.starts_with('{') && !part.is_empty() => {}
            (Some(name), Some(part)) if name == part => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Document {
        let thing = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        let json = |schema: Value| json!({"content": {"application/json": {"schema": schema}}});
        let root = json!({
            "paths": {
                "/things/{id}": {"get": {"responses": {
                    "200": json(json!({"$ref": "#/components/schemas/Thing"})),
                    "503": {"headers": {"Retry-After": {"required": true}}},
                    "204": {},
                }}},
                "/things/all": {"get": {"responses": {"200": {"content": {
                    "application/x-ndjson": {
                        "x-item-schema": {"$ref": "#/components/schemas/Thing"},
                    },
                }}}}},
            },
            "components": {
                "schemas": {"Thing": thing},
                "responses": {"not_found": json(json!({"required": ["error"]}))},
            },
        });
        Document::new(&root.to_string()).unwrap()
    }

    fn check(path: &str, status: u16, kind: &str, body: &str) -> bool {
        let headers = [(CONTENT_TYPE, kind.parse().unwrap())].into_iter().collect();
        let answer = Answer { status, headers: &headers, body: body.as_bytes() };
        document().check_answer(&Method::GET, path, answer).is_ok()
    }

    #[test]
    fn what_is_described_fits_and_nothing_else() {
        let json = "application/json";
        assert!(check("/things/7", 200, json, r#"{"n": 1}"#));
        assert!(check("/things/7?deep=1", 200, json, "{}"));
        assert!(!check("/things/7", 200, json, r#"{"n": "1"}"#));
        assert!(!check("/things/7", 200, json, r#"{"n": 1, "m": 2}"#), "an unknown field");
        assert!(!check("/things/7", 200, "text/plain", "{}"), "another type");
        assert!(!check("/things/7", 201, json, "{}"), "another status");
        assert!(!check("/things/7", 503, json, ""), "a header is missing");
        assert!(check("/things/7", 204, "", ""));
        assert!(!check("/things/7", 204, "", "x"));
    }

    #[test]
    fn lines_are_checked_one_by_one() {
        let lines = |body| check("/things/all", 200, "application/x-ndjson", body);
        assert!(lines("{\"n\": 1}\n{\"n\": 2}\n"));
        assert!(!lines("{\"n\": 1}\n{\"n\": null}\n"));
    }

    #[test]
    fn elsewhere_there_is_nothing() {
        assert!(check("/other", 404, "application/json", r#"{"error": 1}"#));
        assert!(!check("/other", 404, "application/json", "{}"));
        assert!(!check("/other", 200, "application/json", "{}"));
        assert!(!check("/things/7/more", 200, "application/json", "{}"));
    }
}
