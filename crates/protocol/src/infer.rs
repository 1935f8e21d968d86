//! What a task of runtime `infer` reads on standard input and leaves on
//! standard output, as JSON. Relay, nodes, command line and clients share these
//! types; docs/api.md has the rest of the contract:
//!
//! - the spec's one argument says the [`Work`], its source is the model's
//!   digest, its seed is where sampling takes its randomness;
//! - a run that answers ends with exit code 0, its answer on standard output,
//!   and a check digest that is not zero;
//! - a request that the model can't take (too long, malformed) ends with exit
//!   code 1, the reason on standard error and a check digest of zero. That is
//!   an answer, too: every node gives it.

use serde::{Deserialize, Serialize};

/// The newest version of the arithmetic (docs/arithmetic.md).
pub const ARITHMETIC: u16 = 1;
/// Exit code of a request that the model can't take.
pub const REFUSED: u32 = 1;
/// Texts in one task of embeddings.
pub const MAX_TEXTS: usize = 16;
/// Most tokens that one task generates.
pub const MAX_TOKENS: u32 = 4_096;
/// Strings that end a generation, in number.
pub const MAX_STOPS: usize = 4;
/// Highest temperature, in thousandths.
pub const MAX_TEMPERATURE: u32 = 2_000;

/// What is done with the model: the spec's only argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// [`EmbedRequest`] to [`EmbedAnswer`].
    Embed,
    /// [`GenerateRequest`] to [`GenerateAnswer`].
    Generate,
}

impl Work {
    /// The argument.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::Generate => "generate",
        }
    }

    /// The work that an argument names.
    pub fn of(argument: &str) -> Option<Self> {
        [Self::Embed, Self::Generate].into_iter().find(|work| work.name() == argument)
    }
}

/// Texts to be embedded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedRequest {
    /// 1 to [`MAX_TEXTS`].
    pub texts: Vec<String>,
}

/// Their embeddings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedAnswer {
    /// One for each text, in order: base64 of little-endian f32, of length 1.
    pub embeddings: Vec<String>,
    /// Tokens of all texts together.
    pub tokens: u64,
}

/// A conversation or a text to go on with; exactly one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateRequest {
    /// The conversation so far, in the model's own template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    /// A text, without a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// 1 to [`MAX_TOKENS`].
    pub max_tokens: u32,
    /// In thousandths, 0 (the likeliest token each time) to
    /// [`MAX_TEMPERATURE`].
    #[serde(default)]
    pub temperature: u32,
    /// The text ends before the first of these, at most [`MAX_STOPS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
}

/// What someone said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// What.
    pub content: String,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Whoever wrote the rules.
    #[serde(alias = "developer")]
    System,
    /// Whoever asks.
    User,
    /// The model.
    Assistant,
}

/// What was generated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateAnswer {
    /// The text.
    pub text: String,
    /// Every token that was generated, in order.
    pub tokens: Vec<u32>,
    /// Why it ends.
    pub finish: Finish,
    /// Tokens of the prompt, its template included.
    pub prompt_tokens: u64,
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model ended it, or a stop string came.
    Stop,
    /// It has as many tokens as were asked for, or as the model can take.
    Length,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_is_what_the_docs_say() {
        let request: GenerateRequest = serde_json::from_str(
            r#"{"messages":[{"role":"developer","content":"Be short."}],"max_tokens":5}"#,
        )
        .unwrap();
        assert_eq!(
            serde_json::to_string(&request).unwrap(),
            r#"{"messages":[{"role":"system","content":"Be short."}],"max_tokens":5,"temperature":0}"#
        );
        let answer = GenerateAnswer {
            text: "Hi".into(),
            tokens: vec![7, 2],
            finish: Finish::Stop,
            prompt_tokens: 9,
        };
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"text":"Hi","tokens":[7,2],"finish":"stop","prompt_tokens":9}"#
        );
        assert!(serde_json::from_str::<EmbedRequest>(r#"{"texts":["a"],"more":1}"#).is_err());
        assert_eq!([Work::of("embed"), Work::of("sing")], [Some(Work::Embed), None]);
    }
}
