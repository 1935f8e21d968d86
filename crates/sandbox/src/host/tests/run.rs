//! Everything else, limits, and how runs end.

use super::WasiFunction as F;
use super::*;
use proptest::prelude::*;

#[test]
fn arguments_and_environment() {
    let mut run = start();
    run.ok(F::ArgsSizesGet, &[RESULT.into(), u64::from(RESULT) + 4]);
    assert_eq!((run.u32(RESULT), run.u32(RESULT + 4)), (2, 9));
    run.ok(F::ArgsGet, &[RESULT.into(), DATA.into()]);
    assert_eq!((run.u32(RESULT), run.u32(RESULT + 4)), (DATA, DATA + 5));
    assert_eq!(&run.guest.bytes[DATA as usize..][..9], b"task\0one\0");
    run.ok(F::EnvironSizesGet, &[RESULT.into(), u64::from(RESULT) + 4]);
    assert_eq!((run.u32(RESULT), run.u32(RESULT + 4)), (1, 4));
    run.ok(F::EnvironGet, &[RESULT.into(), DATA.into()]);
    assert_eq!(&run.guest.bytes[DATA as usize..][..4], b"A=b\0");
    run.err(F::ArgsGet, &[RESULT.into(), u64::from(OUTSIDE) - 8], Errno::Fault);
    run.err(F::ArgsGet, &[u64::from(OUTSIDE) - 4, DATA.into()], Errno::Fault);
}

#[test]
fn clocks_count_fuel() {
    let mut run = start();
    for clock in 0..4 {
        run.ok(F::ClockTimeGet, &[clock, 0, RESULT.into()]);
        assert_eq!(run.u64(RESULT), run.host.used(run.guest.fuel));
        run.ok(F::ClockResGet, &[clock, RESULT.into()]);
        assert_eq!(run.u64(RESULT), 1);
    }
    run.err(F::ClockTimeGet, &[4, 0, RESULT.into()], Errno::Inval);
    run.err(F::ClockResGet, &[4, RESULT.into()], Errno::Inval);
}

#[test]
fn randomness_comes_from_the_seed() {
    let mut whole = start();
    whole.ok(F::RandomGet, &[0, 10_000]);
    let first = Digest::of(&[b"grid-random-v1".as_slice(), &[7; 32], &[0; 8]].concat());
    assert_eq!(whole.guest.bytes[..32], first.0);
    let mut pieces = start();
    let mut at = 0;
    for len in [0, 1, 31, 32, 33, 64, 100, 4096, 5000, 643] {
        pieces.ok(F::RandomGet, &[at, len]);
        at += len;
    }
    assert_eq!(at, 10_000);
    assert_eq!(pieces.guest.bytes, whole.guest.bytes);
    let mut other = Run::new(&Spec { seed: [8; 32], ..spec() });
    other.ok(F::RandomGet, &[0, 32]);
    assert_ne!(other.guest.bytes[..32], first.0);
    other.err(F::RandomGet, &[0, u32::MAX.into()], Errno::Fault);
}

#[test]
fn polling() {
    let mut run = start();
    let subscribe = |run: &mut Run, index: u32, tag: u8, subject: u32| {
        let mut subscription = [0; 48];
        subscription[..8].copy_from_slice(&u64::from(index + 100).to_le_bytes());
        subscription[8] = tag;
        subscription[16..20].copy_from_slice(&subject.to_le_bytes());
        run.store(DATA + index * 48, &subscription);
    };
    let cases = [
        (0, 1, 0, 0),
        (0, 9, Errno::Inval as u16, 0),
        (1, 0, 0, 14),
        (2, 1, 0, 0),
        (1, 1, Errno::Notcapable as u16, 0),
        (2, 77, Errno::Badf as u16, 0),
        (9, 0, Errno::Inval as u16, 0),
    ];
    for (index, (tag, subject, ..)) in cases.into_iter().enumerate() {
        subscribe(&mut run, index as u32, tag, subject);
    }
    run.ok(F::PollOneoff, &[DATA.into(), VECTOR.into(), cases.len() as u64, RESULT.into()]);
    assert_eq!(run.u32(RESULT) as usize, cases.len());
    for (index, (tag, _, errno, bytes)) in cases.into_iter().enumerate() {
        let at = VECTOR + 32 * index as u32;
        assert_eq!(run.u64(at), index as u64 + 100);
        assert_eq!(run.u32(at + 8), u32::from(errno) | u32::from(tag) << 16, "{index}");
        assert_eq!(run.u64(at + 16), bytes, "{index}");
    }
    run.err(F::PollOneoff, &[DATA.into(), VECTOR.into(), 0, RESULT.into()], Errno::Inval);
    run.err(F::PollOneoff, &[DATA.into(), VECTOR.into(), 2000, RESULT.into()], Errno::Inval);
    run.err(F::PollOneoff, &[OUTSIDE.into(), VECTOR.into(), 1, RESULT.into()], Errno::Fault);
}

#[test]
fn what_there_is_not() {
    let mut run = start();
    run.ok(F::SchedYield, &[]);
    run.err(F::ProcRaise, &[9], Errno::Notsup);
    run.err(F::SockAccept, &[3, 0, RESULT.into()], Errno::Notsock);
    run.err(F::SockShutdown, &[77, 0], Errno::Badf);
    run.err(F::SockRecv, &[1, VECTOR.into(), 1, 0, RESULT.into(), RESULT.into()], Errno::Notsock);
    run.err(F::SockSend, &[1, VECTOR.into(), 1, 0, RESULT.into()], Errno::Notsock);
}

#[test]
fn pointers_outside_memory() {
    let mut run = start();
    let outside = u64::from(OUTSIDE);
    let file = run.open(3, "a.txt");
    for (function, args) in [
        (F::FdWrite, &[1, outside, 1, RESULT.into()][..]),
        (F::FdWrite, &[1, outside - 4, 1, RESULT.into()]),
        (F::FdRead, &[0, u32::MAX.into(), 1, RESULT.into()]),
        (F::FdPrestatGet, &[3, outside - 7]),
        (F::FdFdstatGet, &[3, outside - 23]),
        (F::FdFilestatGet, &[3, outside - 63]),
        (F::ClockTimeGet, &[0, 0, outside - 7]),
        (F::FdTell, &[file, outside]),
        (F::FdReaddir, &[3, DATA.into(), 10, 0, outside]),
        (F::PathUnlinkFile, &[4, outside, 1]),
        (F::PathUnlinkFile, &[4, DATA.into(), u32::MAX.into()]),
    ] {
        run.err(function, args, Errno::Fault);
    }
    // A buffer outside, a result outside: nothing is written or consumed.
    let args = run.buffer(1, OUTSIDE);
    run.err(F::FdWrite, &args, Errno::Fault);
    let [fd, at, count, _] = run.buffer(1, 5);
    run.err(F::FdWrite, &[fd, at, count, outside], Errno::Fault);
    run.err(F::FdRead, &[0, at, count, outside], Errno::Fault);
    assert_eq!(run.read(0, 4), b"stan");
    run.err(F::FdWrite, &[1, VECTOR.into(), 1025, RESULT.into()], Errno::Inval);
    assert!(run.finish().output.is_empty());
}

#[test]
fn exit() {
    let mut run = start();
    run.write(1, b"x");
    assert_eq!(run.host.call(&mut run.guest, F::ProcExit, &[7]), Control::End);
    run.host.trap("the unwinding");
    let outcome = run.finish();
    assert_eq!((outcome.reason, outcome.exit_code), (ExitReason::Exit, 7));
    assert_eq!(outcome.output.size(), 7);
    assert_eq!(outcome.hint, None);
}

#[test]
fn trap_and_stack() {
    let mut run = start();
    run.write(1, b"x");
    run.host.trap("ouch");
    let outcome = run.finish();
    assert_eq!((outcome.reason, outcome.exit_code), (ExitReason::Trap, 0));
    assert_eq!(outcome.hint.as_deref(), Some("ouch"));
    assert_eq!(outcome.output.size(), 7);
    let mut run = start();
    assert_eq!(run.host.stack_overflow(), Control::End);
    assert_eq!(run.finish().reason, ExitReason::Stack);
}

#[test]
fn growth() {
    let mut run = start();
    assert_eq!(run.host.grow(&mut run.guest, 1), Control::Resume(1));
    assert_eq!(run.host.grow(&mut run.guest, 1), Control::Resume(-1));
    assert_eq!(run.host.grow(&mut run.guest, u32::MAX), Control::Resume(-1));
    assert_eq!(run.host.grow(&mut run.guest, 0), Control::Resume(2));
    assert_eq!(run.finish().fuel, 4 * 1000 + 8192);
    let mut run = start();
    run.guest.refuse_growth = true;
    assert_eq!(run.host.grow(&mut run.guest, 1), Control::End);
    assert_eq!(run.host.finish(&mut run.guest), Err(DeviceLimit));
    let mut run = Run::new(&Spec { fuel: 9000, ..spec() });
    assert_eq!(run.host.grow(&mut run.guest, 1), Control::End);
    assert_eq!(run.finish().reason, ExitReason::OutOfFuel);
}

/// The write that passes the limit ends the run and is not applied, nor is
/// memory taken for what a sparse file claims.
#[test]
fn output_limit() {
    let full = || {
        let mut run = start();
        let fd = run.create("x");
        run.write(fd, &[1; 9000]);
        (run, fd)
    };
    let (mut run, fd) = full();
    // "/out/x", "stdout" and their bytes fill the limit to the last byte.
    run.write(1, &[2; 10_000 - 9000 - 12]);
    run.write(1, b"");
    let args = run.buffer(1, 1);
    assert_eq!(run.ends(F::FdWrite, &args), ExitReason::OutputLimit);
    let huge = 1 << 40;
    for (function, args) in [
        (F::FdFilestatSetSize, &[fd, 10_000][..]),
        (F::FdAllocate, &[fd, huge, 1]),
        (F::FdPwrite, &[fd, VECTOR.into(), 1, huge, RESULT.into()]),
    ] {
        let (mut run, _) = full();
        run.buffer(fd, 1);
        assert_eq!(run.ends(function, args), ExitReason::OutputLimit, "{function:?}");
    }
    let (mut run, _) = full();
    run.ok(F::FdSeek, &[fd, 20_000, 0, RESULT.into()]);
    let args = run.buffer(fd, 1);
    let mut host = run.host;
    assert_eq!(host.call(&mut run.guest, F::FdWrite, &args), Control::End);
    let outcome = host.finish(&mut run.guest).unwrap();
    assert_eq!(outcome.reason, ExitReason::OutputLimit);
    assert_eq!(outcome.output.size(), 9006);
}

/// Paths count as output, when files are made and when they are renamed.
#[test]
fn paths_count() {
    let mut run = Run::new(&Spec { output_bytes: 20, ..spec() });
    run.create("1234");
    run.create("5678");
    let [at, len] = run.path("9");
    let create = [4, 0, at, len, oflags::CREAT.into(), 0, 0, 0, RESULT.into()];
    let [old, old_len] = run.path2("1234");
    run.store(DATA, b"12345");
    let longer = [4, old, old_len, 4, u64::from(DATA), 5];
    let replacing = [4, old, old_len, 4, u64::from(DATA) + 100, 4];
    run.store(DATA + 100, b"5678");
    assert_eq!(run.ends(F::PathOpen, &create), ExitReason::OutputLimit);
    let mut run = Run::new(&Spec { output_bytes: 18, ..spec() });
    run.create("1234");
    run.create("5678");
    run.store(PATH2, b"1234");
    run.store(DATA, b"12345");
    run.store(DATA + 100, b"5678");
    run.ok(F::PathRename, &replacing);
    run.create("1234");
    run.store(PATH2, b"1234");
    assert_eq!(run.ends(F::PathRename, &longer), ExitReason::OutputLimit);
}

#[test]
fn host_calls_run_out_of_fuel() {
    let mut run = Run::new(&Spec { fuel: 1099, ..spec() });
    let args = run.buffer(1, 1);
    assert_eq!(run.host.call(&mut run.guest, F::FdWrite, &args), Control::End);
    let outcome = run.finish();
    assert_eq!((outcome.reason, outcome.fuel), (ExitReason::OutOfFuel, 1099));
    assert!(outcome.output.is_empty());
    let mut run = Run::new(&Spec { fuel: 1100, ..spec() });
    run.write(1, b"1");
    assert_eq!(run.finish().fuel, 1100);
}

proptest! {
    /// Any call with any arguments, in any order, neither panics nor leaves
    /// output over the limit.
    #[test]
    fn any_calls(
        seed in any::<[u8; 16]>(),
        calls in proptest::collection::vec(
            (0..F::ALL.len(), proptest::collection::vec(argument(), 9)), 1..60),
    ) {
        let mut run = Run::new(&Spec { fuel: 10_000_000, ..spec() });
        run.store(PATH, b"d/../x/y.txt/../sub");
        run.store(VECTOR, &seed);
        for (index, args) in calls {
            let function = F::ALL[index];
            let args = &args[..function.params().len()];
            if run.host.call(&mut run.guest, function, args) == Control::End {
                break;
            }
        }
        let outcome = run.finish();
        prop_assert!(outcome.output.size() <= 10_000);
        prop_assert!(outcome.fuel <= 10_000_000);
    }
}

fn argument() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0u64..8,
        2 => Just(u64::from(PATH)),
        1 => Just(u64::from(PATH) + 5),
        2 => Just(u64::from(VECTOR)),
        2 => Just(u64::from(RESULT)),
        1 => 0u64..70_000,
        1 => any::<u32>().prop_map(u64::from),
        1 => any::<u64>(),
        1 => Just(rights::ALL),
    ]
}
