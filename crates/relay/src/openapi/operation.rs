//! What the document says of one route.

use crate::error::Code;
use crate::openai;
use axum::http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Makes a type's schema, or a reference to it.
pub(super) type Make = fn(&mut SchemaGenerator) -> Schema;

pub(super) fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Anyone,
    /// `Authorization: Bearer grid_...`
    Owner,
    /// That, or `Authorization: Lease LEASE:TOKEN`.
    OwnerOrLease,
    /// `Authorization: Account KEY:TIME:SIGNATURE`
    Account,
    /// `Authorization: Bearer gridop_...`
    Operator,
}

/// What a body holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    Nothing,
    /// `application/octet-stream`
    Bytes,
    /// Text of this media type.
    Text(&'static str),
    Json(Make),
    /// `application/x-ndjson`: one of these a line.
    Lines(Make),
    /// `text/event-stream`: one of these an event.
    Events(Make),
}

/// An answer that is no error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content: Content,
}

/// A route, in words. Made by [`op`].
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(super) summary: &'static str,
    pub(super) notes: &'static str,
    pub(super) who: Who,
    pub(super) query: Option<Make>,
    /// Of requests, beside `Authorization`: name, and what it asks for.
    pub(super) reads: Vec<(&'static str, &'static str)>,
    pub(super) body: Content,
    pub(super) answers: Vec<Answer>,
    /// Of answers that are no error: name, and what it says.
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) codes: Vec<Code>,
    /// Errors have OpenAI's shape, and may be these beside.
    pub(super) openai: Option<&'static [openai::Failure]>,
}

/// A route, by what it does or gives.
pub(crate) fn op(summary: &'static str) -> Operation {
    Operation {
        summary,
        notes: "",
        who: Who::Anyone,
        query: None,
        reads: Vec::new(),
        body: Content::Nothing,
        answers: Vec::new(),
        headers: Vec::new(),
        codes: Vec::new(),
        openai: None,
    }
}

impl Operation {
    /// What more there is to say.
    pub(crate) fn notes(self, notes: &'static str) -> Self {
        Self { notes, ..self }
    }

    pub(crate) fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    /// Its query may hold this type's fields.
    pub(crate) fn query<T: JsonSchema>(self) -> Self {
        // As it is, no reference: each field becomes a parameter.
        Self { query: Some(T::json_schema), ..self }
    }

    /// Requests may carry this header.
    pub(crate) fn reads_header(mut self, name: &'static str, words: &'static str) -> Self {
        self.reads.push((name, words));
        self
    }

    pub(crate) fn takes<T: JsonSchema>(self) -> Self {
        Self { body: Content::Json(schema::<T>), ..self }
    }

    pub(crate) fn takes_bytes(self) -> Self {
        Self { body: Content::Bytes, ..self }
    }

    pub(crate) fn gives<T: JsonSchema>(self) -> Self {
        self.answer(StatusCode::OK, Content::Json(schema::<T>))
    }

    pub(crate) fn creates<T: JsonSchema>(self) -> Self {
        self.answer(StatusCode::CREATED, Content::Json(schema::<T>))
    }

    pub(crate) fn gives_lines<T: JsonSchema>(self) -> Self {
        self.answer(StatusCode::OK, Content::Lines(schema::<T>))
    }

    pub(crate) fn gives_events<T: JsonSchema>(self) -> Self {
        self.answer(StatusCode::OK, Content::Events(schema::<T>))
    }

    pub(crate) fn gives_bytes(self) -> Self {
        self.answer(StatusCode::OK, Content::Bytes)
    }

    pub(crate) fn gives_text(self, media: &'static str) -> Self {
        self.answer(StatusCode::OK, Content::Text(media))
    }

    /// An answer without a body.
    pub(crate) fn says(self, status: StatusCode) -> Self {
        self.answer(status, Content::Nothing)
    }

    fn answer(mut self, status: StatusCode, content: Content) -> Self {
        self.answers.push(Answer { status, content });
        self
    }

    /// Answers that are no error carry this header.
    pub(crate) fn header(mut self, name: &'static str, words: &'static str) -> Self {
        self.headers.push((name, words));
        self
    }

    /// Errors beside those that follow from the rest.
    pub(crate) fn fails(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// Errors have OpenAI's shape; these beside those that follow from the rest.
    pub(crate) fn fails_as_openai(self, failures: &'static [openai::Failure]) -> Self {
        Self { openai: Some(failures), ..self }
    }

    /// Every code that an answer may have.
    pub(super) fn all_codes(&self, names_something: bool) -> Vec<Code> {
        let mut codes = self.codes.clone();
        codes.extend([Code::Internal, Code::StoreUnavailable]);
        if self.who != Who::Anyone {
            codes.push(Code::Unauthorized);
        }
        // OpenAI's API has a code of its own for what isn't there.
        if names_something && self.openai.is_none() {
            codes.push(Code::NotFound);
        }
        if self.query.is_some() {
            codes.push(Code::BadRequest);
        }
        if !matches!(self.body, Content::Nothing) {
            codes.extend([Code::BadRequest, Code::Timeout, Code::TooLarge, Code::Busy]);
        }
        codes
    }
}
