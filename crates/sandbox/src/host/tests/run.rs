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

/// A subscription: event type, descriptor or clock, timeout, flags.
type Subscription = (u8, u32, u64, u8);

/// Polls and returns index, type, errno and bytes of each event.
fn poll(run: &mut Run, subscriptions: &[Subscription]) -> Vec<(u64, u8, u16, u64)> {
    for (index, (tag, subject, timeout, flags)) in subscriptions.iter().enumerate() {
        let mut bytes = [0; 48];
        bytes[..8].copy_from_slice(&(index as u64).to_le_bytes());
        bytes[8] = *tag;
        bytes[16..20].copy_from_slice(&subject.to_le_bytes());
        bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
        bytes[40] = *flags;
        run.store(DATA + index as u32 * 48, &bytes);
    }
    let count = subscriptions.len() as u64;
    run.ok(F::PollOneoff, &[DATA.into(), VECTOR.into(), count, RESULT.into()]);
    let events = (0..run.u32(RESULT)).map(|index| VECTOR + 32 * index);
    events
        .map(|at| {
            let (errno, tag) = (run.u32(at + 8) as u16, (run.u32(at + 8) >> 16) as u8);
            (run.u64(at), tag, errno, run.u64(at + 16))
        })
        .collect()
}

#[test]
fn polling_descriptors() {
    let mut run = start();
    let (inval, notsup) = (Errno::Inval as u16, Errno::Notsup as u16);
    // A clock that isn't due yet has no event when something else has.
    let subscriptions = [
        (0, 1, 5, 0),
        (0, 9, 0, 0),
        (0, 2, 0, 0),
        (1, 0, 0, 0),
        (2, 1, 0, 0),
        (1, 1, 0, 0),
        (2, 77, 0, 0),
        (9, 0, 0, 0),
        (0, 0, 0, 0),
    ];
    let expect = [
        (1, 0, inval, 0),
        (2, 0, notsup, 0),
        (3, 1, 0, 14),
        (4, 2, 0, 10_000),
        (5, 1, Errno::Notcapable as u16, 0),
        (6, 2, Errno::Badf as u16, 0),
        (7, 9, inval, 0),
        (8, 0, 0, 0),
    ];
    assert_eq!(poll(&mut run, &subscriptions), expect);
    run.err(F::PollOneoff, &[DATA.into(), VECTOR.into(), 0, RESULT.into()], Errno::Inval);
    run.err(F::PollOneoff, &[DATA.into(), VECTOR.into(), 2000, RESULT.into()], Errno::Inval);
    run.err(F::PollOneoff, &[OUTSIDE.into(), VECTOR.into(), 1, RESULT.into()], Errno::Fault);
    run.err(F::PollOneoff, &[DATA.into(), OUTSIDE.into(), 1, RESULT.into()], Errno::Fault);
    run.err(F::PollOneoff, &[DATA.into(), VECTOR.into(), 1, OUTSIDE.into()], Errno::Fault);
}

/// Waiting for a clock costs no fuel, and the clock has then come that far.
#[test]
fn sleeping() {
    let mut run = start();
    let time = |run: &mut Run, clock| {
        run.ok(F::ClockTimeGet, &[clock, 0, RESULT.into()]);
        run.u64(RESULT)
    };
    let second = 1_000_000_000;
    let (before, computed) = (time(&mut run, 1), time(&mut run, 3));
    assert_eq!(poll(&mut run, &[(0, 1, second, 0), (0, 0, 2 * second, 0)]), [(0, 0, 0, 0)]);
    assert!((second..second + 10_000).contains(&(time(&mut run, 1) - before)));
    assert!(time(&mut run, 3) - computed < 10_000);
    let until = [(0, 0, 5 * second, 1), (0, 1, 1, 1)];
    assert_eq!(poll(&mut run, &until), [(1, 0, 0, 0)], "a time that has passed");
    assert_eq!(poll(&mut run, &until[..1]), [(0, 0, 0, 0)]);
    assert!((5 * second..5 * second + 10_000).contains(&time(&mut run, 0)));
    poll(&mut run, &[(0, 0, u64::MAX, 0)]);
    assert_eq!(time(&mut run, 0), u64::MAX);
    assert!(run.finish().fuel < 20_000);
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
    /// Any calls with any arguments, in any order: what `fuzz` checks holds.
    #[test]
    fn any_calls(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
        fuzz::drive(&bytes);
    }
}

/// Random runs are no use when they never get anywhere: each function
/// succeeds and fails in them, as far as it can.
#[test]
fn any_calls_do_something() {
    let (mut worked, mut failed) = (Vec::new(), Vec::new());
    for number in 0u32..300 {
        let digest = |block: u32| Digest::of(&[number.to_le_bytes(), block.to_le_bytes()].concat());
        let bytes: Vec<u8> = (0..50).flat_map(|block| digest(block).0).collect();
        // Seed, fuel, output limit, memory: enough of each.
        let bytes = [&[0; 5], bytes.as_slice()].concat();
        fuzz::run(&bytes, 1000, &mut |function, errno| {
            let list = if errno == 0 { &mut worked } else { &mut failed };
            if !list.contains(&function) {
                list.push(function);
            }
        });
    }
    let never = |list: &[F]| -> Vec<F> {
        F::ALL.iter().copied().filter(|function| !list.contains(function)).collect()
    };
    let sockets = [F::SockAccept, F::SockRecv, F::SockSend, F::SockShutdown];
    let cannot_work = [&[F::ProcExit, F::ProcRaise], sockets.as_slice()].concat();
    assert_eq!(never(&worked), cannot_work);
    assert_eq!(never(&failed), [F::ProcExit, F::SchedYield]);
}
