//! Notes, keys and checkpoints held against notes that others made, and against
//! every way of getting one wrong.

use grid_log::checkpoint::{CheckpointError, LogKey, UnverifiedCheckpoint, WitnessKey};
use grid_log::note::{KeyError, KeyKind, Note, NoteError, VerifierKey};
use grid_log::{Hash, MAX_SIZE, merkle, witness};
use grid_protocol::SigningKey;
use proptest::prelude::*;

/// Of the tests of golang.org/x/mod/sumdb/note.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
const PETER_SIGNED: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_SIGNED: &str = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

/// A tree head of Go's checksum database.
const GO_KEY: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
const GO_NOTE: &str = "go.sum database tree\n65209736\n\
    5+uGFjx6xBZG8ip1+wi77v+grwbhhukIrxEUS8PXvRo=\n\n\
    — sum.golang.org Az3grnbssgK7ubgFX36gVETtNv0U23qxyAhAMai2QUfeGa3nB/akvkMdlUErfcZz7l/R3cVtYspg3dxXABkGZZKdsQ8=\n";

const ORIGIN: &str = "grid.example/log";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

fn log() -> LogKey {
    LogKey::new(ORIGIN, key(1)).expect("a sound name")
}

fn root() -> Hash {
    merkle::leaf_hash(b"root")
}

#[test]
fn notes_of_others_verify() {
    let (peter, enoch): (VerifierKey, VerifierKey) =
        (PETER.parse().unwrap(), ENOCH.parse().unwrap());
    let note = format!("{TEXT}\n{PETER_SIGNED}{ENOCH_SIGNED}");
    let parsed = Note::parse(note.as_bytes()).unwrap();
    assert_eq!(parsed.text(), TEXT);
    assert_eq!(parsed.encode(), note);
    assert_eq!(parsed.verify_log(&peter), Ok(()));
    assert_eq!(parsed.verify_log(&enoch), Ok(()));
    let only = Note::parse(format!("{TEXT}\n{PETER_SIGNED}").as_bytes()).unwrap();
    assert_eq!(only.verify_log(&enoch), Err(NoteError::Unsigned));
    assert_eq!(only.verify_witness(&peter), Err(NoteError::Unsigned));

    let go: VerifierKey = GO_KEY.parse().unwrap();
    assert_eq!(Note::parse(GO_NOTE.as_bytes()).unwrap().verify_log(&go), Ok(()));
    let other = GO_NOTE.replace("65209736", "65209737");
    let other = Note::parse(other.as_bytes()).unwrap();
    assert_eq!(other.verify_log(&go), Err(NoteError::Signature));
}

/// A checkpoint of a Certificate Transparency log as it stood on the network,
/// with the cosignatures of four witnesses and a signature of another kind.
const CT: &str = "\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
";
const CT_KEY: &str =
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
const REMORA: &str = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";

#[test]
fn a_cosigned_checkpoint_of_others_verifies() {
    let parsed = UnverifiedCheckpoint::parse(CT.as_bytes()).unwrap();
    let signed = parsed.verify(&CT_KEY.parse().unwrap()).unwrap();
    assert_eq!(signed.checkpoint().size(), 1_432_088_532);
    assert_eq!(signed.encode(), CT);
    assert_eq!(signed.cosigned_by(&REMORA.parse().unwrap()), Ok(1_779_573_024));
    let clobbered = CT.replace("1432088532", "42");
    let parsed = UnverifiedCheckpoint::parse(clobbered.as_bytes()).unwrap();
    let wrong = CheckpointError::Note(NoteError::Signature);
    assert_eq!(parsed.verify(&CT_KEY.parse().unwrap()).unwrap_err(), wrong);
    let note = Note::parse(clobbered.as_bytes()).unwrap();
    assert_eq!(note.verify_witness(&REMORA.parse().unwrap()), Err(NoteError::Signature));
}

#[test]
fn keys_go_round_and_their_fragments_don_t() {
    for (text, kind) in [(PETER, KeyKind::Log), (GO_KEY, KeyKind::Log), (REMORA, KeyKind::Witness)]
    {
        let key: VerifierKey = text.parse().unwrap();
        assert_eq!((key.kind(), key.to_string().as_str()), (kind, text));
    }
    for from in 0..PETER.len() {
        for to in from + 1..=PETER.len() {
            let whole = (from, to) == (0, PETER.len());
            assert_eq!(PETER[from..to].parse::<VerifierKey>().is_ok(), whole);
        }
        let mut bytes = PETER.as_bytes().to_vec();
        bytes[from] += 1;
        assert!(String::from_utf8(bytes).unwrap().parse::<VerifierKey>().is_err());
    }
    for (text, error) in [
        // A key too long, and an unknown algorithm, with the ids that they would have.
        (
            "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
            KeyError::Malformed,
        ),
        ("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Algorithm),
        ("PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Id),
        ("+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Name),
    ] {
        assert_eq!(text.parse::<VerifierKey>(), Err(error), "{text}");
    }
    let long = "n".repeat(256);
    for name in ["", "a b", "a+b", "a\tb", "a\nb", "a\u{a0}b", "a\u{2003}b", "a\u{7f}", &long] {
        let refused = VerifierKey::new(name, KeyKind::Log, key(1).public());
        assert_eq!(refused, Err(KeyError::Name), "{name:?}");
    }
}

#[test]
fn notes_that_are_none() {
    let note = |lines: &str| format!("{TEXT}\n{lines}");
    let longer = format!("{}ABCD{}", &PETER_SIGNED[..60], &PETER_SIGNED[60..]);
    for (text, error) in [
        (String::new(), NoteError::Malformed),
        ("\n\n".into(), NoteError::Malformed),
        (TEXT.into(), NoteError::Malformed),
        (note(""), NoteError::Malformed),
        (note(PETER_SIGNED.trim_end()), NoteError::Malformed),
        (note(&format!("{PETER_SIGNED}\n")), NoteError::Malformed),
        (note(&format!("{PETER_SIGNED}Unexpected line.\n")), NoteError::Malformed),
        (note(&PETER_SIGNED.replace('\n', "\r\n")), NoteError::Malformed),
        (format!("{TEXT}\r\n{PETER_SIGNED}"), NoteError::Malformed),
        (format!("\u{1}{TEXT}\n{PETER_SIGNED}"), NoteError::Malformed),
        (note(&PETER_SIGNED.replace("PeterNeumann", "Bad Name")), NoteError::Malformed),
        (note(&PETER_SIGNED.replace("PeterNeumann", "Bad+Name")), NoteError::Malformed),
        (note(&PETER_SIGNED.replace("PeterNeumann", "")), NoteError::Malformed),
        (note(&PETER_SIGNED.replace('—', "-")), NoteError::Malformed),
        (note(&PETER_SIGNED.replace("AM=", "AM")), NoteError::Malformed),
        // Other bits behind the last byte: the same bytes, other text.
        (note(&PETER_SIGNED.replace("AM=", "AN=")), NoteError::Malformed),
        (note("— PeterNeumann x08g\n"), NoteError::Malformed),
        (note("— PeterNeumann x08gow==\n"), NoteError::Malformed),
        (note(&PETER_SIGNED.repeat(2)), NoteError::Duplicate),
        (note(&format!("{PETER_SIGNED}{longer}")), NoteError::Duplicate),
        (format!("{}\n{PETER_SIGNED}", "x".repeat(64 << 10)), NoteError::TooLong),
    ] {
        assert_eq!(Note::parse(text.as_bytes()).err(), Some(error), "{text}");
    }
    assert_eq!(Note::parse(b"\xff\n\n").err(), Some(NoteError::Malformed));
    let wrong = Note::parse(note(&longer).as_bytes()).unwrap();
    assert_eq!(wrong.verify_log(&PETER.parse().unwrap()), Err(NoteError::Signature));

    let lines = |count: usize| (0..count).map(|n| PETER_SIGNED.replace("Peter", &format!("P{n}")));
    assert!(Note::parse(note(&lines(32).collect::<String>()).as_bytes()).is_ok());
    let many = note(&lines(33).collect::<String>());
    assert_eq!(Note::parse(many.as_bytes()).err(), Some(NoteError::TooLong));
}

/// Ed25519 is deterministic: these bytes never change.
#[test]
fn golden_checkpoint_and_cosignature() {
    let signed = log().sign(70_000, root()).unwrap();
    let golden = "grid.example/log\n70000\nROOT\n\n— grid.example/log LOG\n";
    let golden = golden.replace("ROOT", GOLDEN_ROOT).replace("LOG", GOLDEN_LOG);
    assert_eq!(signed.encode(), golden);
    let witness = WitnessKey::new("witness.example/w", key(2)).unwrap();
    let mut watcher = witness::Witness::new(witness);
    watcher.watch(ORIGIN, &[key(1).public()], witness::Latest::default()).unwrap();
    let request = witness::AddCheckpoint { old: 0, proof: Vec::new(), checkpoint: golden };
    let pending = watcher.add_checkpoint(request.encode().as_bytes(), 1_679_315_147).unwrap();
    let line = watcher.persisted(pending).unwrap();
    assert_eq!(line, format!("— witness.example/w {GOLDEN_WITNESS}\n"));
}

const GOLDEN_ROOT: &str = "PAb5plclr2BSYfY2ZyyWINQJcx2JpFHXRV/pxK4WeCk=";
const GOLDEN_LOG: &str =
    "MgI73dBP7R0JsySN4YBfXnU9eBe18YNzemm0rgkOFnNAmZitj12MipV5CKVRgVnKgP/DU2ldfkglCbNBdmhSsEl3Jws=";
const GOLDEN_WITNESS: &str = "yxOT3AAAAABkGFDLTWe3XrvdivRr9P7sho6I2f+QlskAlegx1CNekwj1WKtmsZpx74kL72yJrKJuu5zP39GVmEGdvH1i4tMWuN43BA==";

#[test]
fn a_checkpoint_is_believed_from_its_log_only() {
    let signed = log().sign(7, root()).unwrap();
    let parse = |text: &str| UnverifiedCheckpoint::parse(text.as_bytes());
    let text = signed.encode();
    let verified = parse(&text).unwrap().verify(log().verifier()).unwrap();
    assert_eq!(verified, signed);
    assert_eq!((verified.checkpoint().size(), verified.checkpoint().root()), (7, &root()));

    let other_key = LogKey::new(ORIGIN, key(3)).unwrap();
    let other_log = LogKey::new("grid.example/other", key(1)).unwrap();
    let refused = |key: &LogKey| parse(&text).unwrap().verify(key.verifier()).unwrap_err();
    assert_eq!(refused(&other_key), CheckpointError::Note(NoteError::Unsigned));
    assert_eq!(refused(&other_log), CheckpointError::Origin);
    let as_witness = VerifierKey::new(ORIGIN, KeyKind::Witness, key(1).public()).unwrap();
    let refused = parse(&text).unwrap().verify(&as_witness).unwrap_err();
    assert_eq!(refused, CheckpointError::Note(NoteError::Unsigned));

    let altered = parse(&text.replace("\n7\n", "\n8\n")).unwrap().verify(log().verifier());
    assert_eq!(altered.unwrap_err(), CheckpointError::Note(NoteError::Signature));
}

#[test]
fn texts_that_are_no_checkpoints() {
    let sign = |text: &str| {
        // Signed by Peter or not: what counts here is the text.
        UnverifiedCheckpoint::parse(format!("{text}\n{PETER_SIGNED}").as_bytes())
    };
    let root64 = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    let good = format!("example.com/log\n20852163\n{root64}\n");
    assert!(sign(&good).is_ok());
    assert!(sign(&format!("{good}extension 1\nextension 2\n")).is_ok());
    assert!(sign(&good.replace("20852163", &MAX_SIZE.to_string())).is_ok());
    for text in [
        good.replace("20852163", "020852163"),
        good.replace("20852163", "+20852163"),
        good.replace("20852163", "-1"),
        good.replace("20852163", "1e3"),
        good.replace("20852163", ""),
        good.replace("20852163", " 20852163"),
        good.replace("20852163", "٣"),
        good.replace("20852163", "00"),
        good.replace("20852163", "0"),
        good.replace("20852163", &(MAX_SIZE + 1).to_string()),
        good.replace("20852163", "18446744073709551616"),
        good.replace("example.com/log", ""),
        good.replace("example.com/log", "example log"),
        good.replace("example.com/log", "example+log"),
        good.replace("example.com/log", &"n".repeat(256)),
        good.replace("q2I=", "q2I"),
        good.replace("q2I=", "q2J="),
        good.replace("q2I=", "q2I=="),
        good.replace("CsUY", ""),
        good.replace("CsUY", "CsUYCsUY"),
        good.replace('\n', "\r\n"),
        format!("{good}\n"),
        format!("{good}\nextension\n"),
        "example.com/log\n20852163\n".into(),
        "example.com/log\n".into(),
    ] {
        assert!(sign(&text).is_err(), "{text}");
    }
}

#[test]
fn cosignatures_are_added_when_they_are_right() {
    let mut signed = log().sign(7, root()).unwrap();
    let mut watcher = witness::Witness::new(WitnessKey::new("w.example/1", key(2)).unwrap());
    watcher.watch(ORIGIN, &[key(1).public()], witness::Latest::default()).unwrap();
    let request = witness::AddCheckpoint { old: 0, proof: Vec::new(), checkpoint: signed.encode() };
    let pending = watcher.add_checkpoint(request.encode().as_bytes(), 99).unwrap();
    let line = watcher.persisted(pending).unwrap();

    let unsigned = CheckpointError::Note(NoteError::Unsigned);
    assert_eq!(signed.cosigned_by(watcher.verifier()), Err(unsigned));
    let stranger = VerifierKey::new("w.example/1", KeyKind::Witness, key(3).public()).unwrap();
    assert_eq!(signed.add_cosignature(&line, &stranger), Err(unsigned));
    let before = signed.clone();
    let other = log().sign(8, root()).unwrap();
    let wrong = CheckpointError::Note(NoteError::Signature);
    assert_eq!(other.clone().add_cosignature(&line, watcher.verifier()), Err(wrong));
    assert_eq!(signed, before);
    assert_eq!(signed.add_cosignature(&line, watcher.verifier()), Ok(99));
    assert_eq!(signed.cosigned_by(watcher.verifier()), Ok(99));
    let twice = CheckpointError::Note(NoteError::Duplicate);
    assert_eq!(signed.add_cosignature(&line, watcher.verifier()), Err(twice));
    let again = UnverifiedCheckpoint::parse(signed.encode().as_bytes()).unwrap();
    let again = again.verify(log().verifier()).unwrap();
    assert_eq!(again.cosigned_by(watcher.verifier()), Ok(99));
}

#[test]
fn a_log_signs_what_can_be_read_again() {
    assert!(log().sign(MAX_SIZE, root()).is_ok());
    assert_eq!(log().sign(MAX_SIZE + 1, root()).unwrap_err(), CheckpointError::Malformed);
    assert!(log().sign(0, merkle::empty_root()).is_ok());
    assert_eq!(log().sign(0, root()).unwrap_err(), CheckpointError::Malformed);
    assert!(LogKey::new("a log", key(1)).is_err());
}

proptest! {
    /// No altered byte leaves a checkpoint that is believed.
    #[test]
    fn every_byte_of_a_checkpoint_counts(at in 0usize..300, to: u8) {
        let text = log().sign(7, root()).unwrap().encode();
        let mut bytes = text.clone().into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        let believed = UnverifiedCheckpoint::parse(&bytes)
            .and_then(|unverified| unverified.verify(log().verifier()));
        prop_assert!(believed.is_err());
    }

    #[test]
    fn any_bytes_are_parsed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[a-z\n— +/=0-9]{0,200}") {
        let _ = UnverifiedCheckpoint::parse(&bytes);
        let _ = witness::AddCheckpoint::decode(&bytes);
        if let Ok(note) = Note::parse(text.as_bytes()) {
            prop_assert_eq!(note.encode(), text.clone());
        }
        if let Ok(request) = witness::AddCheckpoint::decode(text.as_bytes()) {
            prop_assert_eq!(request.encode(), text.clone());
        }
        let _ = text.parse::<VerifierKey>();
    }
}
