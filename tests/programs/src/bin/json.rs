//! JSON: parses a document with serde_json, changes it, and prints it.

use serde_json::{Value, json};
use std::process::ExitCode;
use task_programs::{Random, run, text};

fn document() -> String {
    let mut random = Random::new(4);
    let words = text(5, 4096);
    let mut words = words.split_whitespace().cycle();
    let mut word = || words.next().unwrap_or("none");
    let people: Vec<Value> = (0..600)
        .map(|id| {
            json!({
                "id": id,
                "name": format!("{} \"{}\" ü", word(), word()),
                "score": random.unit() * 1e6,
                "tags": [word(), word(), word()],
                "active": random.below(2) == 0,
                "place": {"x": i64::from(random.below(2000)) - 1000, "y": null},
            })
        })
        .collect();
    Value::Array(people).to_string()
}

fn main() -> ExitCode {
    run("json", document, |document, round, checksum| {
        let Ok(Value::Array(mut people)) = serde_json::from_str(document) else {
            panic!("the document is no list");
        };
        let turn = round as usize % people.len();
        people.rotate_left(turn);
        for person in &mut people {
            if let Some(score) = person["score"].as_f64() {
                person["score"] = json!(score + 0.5);
            }
        }
        checksum.bytes(Value::Array(people).to_string().as_bytes());
    })
}
