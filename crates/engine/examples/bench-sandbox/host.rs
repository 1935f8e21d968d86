//! As little of WASI as the programs need, the same for every variant, so that
//! only the module's own code makes a difference. tests/programs/bench/wasi.mjs
//! is the same for browsers.

use grid_sandbox::{ValueType, WasiFunction, names};
use wasmtime::{Caller, Engine, Extern, FuncType, Linker, Memory, Result, Val, ValType, bail};

const SUCCESS: i32 = 0;
const BADF: i32 = 8;
const FAULT: i32 = 21;
const NOSYS: i32 = 52;

/// What a run reads and writes.
pub(crate) struct State {
    /// Arguments, each with a zero byte at its end.
    args: Vec<u8>,
    count: u32,
    random: u64,
    pub(crate) stdout: Vec<u8>,
    /// Set once there is an instance.
    pub(crate) memory: Option<Memory>,
}

impl State {
    pub(crate) fn new(name: &str, args: &[String]) -> Self {
        let all = std::iter::once(name).chain(args.iter().map(String::as_str));
        let joined = all.flat_map(|arg| arg.bytes().chain([0])).collect();
        let count = 1 + args.len() as u32;
        Self { args: joined, count, random: 1, stdout: Vec::new(), memory: None }
    }
}

/// Unwinds a module that called `proc_exit`.
#[derive(Debug, thiserror::Error)]
#[error("exit code {0}")]
struct Exit(i32);

/// Fails unless a run ended well.
pub(crate) fn exit_code(ended: Result<()>) -> Result<()> {
    match ended {
        Ok(()) => Ok(()),
        Err(error) => match error.downcast_ref::<Exit>() {
            Some(Exit(0)) => Ok(()),
            Some(exit) => bail!("{exit}"),
            None => bail!("{error:#}"),
        },
    }
}

/// Memory and state, while the module waits.
fn parts<'a>(caller: &'a mut Caller<'_, State>) -> Option<(&'a mut [u8], &'a mut State)> {
    let memory = caller.data().memory?;
    Some(memory.data_and_store_mut(caller))
}

fn errno(done: Option<()>) -> i32 {
    if done.is_some() { SUCCESS } else { FAULT }
}

fn read(memory: &[u8], at: u32) -> Option<u32> {
    let bytes = memory.get(at as usize..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

fn write(memory: &mut [u8], at: u32, bytes: &[u8]) -> Option<()> {
    memory.get_mut(at as usize..)?.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(())
}

/// Everything that a raw, an admitted or a metered program may import.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    linker.allow_shadowing(true);
    for &function in WasiFunction::ALL {
        let params = function.params().iter().map(|ty| match ty {
            ValueType::I32 => ValType::I32,
            ValueType::I64 => ValType::I64,
        });
        let results = function.returns_errno().then_some(ValType::I32);
        let ty = FuncType::new(engine, params, results);
        linker.func_new(names::WASI, function.name(), ty, |_, _, results| {
            results.iter_mut().for_each(|result| *result = Val::I32(NOSYS));
            Ok(())
        })?;
    }
    arguments(&mut linker)?;
    descriptors(&mut linker)?;
    linker.func_wrap(
        names::WASI,
        "random_get",
        |mut caller: Caller<'_, State>, at: u32, length: u32| {
            let filled = parts(&mut caller).and_then(|(memory, state)| {
                for byte in memory.get_mut(at as usize..)?.get_mut(..length as usize)? {
                    state.random = state.random.wrapping_mul(6_364_136_223_846_793_005) | 1;
                    *byte = (state.random >> 56) as u8;
                }
                Some(())
            });
            errno(filled)
        },
    )?;
    linker.func_wrap(names::WASI, "proc_exit", |code: i32| -> Result<()> {
        Err(wasmtime::Error::new(Exit(code)))
    })?;
    grid(&mut linker)?;
    Ok(linker)
}

fn arguments(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        names::WASI,
        "args_sizes_get",
        |mut caller: Caller<'_, State>, count: u32, size: u32| {
            errno(parts(&mut caller).and_then(|(memory, state)| {
                write(memory, count, &state.count.to_le_bytes())?;
                write(memory, size, &(state.args.len() as u32).to_le_bytes())
            }))
        },
    )?;
    linker.func_wrap(
        names::WASI,
        "args_get",
        |mut caller: Caller<'_, State>, mut list: u32, mut at: u32| {
            errno(parts(&mut caller).and_then(|(memory, state)| {
                write(memory, at, &state.args)?;
                for arg in state.args.split_inclusive(|&byte| byte == 0) {
                    write(memory, list, &at.to_le_bytes())?;
                    list += 4;
                    at += arg.len() as u32;
                }
                Some(())
            }))
        },
    )?;
    linker.func_wrap(
        names::WASI,
        "environ_sizes_get",
        |mut caller: Caller<'_, State>, count: u32, size: u32| {
            errno(parts(&mut caller).and_then(|(memory, _)| {
                write(memory, count, &[0; 4])?;
                write(memory, size, &[0; 4])
            }))
        },
    )?;
    linker.func_wrap(names::WASI, "environ_get", |_: u32, _: u32| SUCCESS)?;
    Ok(())
}

fn descriptors(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(names::WASI, "fd_prestat_get", |_: u32, _: u32| BADF)?;
    linker.func_wrap(names::WASI, "fd_close", |_: u32| SUCCESS)?;
    linker.func_wrap(
        names::WASI,
        "fd_fdstat_get",
        |mut caller: Caller<'_, State>, _: u32, at: u32| {
            errno(parts(&mut caller).and_then(|(memory, _)| write(memory, at, &[0; 24])))
        },
    )?;
    linker.func_wrap(
        names::WASI,
        "fd_write",
        |mut caller: Caller<'_, State>, fd: u32, list: u32, count: u32, written: u32| {
            errno(parts(&mut caller).and_then(|(memory, state)| {
                let mut all = 0;
                for entry in (list..).step_by(8).take(count as usize) {
                    let (at, length) = (read(memory, entry)?, read(memory, entry + 4)?);
                    let bytes = memory.get(at as usize..)?.get(..length as usize)?;
                    if fd == 1 {
                        state.stdout.extend_from_slice(bytes);
                    }
                    all += length;
                }
                write(memory, written, &all.to_le_bytes())
            }))
        },
    )?;
    Ok(())
}

/// What admission adds.
fn grid(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(names::GRID, names::REFILL, super::variants::refill)?;
    linker.func_wrap(names::GRID, names::STACK_OVERFLOW, || -> Result<()> {
        Err(wasmtime::Error::msg("the stack limit was passed"))
    })?;
    linker.func_wrap(
        names::GRID,
        names::GROW,
        |mut caller: Caller<'_, State>, pages: u32| -> i32 {
            match caller.get_export(names::MEMORY) {
                Some(Extern::Memory(memory)) => {
                    memory.grow(&mut caller, pages.into()).map_or(-1, |before| before as i32)
                }
                _ => -1,
            }
        },
    )?;
    Ok(())
}
