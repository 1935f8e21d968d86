//! A request's parameters, taken one by one: what is left over is refused by
//! name, for it would change the answer if it were ignored.

use super::failed::Failed;
use crate::store::ModelRow;
use axum::http::StatusCode;
use grid_protocol::infer::Work;
use rusqlite::Connection;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// Largest body of a request.
pub(crate) const MAX_BODY: usize = 4 << 20;

pub(crate) struct Params(Map<String, Value>);

impl Params {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Failed> {
        let bad = |why: String| Failed::new(StatusCode::BAD_REQUEST, "invalid_json", why);
        let mut map: Map<String, Value> =
            serde_json::from_slice(body).map_err(|error| bad(format!("not JSON: {error}")))?;
        map.retain(|_, value| !value.is_null());
        Ok(Self(map))
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    pub(crate) fn required(&mut self, name: &str) -> Result<Value, Failed> {
        self.take(name).ok_or_else(|| {
            let message = format!("you must give the parameter `{name}`");
            Failed::param(name, "missing_required_parameter", message)
        })
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<String, Failed> {
        match self.required(name)? {
            Value::String(text) => Ok(text),
            _ => Err(invalid(name, "a string")),
        }
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Failed> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(invalid(name, "true or false")),
        }
    }

    pub(crate) fn integer(
        &mut self,
        name: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Failed> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_u64().filter(|number| range.contains(number));
        let (least, most) = (range.start(), range.end());
        number.map(Some).ok_or_else(|| invalid(name, &format!("a number from {least} to {most}")))
    }

    /// A number from 0 to 2, in thousandths.
    pub(crate) fn thousandths(&mut self, name: &str) -> Result<Option<u32>, Failed> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_f64().filter(|number| (0.0..=2.0).contains(number));
        let number = number.ok_or_else(|| invalid(name, "a number from 0 to 2"))?;
        Ok(Some((number * 1000.0).round() as u32))
    }

    /// A parameter that isn't supported, but whose usual value changes nothing.
    pub(crate) fn only(&mut self, name: &str, usual: &Value, words: &str) -> Result<(), Failed> {
        match self.take(name) {
            Some(value) if !same(&value, usual) => {
                Err(Failed::param(name, "unsupported_value", format!("`{name}`: {words}")))
            }
            _ => Ok(()),
        }
    }

    /// Nothing else may be there.
    pub(crate) fn finish(self) -> Result<(), Failed> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => {
                let message = format!("this relay doesn't support the parameter `{name}`");
                Err(Failed::param(&name, "unsupported_parameter", message))
            }
        }
    }
}

fn same(value: &Value, usual: &Value) -> bool {
    value == usual || usual.as_f64().is_some_and(|usual| value.as_f64() == Some(usual))
}

pub(crate) fn invalid(name: &str, form: &str) -> Failed {
    Failed::param(name, "invalid_value", format!("`{name}` must be {form}"))
}

/// The model that a name or digest stands for.
pub(crate) fn find_model(
    db: &Connection,
    name: &str,
) -> Result<Option<ModelRow>, crate::store::StoreError> {
    match crate::store::model_named(db, name)? {
        Some(model) => Ok(Some(model)),
        None => match name.parse() {
            Ok(digest) => crate::store::model(db, digest),
            Err(_) => Ok(None),
        },
    }
}

/// Refuses a model that does something else.
pub(crate) fn check_work(model: &ModelRow, work: Work) -> Result<(), Failed> {
    if model.work == work {
        return Ok(());
    }
    let does = match model.work {
        Work::Embed => "makes embeddings and generates no text",
        Work::Generate => "generates text and makes no embeddings",
    };
    let message = format!("the model {:?} {does}", model.name);
    Err(Failed::param("model", "unsupported_value", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_left_over_is_refused_by_name() {
        let parse = |value: Value| Params::parse(value.to_string().as_bytes()).unwrap();
        assert!(parse(json!({"seed": null})).finish().is_ok());
        let refused = parse(json!({"logit_bias": {"7": 1}})).finish().unwrap_err().body();
        assert_eq!(refused["error"]["param"], "logit_bias");
        assert_eq!(refused["error"]["type"], "invalid_request_error");
        let mut params = parse(json!({"n": 1.0, "top_p": 0.5, "m": 7, "t": 0.7}));
        assert!(params.only("n", &json!(1), "").is_ok());
        assert!(params.only("top_p", &json!(1), "").is_err());
        assert!(params.integer("m", 1..=6).is_err());
        assert_eq!(params.thousandths("t").unwrap(), Some(700));
        assert!(Params::parse(b"[]").is_err());
    }
}
