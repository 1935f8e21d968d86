//! Rules about crates from outside, as deny.toml states them: their licences
//! and where they come from.

use super::Finding;
use super::repository::Repository;

const POLICY: &str = "deny.toml";
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(super) fn licences(repository: &Repository) -> Vec<Finding> {
    let found = |advice: String| Finding { path: POLICY.to_owned(), line: 0, advice };
    let text = repository.files.get(POLICY).map_or("", String::as_str);
    let policy = text.parse::<toml::Table>().unwrap_or_default();
    let allowed: Vec<&str> = policy
        .get("licenses")
        .and_then(|licences| licences.get("allow")?.as_array())
        .map(|list| list.iter().filter_map(toml::Value::as_str).collect())
        .unwrap_or_default();
    if allowed.is_empty() {
        return vec![found("has no list `allow` in [licenses]".to_owned())];
    }
    let mut findings = Vec::new();
    for outside in &repository.outside {
        let name = &outside.name;
        if !permits(&outside.licence, &allowed) {
            let advice =
                format!("{name} is under {:?}: do without it, or allow it", outside.licence);
            findings.push(found(advice));
        }
        if outside.source != CRATES_IO {
            let advice = format!("{name} comes from {}: use what is published", outside.source);
            findings.push(found(advice));
        }
    }
    findings
}

/// Whether an SPDX expression can be met by these licences. AND binds tighter
/// than OR; old manifests write `/` for OR.
fn permits(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(&mut rest, allowed) == Some(true) && rest.is_empty()
}

fn either(words: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut good = both(words, allowed)?;
    while let [word, rest @ ..] = *words
        && *word == "OR"
    {
        *words = rest;
        good |= both(words, allowed)?;
    }
    Some(good)
}

fn both(words: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut good = one(words, allowed)?;
    while let [word, rest @ ..] = *words
        && *word == "AND"
    {
        *words = rest;
        good &= one(words, allowed)?;
    }
    Some(good)
}

fn one(words: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let good = either(words, allowed)?;
            *words = words.strip_prefix(&[")"])?;
            Some(good)
        }
        [licence, "WITH", exception, rest @ ..] => {
            *words = rest;
            Some(allowed.contains(&format!("{licence} WITH {exception}").as_str()))
        }
        [licence, rest @ ..] => {
            *words = rest;
            Some(allowed.contains(licence))
        }
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::repository::{Outside, sample};
    use super::*;

    #[test]
    fn expressions_are_read_as_spdx_says() {
        let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];
        for good in [
            "MIT",
            "GPL-3.0 OR MIT",
            "GPL-3.0/MIT",
            "MIT AND ISC",
            "GPL-3.0 AND X OR ISC",
            "(MIT OR GPL-3.0) AND ISC",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(permits(good, &allowed), "{good}");
        }
        for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0", "(MIT", "MIT ISC", "MIT OR"] {
            assert!(!permits(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn a_foreign_licence_or_source_is_found() {
        let mut repository = sample::files(&[(POLICY, "[licenses]\nallow = [\"MIT\"]\n")]);
        let outside = |licence: &str, source: &str| Outside {
            name: "novel".to_owned(),
            licence: licence.to_owned(),
            source: source.to_owned(),
        };
        repository.outside = vec![outside("MIT", CRATES_IO)];
        assert_eq!(licences(&repository), []);
        repository.outside = vec![outside("GPL-3.0", CRATES_IO)];
        assert_eq!(licences(&repository).len(), 1);
        repository.outside = vec![outside("MIT", "git+https://example.org/novel")];
        assert_eq!(licences(&repository).len(), 1);
        repository.files.clear();
        assert_eq!(licences(&repository).len(), 1, "no policy");
    }
}
