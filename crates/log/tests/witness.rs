//! A witness, with requests of torchwood's tests (real Sigsum logs) and with
//! our own.

use grid_log::checkpoint::{LogKey, WitnessKey};
use grid_log::note::Note;
use grid_log::testing::MemoryLog;
use grid_log::witness::{AddCheckpoint, Latest, Witness, WitnessError, parse_known_size};
use grid_log::{Hash, merkle};
use grid_protocol::{PublicKey, SigningKey};
use proptest::prelude::*;

const SIGSUM: &str =
    "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562";
const SIGSUM_KEY: &str = "ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f";
const TO_1: (&str, &str, &str) = (
    "old 0\n",
    "1\nKgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    "UgIom7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=",
);
const TO_3: (&str, &str, &str) = (
    "old 1\n\
     KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\
     KgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    "3\nRcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=\n",
    "UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=",
);
const TO_5: (&str, &str, &str) = (
    "old 1\n\
     KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\
     +fUDV+k970B4I3uKrqJM4aP1lloPZP8mvr2Z4wRw2LI=\n\
     KgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    "5\nQrtXrQZCCvpIgsSmOsah7HdICzMLLyDfxToMql9WTjY=\n",
    "UgIomw/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=",
);

fn sigsum((head, tree, signature): (&str, &str, &str)) -> String {
    format!("{head}\n{SIGSUM}\n{tree}\n— {SIGSUM} {signature}\n")
}

fn hash(hex: &str) -> Hash {
    hex.parse().expect("64 hexadecimal digits")
}

const ORIGIN: &str = "grid.example/log";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

fn witness() -> Witness {
    let mut witness =
        Witness::new(WitnessKey::new("witness.example/w", key(9)).expect("a sound name"));
    let sigsum_key: PublicKey = SIGSUM_KEY.parse().expect("64 hexadecimal digits");
    witness.watch(SIGSUM, &[sigsum_key], Latest::default()).expect("a sound name");
    witness.watch(ORIGIN, &[key(1).public()], Latest::default()).expect("a sound name");
    witness
}

/// The request of our log to go from one size to another.
fn request(log: &MemoryLog, old: u64, new: u64) -> AddCheckpoint {
    let proof = log.tree.consistency_proof(&log.tiles, old, new).expect("sizes of this log");
    let root = log.tree.root_at(&log.tiles, new).expect("a size of this log");
    let checkpoint =
        LogKey::new(ORIGIN, key(1)).expect("a sound name").sign(new, root).expect("a sound name");
    AddCheckpoint { old, proof, checkpoint: checkpoint.encode() }
}

fn add(witness: &mut Witness, request: &AddCheckpoint) -> Result<String, WitnessError> {
    let pending = witness.add_checkpoint(request.encode().as_bytes(), 1_679_315_147)?;
    witness.persisted(pending)
}

#[test]
fn the_requests_of_a_sigsum_log() {
    let mut witness = witness();
    let check = |witness: &Witness, request| witness.add_checkpoint(sigsum(request).as_bytes(), 5);
    let first = check(&witness, TO_1).unwrap();
    assert_eq!(first.origin(), SIGSUM);
    let mut leaf = Hash::ZERO;
    leaf.0[0] = 0x2a;
    assert_eq!(first.latest(), Latest { size: 1, root: leaf });
    let line = witness.persisted(first).unwrap();
    let note = sigsum(TO_1).split_once("\n\n").unwrap().1.to_owned() + &line;
    assert_eq!(Note::parse(note.as_bytes()).unwrap().verify_witness(witness.verifier()), Ok(5));

    // The race that the specification warns of.
    let (slow, fast) = (check(&witness, TO_3).unwrap(), check(&witness, TO_5).unwrap());
    assert!(witness.persisted(fast).is_ok());
    assert_eq!(witness.persisted(slow).unwrap_err(), WitnessError::Conflict { known: 5 });
    let root = hash("42bb57ad06420afa4882c4a63ac6a1ec77480b330b2f20dfc53a0caa5f564e36");
    assert_eq!(witness.latest(SIGSUM), Some(Latest { size: 5, root }));
    assert_eq!(check(&witness, TO_3).unwrap_err(), WitnessError::Conflict { known: 5 });
}

#[test]
fn a_log_that_grows_is_cosigned() {
    let log = MemoryLog::of_size(1000);
    let mut witness = witness();
    for (old, new) in [(0, 0), (0, 1), (1, 1), (1, 256), (256, 257), (257, 1000), (1000, 1000)] {
        assert!(add(&mut witness, &request(&log, old, new)).is_ok(), "{old} to {new}");
        assert_eq!(witness.latest(ORIGIN).unwrap().size, new);
    }
}

#[test]
fn nothing_changes_before_it_is_durable() {
    let log = MemoryLog::of_size(10);
    let witness = witness();
    let request = request(&log, 0, 10).encode();
    let _dropped = witness.add_checkpoint(request.as_bytes(), 1).unwrap();
    assert_eq!(witness.latest(ORIGIN), Some(Latest::default()));
}

#[test]
fn refusals_and_their_statuses() {
    let log = MemoryLog::of_size(20);
    let mut witness = witness();
    add(&mut witness, &request(&log, 0, 10)).unwrap();
    let good = request(&log, 10, 20);
    let other = MemoryLog { leaves: Vec::new(), ..MemoryLog::default() };
    let mut forked = other;
    forked.append(&(0..20u64).map(|n| merkle::leaf_hash(&[n as u8])).collect::<Vec<_>>());

    let unknown = |request: &AddCheckpoint| AddCheckpoint {
        checkpoint: request.checkpoint.replace(ORIGIN, "grid.example/other"),
        ..request.clone()
    };
    let stranger = LogKey::new(ORIGIN, key(2)).unwrap().sign(20, log.tree.root()).unwrap();
    let flipped = {
        let mut request = good.clone();
        request.proof[1].0[7] ^= 4;
        request
    };
    for (request, error, status, body) in [
        (unknown(&good), WitnessError::UnknownLog, 404, None),
        (
            AddCheckpoint { checkpoint: stranger.encode(), ..good.clone() },
            WitnessError::Forbidden,
            403,
            None,
        ),
        (
            AddCheckpoint {
                checkpoint: good.checkpoint.replace("\n20\n", "\n19\n"),
                ..good.clone()
            },
            WitnessError::Forbidden,
            403,
            None,
        ),
        (AddCheckpoint { old: 21, ..good.clone() }, WitnessError::BadRequest, 400, None),
        (request(&log, 0, 20), WitnessError::Conflict { known: 10 }, 409, Some("10\n")),
        (request(&log, 9, 20), WitnessError::Conflict { known: 10 }, 409, Some("10\n")),
        (request(&log, 5, 9), WitnessError::Conflict { known: 10 }, 409, Some("10\n")),
        (request(&forked, 10, 10), WitnessError::SplitView { known: 10 }, 409, Some("10\n")),
        (request(&forked, 10, 20), WitnessError::Inconsistent, 422, None),
        (flipped, WitnessError::Inconsistent, 422, None),
        (
            AddCheckpoint { proof: Vec::new(), ..good.clone() },
            WitnessError::Inconsistent,
            422,
            None,
        ),
        (
            AddCheckpoint { proof: good.proof.clone(), ..request(&log, 10, 10) },
            WitnessError::Inconsistent,
            422,
            None,
        ),
    ] {
        assert_eq!(add(&mut witness, &request).unwrap_err(), error);
        assert_eq!((error.status(), error.known_size().as_deref()), (status, body));
    }
    assert_eq!(witness.latest(ORIGIN).unwrap().size, 10);
    assert!(add(&mut witness, &good).is_ok());
}

#[test]
fn the_first_checkpoint_has_no_proof() {
    let log = MemoryLog::of_size(5);
    let with_proof = AddCheckpoint { proof: vec![Hash::ZERO], ..request(&log, 0, 5) };
    assert_eq!(add(&mut witness(), &with_proof).unwrap_err(), WitnessError::Inconsistent);
    let empty = AddCheckpoint { proof: vec![Hash::ZERO], ..request(&log, 0, 0) };
    assert_eq!(add(&mut witness(), &empty).unwrap_err(), WitnessError::Inconsistent);
}

#[test]
fn requests_that_can_t_be_read() {
    let hash64 = "KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let good = sigsum(TO_3);
    assert!(AddCheckpoint::decode(good.as_bytes()).is_ok());
    let lines = |count: usize| {
        sigsum(TO_1).replacen(
            "old 0\n",
            &format!("old 0\n{}", format!("{hash64}\n").repeat(count)),
            1,
        )
    };
    assert_eq!(AddCheckpoint::decode(lines(63).as_bytes()).unwrap().proof.len(), 63);
    for text in [
        String::new(),
        "old 1\n".into(),
        lines(64),
        good.replace("old 1", "old 01"),
        good.replace("old 1", "old -1"),
        good.replace("old 1", "old"),
        good.replace("old 1", "old  1"),
        good.replace("old 1", "new 1"),
        good.replace("old 1", "old 18446744073709551616"),
        good.replace("KgEA", "KgE"),
        good.replace("KgEA", ""),
        good.replace("KgEA", "KgEAKgEA"),
        good.replacen("AAA=\n", "AAB=\n", 1),
        good.replace('\n', "\r\n"),
        format!("{good}{}", "x".repeat(80_000)),
    ] {
        assert_eq!(AddCheckpoint::decode(text.as_bytes()), Err(WitnessError::BadRequest), "{text}");
    }
    assert_eq!(AddCheckpoint::decode(b"\xff"), Err(WitnessError::BadRequest));
    let torn = witness().add_checkpoint(&good.as_bytes()[..good.len() - 1], 1);
    assert_eq!(torn.unwrap_err(), WitnessError::BadRequest);

    assert_eq!(parse_known_size("10\n"), Some(10));
    for body in ["", "10", "010\n", "10\n\n", " 10\n", "-1\n", "9007199254740993\n"] {
        assert_eq!(parse_known_size(body), None, "{body:?}");
    }
}

proptest! {
    #[test]
    fn requests_go_round(old in 0u64..1 << 53, proof in proptest::collection::vec(any::<[u8; 32]>().prop_map(Hash), 0..64), checkpoint in "[ -~\n]{0,99}") {
        let request = AddCheckpoint { old, proof, checkpoint };
        prop_assert_eq!(AddCheckpoint::decode(request.encode().as_bytes()), Ok(request));
    }

    /// Whatever order a log submits in, the witness only ever goes forward
    /// along one history.
    #[test]
    fn one_history(steps in proptest::collection::vec((0u64..40, 0u64..40, any::<bool>()), 1..12)) {
        let log = MemoryLog::of_size(40);
        let mut forked = MemoryLog::default();
        forked.append(&(0..40u64).map(|n| merkle::leaf_hash(&[n as u8])).collect::<Vec<_>>());
        let mut witness = witness();
        let mut latest = Latest::default();
        let mut histories = [false, false];
        for (old, new, fork) in steps {
            let (old, new) = (old.min(new), old.max(new));
            let history = if fork { &forked } else { &log };
            if add(&mut witness, &request(history, old, new)).is_ok() {
                let now = witness.latest(ORIGIN).unwrap();
                prop_assert!(now.size >= latest.size && old == latest.size);
                histories[usize::from(fork)] |= new > 0;
                latest = now;
            }
        }
        prop_assert_ne!(histories, [true, true]);
    }
}
