//! The document: OpenAPI 3.1, of the list of routes and of the Rust types.

use super::operation::{Answer, Content, Operation, Who};
use super::{Api, Described, Make, parameter};
use crate::error::Code;
use crate::openai::{Failed, Failure, FailureBody};
use axum::http::StatusCode;
use grid_protocol::api::ErrorBody;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// What every relay of this version serves.
pub(crate) static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| format!("{:#}\n", crate::api::api().document()));

const ABOUT: &str = "Grid's relay, for job owners, nodes and anyone who looks. \
    Digests, keys, signatures and ids are lower-case hexadecimal; fuel and sizes are whole \
    numbers; times are milliseconds since 1970-01-01 UTC. Every answer has \
    `Cache-Control: no-store` where nothing else is said, `X-Content-Type-Options: nosniff` and \
    `Referrer-Policy: no-referrer`. What answers GET answers HEAD. Any other address is \
    `404 not_found`, any other method `405 method_not_allowed`. The files of the relay's pages, \
    at `/` and below, are left out here.\n\n**Who may read what.** The operator and every node \
    that gets a task can read its module and input, and prompts. Don't submit what they must not \
    see.";

impl Api {
    pub(super) fn document(&self) -> Value {
        let mut writer = Writer::new();
        let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for described in &self.operations {
            let path = described.path.replace("{*", "{");
            let method = described.method.as_str().to_ascii_lowercase();
            paths.entry(path).or_default().insert(method, writer.operation(described));
        }
        // Of addresses and methods that there are not.
        writer.error(&[Code::NotFound]);
        writer.error(&[Code::MethodNotAllowed]);
        let (schemas, responses) = writer.finish();
        json!({
            "openapi": "3.1.1",
            "info": {
                "title": "Grid relay",
                "version": env!("CARGO_PKG_VERSION"),
                "description": ABOUT,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/", "description": "The relay that serves this document."}],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "responses": responses,
                "securitySchemes": {
                    "owner": {
                        "type": "http", "scheme": "bearer", "bearerFormat": "grid_...",
                        "description": "An owner's key, as the operator gave it.",
                    },
                    "account": {
                        "type": "apiKey",
                        "in": "header",
                        "name": "Authorization",
                        "description": "`Account KEY:TIME:SIGNATURE`, signed by the account over \
                            the bytes that docs/protocol.md gives (grid-account-request).",
                    },
                    "operator": {
                        "type": "http", "scheme": "bearer", "bearerFormat": "gridop_...",
                        "description": "A key that `grid-relay operator key new` made.",
                    },
                    "lease": {
                        "type": "apiKey", "in": "header", "name": "Authorization",
                        "description": "`Lease LEASE:TOKEN`, as the lease's offer named them; \
                            valid while the lease stands.",
                    },
                },
            },
        })
    }
}

/// Makes what routes share as it is needed.
struct Writer {
    /// Schemas of what is sent.
    answers: SchemaGenerator,
    /// Schemas of what is received.
    requests: SchemaGenerator,
    /// Error answers, by their codes.
    errors: Map<String, Value>,
}

impl Writer {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12()
            .with(|settings| settings.definitions_path = "/components/schemas".into());
        Self {
            answers: settings.clone().for_serialize().into_generator(),
            requests: settings.for_deserialize().into_generator(),
            errors: Map::new(),
        }
    }

    /// Schemas and error answers.
    fn finish(mut self) -> (Value, Value) {
        let mut schemas = self.requests.take_definitions(true);
        for (name, schema) in self.answers.take_definitions(true) {
            let same = schemas.get(&name).is_none_or(|other| *other == schema);
            debug_assert!(same, "{name} is not sent as it is received: call one otherwise");
            schemas.insert(name, schema);
        }
        let mut schemas = schemas.into();
        without_links(&mut schemas);
        (schemas, self.errors.into())
    }

    fn operation(&mut self, described: &Described) -> Value {
        let Described { method, path, operation, any_origin } = described;
        let mut notes = operation.notes.to_owned();
        if *any_origin {
            notes.push_str(" Answers pages of any origin (CORS).");
        }
        let names = path.split('/').filter_map(|segment| {
            Some(segment.strip_prefix('{')?.trim_end_matches('}').trim_start_matches('*'))
        });
        let mut parameters: Vec<Value> = names.map(|name| self.in_path(name)).collect();
        let names_something = !parameters.is_empty();
        if let Some(query) = operation.query {
            parameters.extend(self.in_query(query));
        }
        parameters.extend(operation.reads.iter().map(|(name, words)| {
            let schema = json!({"type": "string"});
            json!({"name": name, "in": "header", "description": words, "schema": schema})
        }));
        let mut answers: Map<String, Value> = Map::new();
        for answer in &operation.answers {
            let status = answer.status.as_str();
            let answer = self.answer(operation, answer);
            let known = answers.get_mut(status).and_then(|known| known.get_mut("content"));
            match (known, answer.get("content")) {
                // The same status in another form.
                (Some(Value::Object(forms)), Some(Value::Object(more))) => {
                    forms.extend(more.clone());
                }
                _ => drop(answers.insert(status.to_owned(), answer)),
            }
        }
        answers.extend(self.errors(operation, names_something));
        let mut value = json!({
            "operationId": operation_id(method.as_str(), path),
            "tags": [tag(path)],
            "summary": operation.summary,
            "description": notes.trim(),
            "security": security(operation.who),
            "parameters": parameters,
            "responses": answers,
        });
        if let Some(content) = self.content(operation.body, true) {
            value["requestBody"] = json!({"required": true, "content": content});
        }
        value
    }

    fn in_path(&mut self, name: &str) -> Value {
        let (make, words) = parameter(name).unwrap_or((super::schema::<String>, ""));
        json!({
            "name": name, "in": "path", "required": true, "description": words,
            "schema": make(&mut self.requests),
        })
    }

    fn in_query(&mut self, make: Make) -> Vec<Value> {
        let schema = make(&mut self.requests);
        let required = schema.get("required").and_then(Value::as_array).cloned();
        let required = required.unwrap_or_default();
        let fields = schema.get("properties").and_then(Value::as_object).cloned();
        let parameter = |(name, mut schema): (String, Value)| {
            let words = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            json!({
                "required": required.iter().any(|required| *required == name),
                "description": words, "name": name, "in": "query", "schema": schema,
            })
        };
        fields.unwrap_or_default().into_iter().map(parameter).collect()
    }

    fn content(&mut self, content: Content, request: bool) -> Option<Value> {
        let generator = if request { &mut self.requests } else { &mut self.answers };
        Some(match content {
            Content::Nothing => return None,
            Content::Bytes => json!({"application/octet-stream": {}}),
            Content::Text(media) => json!({media: {"schema": {"type": "string"}}}),
            Content::Json(make) => json!({"application/json": {"schema": make(generator)}}),
            Content::Lines(make) => json!({"application/x-ndjson": {
                "schema": {"type": "string", "description": "One `x-item-schema` a line."},
                "x-item-schema": make(generator),
            }}),
            Content::Events(make) => json!({"text/event-stream": {
                "schema": {"type": "string", "description": "One `x-item-schema` an event."},
                "x-item-schema": make(generator),
            }}),
        })
    }

    fn answer(&mut self, operation: &Operation, answer: &Answer) -> Value {
        let headers: Map<_, _> = operation.headers.iter().map(header).collect();
        let words = answer.status.canonical_reason().unwrap_or_default();
        let mut value = json!({"description": words, "headers": headers});
        if let Some(content) = self.content(answer.content, false) {
            value["content"] = content;
        }
        value
    }

    /// The error answers, by status.
    fn errors(&mut self, operation: &Operation, names_something: bool) -> Map<String, Value> {
        let codes = operation.all_codes(names_something);
        if let Some(failures) = operation.openai {
            return self.failures(&codes, failures);
        }
        let mut by_status: BTreeMap<StatusCode, BTreeSet<Code>> = BTreeMap::new();
        for code in codes {
            by_status.entry(code.status()).or_default().insert(code);
        }
        let error = |(status, codes): (StatusCode, BTreeSet<Code>)| {
            (status.as_str().to_owned(), self.error(&Vec::from_iter(codes)))
        };
        by_status.into_iter().map(error).collect()
    }

    /// A reference to an error answer with one of these codes of one status.
    fn error(&mut self, codes: &[Code]) -> Value {
        let name = codes.iter().map(|code| code.name()).collect::<Vec<_>>().join(".");
        let reference = json!({"$ref": format!("#/components/responses/{name}")});
        if self.errors.contains_key(&name) {
            return reference;
        }
        let words = codes.iter().map(|code| format!("`{}`: {}", code.name(), code.meaning()));
        let words = words.collect::<Vec<_>>().join("\n\n");
        let body = self.answers.subschema_for::<ErrorBody>();
        let content = with_codes(&body, codes.iter().map(|code| code.name()));
        let mut answer = json!({"description": words, "content": content});
        let header = match codes.first().map(|code| code.status()) {
            Some(StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) => {
                Some(RETRY_AFTER)
            }
            Some(StatusCode::UNAUTHORIZED) => Some(("WWW-Authenticate", "`Bearer`")),
            _ => None,
        };
        if let Some(always) = header {
            answer["headers"] = always_there(always);
        }
        self.errors.insert(name, answer);
        reference
    }

    /// The same in OpenAI's shape.
    fn failures(&mut self, codes: &[Code], failures: &[Failure]) -> Map<String, Value> {
        let mut by_status: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
        let mapped = codes.iter().map(|code| Failed::from(code.because("")).parts());
        for (status, code) in mapped.chain(failures.iter().copied()) {
            by_status.entry(status).or_default().insert(code);
        }
        let failure = |(status, codes): (u16, BTreeSet<&str>)| {
            let words = codes.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>();
            let body = self.answers.subschema_for::<FailureBody>();
            let content = with_codes(&body, codes.into_iter());
            let mut answer = json!({"description": words.join(", "), "content": content});
            if status == StatusCode::SERVICE_UNAVAILABLE.as_u16() {
                answer["headers"] = always_there(RETRY_AFTER);
            }
            (status.to_string(), answer)
        };
        by_status.into_iter().map(failure).collect()
    }
}

const RETRY_AFTER: (&str, &str) = ("Retry-After", "Seconds after which to try again.");

fn header((name, words): &(&str, &str)) -> (String, Value) {
    ((*name).to_owned(), json!({"description": words, "schema": {"type": "string"}}))
}

fn always_there((name, words): (&str, &str)) -> Value {
    json!({name: {"description": words, "required": true, "schema": {"type": "string"}}})
}

/// An error's body, with one of these codes.
fn with_codes<'a>(body: &Schema, codes: impl Iterator<Item = &'a str>) -> Value {
    let codes: Vec<_> = codes.collect();
    let narrower = json!({"properties": {"error": {"properties": {"code": {"enum": codes}}}}});
    json!({"application/json": {"schema": {"allOf": [body, narrower]}}})
}

fn security(who: Who) -> Value {
    match who {
        Who::Anyone => json!([]),
        Who::Owner => json!([{"owner": []}]),
        Who::OwnerOrLease => json!([{"owner": []}, {"lease": []}]),
        Who::Account => json!([{"account": []}]),
        Who::Operator => json!([{"operator": []}]),
    }
}

/// `GET /v1/jobs/{id}/tasks`: `getJobsByIdTasks`.
fn operation_id(method: &str, path: &str) -> String {
    let mut id = method.to_ascii_lowercase();
    for segment in path.split('/').filter(|segment| !segment.is_empty() && *segment != "v1") {
        let (by, name) = match segment.strip_prefix('{') {
            Some(name) => ("By", name.trim_matches(['*', '}'])),
            None => ("", segment),
        };
        let mut letters = name.chars().filter(char::is_ascii_alphanumeric);
        id.push_str(by);
        id.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        id.extend(letters);
    }
    id
}

/// What it is about: the first name in the path.
fn tag(path: &str) -> &str {
    path.split('/').find(|segment| !segment.is_empty() && *segment != "v1").unwrap_or("relay")
}

/// Links of rustdoc lead nowhere here.
fn without_links(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(words) if name == "description" => {
                        *words = words.replace("[`", "`").replace("`]", "`");
                    }
                    value => without_links(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(without_links),
        _ => {}
    }
}
