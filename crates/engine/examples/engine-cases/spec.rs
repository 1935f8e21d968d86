//! The WebAssembly core tests: a script for each file. What a file asserts is
//! checked here on wasmtime; the pages then compare with wasmtime, bit by bit.

use crate::machine::{self, Ended};
use crate::pack::Pack;
use crate::script::{Outcome, Script};
use crate::watch::Watch;
use crate::wrapper::{Call, Constant, SLOT};
use anyhow::{Context, Result, anyhow, bail};
use grid_sandbox::admission::instrument_open;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use wasmtime::Engine;
use wast::core::{NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::{Id, Span};
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};

/// Fuel that an instance of the core tests may use: plenty.
const FUEL: u64 = 1 << 40;

/// Every assertion of a file is in one of these.
#[derive(Debug, Default)]
struct Count {
    /// Holds in wasmtime, and is checked in the pages.
    held: usize,
    /// Holds because admission refuses the module.
    refused: usize,
    /// About a module that admission refuses, by the reason.
    not_run: BTreeMap<String, usize>,
}

/// A name for an instance: its number, or why there is none.
type Named = std::result::Result<usize, String>;

/// What a call must give.
enum Expectation<'a> {
    /// Anything, the same everywhere: it is no assertion.
    Any,
    Returns(Vec<WastRet<'a>>),
    Ends(Ended),
}

struct File<'a> {
    text: &'a str,
    script: Script,
    /// The last instance, and those with a name.
    current: Named,
    named: HashMap<String, Named>,
    definitions: HashMap<String, std::result::Result<Vec<u8>, String>>,
    /// Calls not made yet: one wrapper makes many.
    waiting: Vec<(String, Call, Expectation<'a>)>,
    count: Count,
}

/// Makes a script of each file.
pub(crate) fn make(files: &[PathBuf], watch: &Watch, pack: &mut Pack) -> Result<()> {
    let engine = machine::engine()?;
    let (mut held, mut refused) = (0, 0);
    let mut not_run = serde_json::Map::new();
    for path in files {
        watch.runs(name(path));
        let count = file(&engine, path, pack).with_context(|| path.display().to_string())?;
        held += count.held;
        refused += count.refused;
        if !count.not_run.is_empty() {
            not_run.insert(name(path), json!(count.not_run));
        }
    }
    pack.summary("held", held);
    pack.summary("refused", refused);
    pack.summary("not_run", not_run);
    Ok(())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn file(engine: &Engine, path: &Path, pack: &mut Pack) -> Result<Count> {
    let text = std::fs::read_to_string(path)?;
    let mut lexer = Lexer::new(&text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer)?;
    let wast: Wast<'_> = parser::parse(&buffer)?;
    let mut file = File {
        text: &text,
        script: Script::new(engine, FUEL)?,
        current: Err("there is no module yet".to_owned()),
        named: HashMap::new(),
        definitions: HashMap::new(),
        waiting: Vec::new(),
        count: Count::default(),
    };
    for directive in wast.directives {
        let at = file.line(directive.span());
        file.directive(pack, directive).with_context(|| at)?;
    }
    file.make_calls(pack)?;
    file.script.finish(pack, &name(path))?;
    Ok(file.count)
}

impl<'a> File<'a> {
    fn line(&self, span: Span) -> String {
        format!("line {}", span.linecol_in(self.text).0 + 1)
    }

    fn directive(&mut self, pack: &mut Pack, directive: WastDirective<'a>) -> Result<()> {
        let at = self.line(directive.span());
        if !is_call(&directive) {
            self.make_calls(pack)?;
        }
        match directive {
            WastDirective::Module(mut module) => {
                let bytes = instrument(&module.encode()?);
                let made = self.instantiate(pack, at, bytes, Ended::Exit)?;
                self.name(module.name(), made);
            }
            WastDirective::ModuleDefinition(mut module) => {
                let bytes = instrument(&module.encode()?);
                let name = module.name().map_or("", |id| id.name());
                self.definitions.insert(name.to_owned(), bytes);
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let name = module.map_or("", |id| id.name());
                let bytes = self.definitions.get(name).cloned().context("no such definition")?;
                let made = self.instantiate(pack, at, bytes, Ended::Exit)?;
                self.name(instance, made);
            }
            WastDirective::Register { name, module, .. } => {
                if let Ok(instance) = self.instance(module)? {
                    self.script.register(name, instance);
                }
            }
            WastDirective::Invoke(call) => self.call(at, call, Expectation::Any)?,
            WastDirective::AssertReturn { exec, results, .. } => {
                let expect = Expectation::Returns(results);
                match exec {
                    WastExecute::Invoke(call) => self.call(at, call, expect)?,
                    WastExecute::Get { module, global, .. } => {
                        self.wait(at, module, global, Vec::new(), expect)?;
                    }
                    WastExecute::Wat(_) => bail!("a module returns nothing"),
                }
            }
            WastDirective::AssertTrap { exec, .. } => match exec {
                WastExecute::Invoke(call) => {
                    self.call(at, call, Expectation::Ends(Ended::Trap))?;
                }
                WastExecute::Wat(mut module) => {
                    let bytes = instrument(&module.encode()?);
                    self.failing(pack, at, bytes, Ended::Trap)?;
                }
                WastExecute::Get { .. } => bail!("reading a global never traps"),
            },
            WastDirective::AssertExhaustion { call, .. } => {
                self.call(at, call, Expectation::Ends(Ended::Stack))?;
            }
            WastDirective::AssertUnlinkable { mut module, .. } => {
                let bytes = instrument(&module.encode()?);
                self.failing(pack, at, bytes, Ended::Link)?;
            }
            WastDirective::AssertInvalid { module, .. }
            | WastDirective::AssertMalformed { module, .. } => self.refuses(module)?,
            other => bail!("{other:?} is not for task modules"),
        }
        Ok(())
    }

    /// Admission, or the parser of the text before it, takes no such module.
    fn refuses(&mut self, mut module: QuoteWat<'a>) -> Result<()> {
        if let Ok(bytes) = module.encode()
            && instrument(&bytes).is_ok()
        {
            bail!("admission takes an invalid module");
        }
        self.count.refused += 1;
        Ok(())
    }

    fn instantiate(
        &mut self,
        pack: &mut Pack,
        at: String,
        bytes: std::result::Result<Vec<u8>, String>,
        expect: Ended,
    ) -> Result<Named> {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(reason) => return Ok(Err(reason)),
        };
        let (ended, number) = self.script.instantiate(pack, at, &bytes)?;
        if ended != expect {
            bail!("instantiating: {ended}");
        }
        Ok(number.ok_or_else(|| ended.to_string()))
    }

    /// An assertion that a module can't be instantiated.
    fn failing(
        &mut self,
        pack: &mut Pack,
        at: String,
        bytes: std::result::Result<Vec<u8>, String>,
        expect: Ended,
    ) -> Result<()> {
        if let Err(reason) = &bytes {
            *self.count.not_run.entry(reason.clone()).or_default() += 1;
            return Ok(());
        }
        self.instantiate(pack, at, bytes, expect)?.err();
        self.count.held += 1;
        Ok(())
    }

    fn name(&mut self, id: Option<Id<'_>>, made: Named) {
        if let Some(id) = id {
            self.named.insert(id.name().to_owned(), made.clone());
        }
        self.current = made;
    }

    fn instance(&self, id: Option<Id<'_>>) -> Result<Named> {
        match id {
            None => Ok(self.current.clone()),
            Some(id) => {
                self.named.get(id.name()).cloned().with_context(|| format!("no {}", id.name()))
            }
        }
    }

    fn call(&mut self, at: String, call: WastInvoke<'a>, expect: Expectation<'a>) -> Result<()> {
        let args = call.args.into_iter().map(constant).collect::<Result<_>>()?;
        self.wait(at, call.module, call.name, args, expect)
    }

    fn wait(
        &mut self,
        at: String,
        module: Option<Id<'a>>,
        export: &str,
        args: Vec<Constant>,
        expect: Expectation<'a>,
    ) -> Result<()> {
        match self.instance(module)? {
            Ok(instance) => {
                let call = Call { instance, export: export.to_owned(), args };
                self.waiting.push((at, call, expect));
            }
            Err(reason) => {
                if !matches!(expect, Expectation::Any) {
                    *self.count.not_run.entry(reason).or_default() += 1;
                }
            }
        }
        Ok(())
    }

    fn make_calls(&mut self, pack: &mut Pack) -> Result<()> {
        let (mut calls, mut expectations) = (Vec::new(), Vec::new());
        for (at, call, expect) in self.waiting.drain(..) {
            expectations.push((at.clone(), expect));
            calls.push((at, call));
        }
        let outcomes = self.script.calls(pack, calls)?;
        for ((at, expect), outcome) in expectations.into_iter().zip(outcomes) {
            check(&expect, &outcome).with_context(|| at)?;
            self.count.held += usize::from(!matches!(expect, Expectation::Any));
        }
        Ok(())
    }
}

fn is_call(directive: &WastDirective<'_>) -> bool {
    match directive {
        WastDirective::Invoke(_) | WastDirective::AssertExhaustion { .. } => true,
        WastDirective::AssertReturn { exec, .. } | WastDirective::AssertTrap { exec, .. } => {
            !matches!(exec, WastExecute::Wat(_))
        }
        _ => false,
    }
}

/// The admitted module, or why it is refused: without function and offset, so
/// that equal reasons are counted together.
fn instrument(source: &[u8]) -> std::result::Result<Vec<u8>, String> {
    instrument_open(source).map_err(|error| error.reason.to_string())
}

fn constant(arg: WastArg<'_>) -> Result<Constant> {
    let WastArg::Core(arg) = arg else { bail!("an argument of a component") };
    Ok(match arg {
        WastArgCore::I32(value) => Constant::I32(value),
        WastArgCore::I64(value) => Constant::I64(value),
        WastArgCore::F32(value) => Constant::F32(value.bits),
        WastArgCore::F64(value) => Constant::F64(value.bits),
        WastArgCore::V128(value) => Constant::V128(i128::from_le_bytes(value.to_le_bytes())),
        WastArgCore::RefNull(_) => Constant::NullFunction,
        // Modules that take one are refused, so no call gets that far.
        WastArgCore::RefExtern(_) | WastArgCore::RefHost(_) => Constant::NullFunction,
    })
}

fn check(expect: &Expectation<'_>, outcome: &Outcome) -> Result<()> {
    match expect {
        Expectation::Any => Ok(()),
        Expectation::Ends(ended) if outcome.ended == *ended => Ok(()),
        Expectation::Ends(ended) => bail!("{}, not: {ended}", outcome.ended),
        Expectation::Returns(results) => {
            let fits = outcome.ended == Ended::Exit
                && results.len() == outcome.results.len()
                && results.iter().zip(&outcome.results).all(|(wanted, (_, slot))| match wanted {
                    WastRet::Core(wanted) => matches(wanted, slot),
                    _ => false,
                });
            if fits {
                return Ok(());
            }
            Err(anyhow!("{} with {:x?}, not {results:?}", outcome.ended, outcome.results))
        }
    }
}

fn matches(wanted: &WastRetCore<'_>, slot: &[u8; SLOT]) -> bool {
    let low = u64::from_le_bytes(slot[..8].try_into().expect("half of a slot"));
    match wanted {
        WastRetCore::I32(value) => low as i32 == *value,
        WastRetCore::I64(value) => low.cast_signed() == *value,
        WastRetCore::F32(pattern) => matches_f32(pattern, low as u32),
        WastRetCore::F64(pattern) => matches_f64(pattern, low),
        WastRetCore::V128(pattern) => matches_v128(pattern, slot),
        WastRetCore::RefNull(_) => low == 1,
        WastRetCore::RefFunc(_) => low == 0,
        WastRetCore::Either(choices) => choices.iter().any(|choice| matches(choice, slot)),
        _ => false,
    }
}

fn matches_f32(pattern: &NanPattern<wast::token::F32>, bits: u32) -> bool {
    match pattern {
        NanPattern::Value(value) => value.bits == bits,
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
    }
}

fn matches_f64(pattern: &NanPattern<wast::token::F64>, bits: u64) -> bool {
    const QUIET: u64 = 0x7ff8_0000_0000_0000;
    match pattern {
        NanPattern::Value(value) => value.bits == bits,
        NanPattern::CanonicalNan => bits & (u64::MAX >> 1) == QUIET,
        NanPattern::ArithmeticNan => bits & QUIET == QUIET,
    }
}

fn matches_v128(pattern: &V128Pattern, slot: &[u8; SLOT]) -> bool {
    let words = slot.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
    let doubles = slot.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
    match pattern {
        V128Pattern::I8x16(lanes) => {
            lanes.iter().zip(slot).all(|(lane, byte)| *lane as u8 == *byte)
        }
        V128Pattern::I16x8(lanes) => {
            lanes.iter().flat_map(|lane| lane.to_le_bytes()).eq(slot.iter().copied())
        }
        V128Pattern::I32x4(lanes) => lanes.iter().map(|lane| lane.cast_unsigned()).eq(words),
        V128Pattern::I64x2(lanes) => lanes.iter().map(|lane| lane.cast_unsigned()).eq(doubles),
        V128Pattern::F32x4(lanes) => lanes.iter().zip(words).all(|(lane, w)| matches_f32(lane, w)),
        V128Pattern::F64x2(lanes) => {
            lanes.iter().zip(doubles).all(|(lane, w)| matches_f64(lane, w))
        }
    }
}
