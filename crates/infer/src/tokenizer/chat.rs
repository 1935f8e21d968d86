//! Conversations to prompts: the templates of the models that Grid knows, as
//! code. What a message says is text; only the template's own marks are
//! control tokens.

use super::{Kind, Specials, Tokenizer};
use thiserror::Error;

/// One message of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// `system`, `user` or `assistant`.
    pub role: &'a str,
    /// What it says.
    pub content: &'a str,
}

/// How a conversation becomes a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Template {
    /// The model knows no conversations.
    None = 0,
    /// `<|im_start|>ROLE\nCONTENT<|im_end|>\n`
    ChatMl = 1,
    /// The same; where no system message begins, SmolLM2's own does.
    SmolLm2 = 2,
    /// `<start_of_turn>ROLE\nCONTENT<end_of_turn>\n`, roles user and model.
    Gemma = 3,
}

impl Template {
    pub(super) fn from_code(code: u8) -> Option<Self> {
        [Self::None, Self::ChatMl, Self::SmolLm2, Self::Gemma].into_iter().nth(code.into())
    }

    /// The template that a model's Jinja text is, if it is one of these.
    pub fn recognise(jinja: &str) -> Self {
        if jinja.contains("<start_of_turn>") {
            Self::Gemma
        } else if jinja.contains(SMOLLM2) {
            Self::SmolLm2
        } else if jinja.contains("<|im_start|>") {
            Self::ChatMl
        } else {
            Self::None
        }
    }
}

/// What SmolLM2's template says when nobody says what the system is.
const SMOLLM2: &str = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";

/// Why a conversation can't be put to the model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChatError {
    /// The model has no template.
    #[error("this model knows no conversations, only prompts")]
    NoTemplate,
    /// The tokenizer misses a mark of the template.
    #[error("the model's vocabulary misses {0}")]
    Mark(&'static str),
    /// A role that the template doesn't have.
    #[error("a message's role is system, user or assistant, not {0:?}")]
    Role(String),
    /// Nothing to answer.
    #[error("a conversation needs a message")]
    Empty,
    /// Gemma wants user and assistant in turns, user first.
    #[error("roles must alternate: user, assistant, user, ...")]
    Turns,
}

impl Tokenizer {
    /// The prompt of a conversation: its tokens up to where the assistant
    /// speaks next.
    ///
    /// # Errors
    /// The model knows no conversations, or not this one's roles.
    pub fn chat(&self, messages: &[Message]) -> Result<Vec<u32>, ChatError> {
        if messages.is_empty() {
            return Err(ChatError::Empty);
        }
        let roles = ["system", "user", "assistant"];
        if let Some(other) = messages.iter().find(|message| !roles.contains(&message.role)) {
            return Err(ChatError::Role(other.role.chars().take(40).collect()));
        }
        match self.parts().template {
            Template::None => Err(ChatError::NoTemplate),
            Template::ChatMl => self.chatml(messages),
            Template::SmolLm2 => {
                let system = [Message { role: "system", content: SMOLLM2 }];
                let first: &[Message] = if messages[0].role == "system" { &[] } else { &system };
                self.chatml(&[first, messages].concat())
            }
            Template::Gemma => self.gemma(messages),
        }
    }

    fn mark(&self, text: &'static str) -> Result<u32, ChatError> {
        let tokens = self.encode(text, Specials::Parse);
        match tokens.as_slice() {
            [mark] if self.parts().kind(*mark) == Kind::Control => Ok(*mark),
            _ => Err(ChatError::Mark(text)),
        }
    }

    fn chatml(&self, messages: &[Message]) -> Result<Vec<u32>, ChatError> {
        let (start, end) = (self.mark("<|im_start|>")?, self.mark("<|im_end|>")?);
        let mut out = Vec::new();
        for Message { role, content } in messages {
            out.push(start);
            out.extend(self.encode(&format!("{role}\n{content}"), Specials::Text));
            out.push(end);
            out.extend(self.encode("\n", Specials::Text));
        }
        out.push(start);
        out.extend(self.encode("assistant\n", Specials::Text));
        Ok(out)
    }

    fn gemma(&self, messages: &[Message]) -> Result<Vec<u32>, ChatError> {
        let (start, end) = (self.mark("<start_of_turn>")?, self.mark("<end_of_turn>")?);
        // The system's words stand at the head of the first turn.
        let (system, turns) = match messages {
            [first, rest @ ..] if first.role == "system" => {
                (format!("{}\n\n", first.content), rest)
            }
            all => (String::new(), all),
        };
        let mut out: Vec<u32> = self.parts().begin.into_iter().collect();
        for (number, Message { role, content }) in turns.iter().enumerate() {
            if *role != ["user", "assistant"][number % 2] {
                return Err(ChatError::Turns);
            }
            let role = ["user", "model"][number % 2];
            let system = if number == 0 { &system } else { "" };
            out.push(start);
            let text = format!("{role}\n{system}{}", content.trim());
            out.extend(self.encode(&text, Specials::Text));
            out.push(end);
            out.extend(self.encode("\n", Specials::Text));
        }
        if turns.is_empty() {
            return Err(ChatError::Empty);
        }
        out.push(start);
        out.extend(self.encode("model\n", Specials::Text));
        Ok(out)
    }
}
