//! What the relay answered, read where it is shown. One type for every answer:
//! a type for each takes more code than the pages themselves, and what is
//! missing or of another kind is shown as nothing.

use serde_json::Value;

/// Reads members of an object.
pub trait Read {
    /// A whole number; 0 where there is none.
    fn number(&self, name: &str) -> u64;
    /// Text; empty where there is none.
    fn text(&self, name: &str) -> &str;
    /// True or false; false where there is none.
    fn flag(&self, name: &str) -> bool;
    /// A list; empty where there is none.
    fn list(&self, name: &str) -> &[Value];
}

impl Read for Value {
    fn number(&self, name: &str) -> u64 {
        self[name].as_u64().unwrap_or_default()
    }

    fn text(&self, name: &str) -> &str {
        self[name].as_str().unwrap_or_default()
    }

    fn flag(&self, name: &str) -> bool {
        self[name].as_bool().unwrap_or_default()
    }

    fn list(&self, name: &str) -> &[Value] {
        self[name].as_array().map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_there_is_nothing() {
        let value = json!({"n": 7, "t": "x", "f": true, "l": [1, 2]});
        assert_eq!((value.number("n"), value.text("t"), value.flag("f")), (7, "x", true));
        assert_eq!(value.list("l").len(), 2);
        for value in [json!({"n": "7", "t": 1, "f": "x", "l": {}}), json!(null), json!([1])] {
            assert_eq!((value.number("n"), value.text("t"), value.flag("f")), (0, "", false));
            assert!(value.list("l").is_empty());
        }
        assert_eq!(json!({"n": -1}).number("n"), 0);
        assert_eq!(json!({"n": u64::MAX}).number("n"), u64::MAX);
    }
}
