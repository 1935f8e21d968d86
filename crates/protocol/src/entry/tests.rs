use super::*;
use crate::{ExitReason, SigningKey};
use proptest::prelude::*;

fn receipt() -> UnverifiedReceipt {
    let key = SigningKey::from_seed([1; 32]);
    let body = ReceiptBody {
        relay: PublicKey([2; 32]),
        lease: LeaseId([3; 16]),
        spec: Digest([4; 32]),
        input: Digest([5; 32]),
        reason: ExitReason::Exit,
        exit_code: 7,
        output: Digest([6; 32]),
        check: Digest::ZERO,
        fuel: 0x0102_0304,
        node: key.public(),
    };
    body.sign(&key)
}

const JOB: JobId = JobId([9; 16]);
const OWNER: OwnerTag = OwnerTag([0xad; 16]);

fn member(number: u8) -> Member {
    Member { node: PublicKey([number; 32]), network: [number; 8], account: [0; 8] }
}

/// One of each layout, with its kind and its golden bytes: these bytes are in
/// people's stores.
fn goldens() -> Vec<(Entry, u8, String)> {
    let n = |byte: &str, times: usize| byte.repeat(times);
    let vote = format!(
        "{}{}{}",
        n("0d", 80),
        hex::encode(receipt().signature.0),
        hex::encode(receipt().body.encode())
    );
    let delegation = Delegation { account: PublicKey([2; 32]), signature: Signature([3; 64]) };
    let budget = |movement| Entry::Budget { at_ms: 1, movement, amount: 500, owner: OWNER };
    let money = format!("{}f401000000000000", n("ad", 16));
    let job = n("09", 16);
    let runtime = Runtime::Infer;
    let reserve = Movement::Reserve { job: JOB, runtime, tasks: 3, fuel: 4, error_ppb: 5 };
    vec![
        (
            Entry::Receipt {
                at_ms: 0x1122,
                job: JOB,
                index: 0x0a0b,
                draw: [13; 80],
                receipt: receipt(),
            },
            1,
            format!("0200002211000000000000{job}0b0a0000{vote}"),
        ),
        (
            Entry::Refused {
                at_ms: 1,
                node: PublicKey([1; 32]),
                lease: LeaseId([2; 16]),
                code: 9,
                receipt: Digest([3; 32]),
            },
            1,
            format!("0200010100000000000000{}{}0900{}", n("01", 32), n("02", 16), n("03", 32)),
        ),
        (
            Entry::Settled {
                at_ms: 1,
                job: JOB,
                index: 2,
                answer: Digest([7; 32]),
                votes: vec![5, 4],
            },
            2,
            format!(
                "0200000100000000000000{job}02000000{}0205000000000000000400000000000000",
                n("07", 32)
            ),
        ),
        (
            Entry::Unanswered {
                at_ms: 1,
                seq: 5,
                place: 1,
                node: PublicKey([1; 32]),
                why: Unanswered::Busy,
            },
            2,
            format!("0200010100000000000000050000000000000001000000{}02", n("01", 32)),
        ),
        (
            Entry::Redrawn { at_ms: 1, seq: 5 },
            2,
            "02000201000000000000000500000000000000".to_owned(),
        ),
        (
            Entry::Rules { at_ms: 1, rules: vec![1, 2, 3] },
            3,
            "0200000100000000000000010203".to_owned(),
        ),
        (
            Entry::Roster { at_ms: 1, removed: vec![PublicKey([9; 32])], added: vec![member(8)] },
            4,
            format!(
                "02000001000000000000000100{}0100{}{}{}",
                n("09", 32),
                n("08", 32),
                n("08", 8),
                n("00", 8)
            ),
        ),
        (
            Entry::Key { at_ms: 1, added: true, hash: Digest([8; 32]), owner: OWNER },
            5,
            format!("0200000100000000000000{}{}", n("08", 32), n("ad", 16)),
        ),
        (
            Entry::Key { at_ms: 1, added: false, hash: Digest([8; 32]), owner: OWNER },
            5,
            format!("0200010100000000000000{}{}", n("08", 32), n("ad", 16)),
        ),
        (
            Entry::AccountLink { at_ms: 1, node: PublicKey([1; 32]), delegation },
            6,
            format!("0200000100000000000000{}{}{}", n("01", 32), n("02", 32), n("03", 64)),
        ),
        (budget(Movement::Grant), 9, format!("0200000100000000000000{money}")),
        (
            budget(reserve),
            9,
            format!("0200010100000000000000{money}{job}0300000004000000000000000500000001"),
        ),
        (
            budget(Movement::Refund(JOB, JobState::Done)),
            9,
            format!("0200020100000000000000{money}{job}"),
        ),
        (
            budget(Movement::Refund(JOB, JobState::Cancelled)),
            9,
            format!("0200030100000000000000{money}{job}"),
        ),
        (
            budget(Movement::Refund(JOB, JobState::OutOfBudget)),
            9,
            format!("0200040100000000000000{money}{job}"),
        ),
    ]
    .into_iter()
    .chain(people())
    .collect()
}

fn people() -> Vec<(Entry, u8, String)> {
    let n = |byte: &str, times: usize| byte.repeat(times);
    let at = |tag: &str| format!("0200{tag}0100000000000000");
    let account = PublicKey([2; 32]);
    let (code, id, team) = (Digest([4; 32]), crate::CampaignId([5; 16]), crate::TeamId([6; 16]));
    let made = |kind| PeopleFact::InvitationMade { code, account, kind, uses: 0x0203 };
    let used = |same_browser| {
        let node = PublicKey([1; 32]);
        PeopleFact::InvitationUsed { code, node, same_browser }
    };
    let opened = |runtime| {
        let (start_ms, end_ms, goal, bonus_ppm) = (7, 8, 9, 10);
        let name = "May".to_owned();
        let terms = CampaignTerms { start_ms, end_ms, goal, bonus_ppm, runtime, name };
        PeopleFact::CampaignOpened { id, terms }
    };
    let change = |change| PeopleFact::Team { change, team, account };
    let numbers = "0700000000000000080000000000000009000000000000000a000000";
    let (codes, member) = (n("04", 32), format!("{}{}", n("06", 16), n("02", 32)));
    [
        (PeopleFact::AccountClosed { account }, 6, format!("{}{}", at("01"), n("02", 32))),
        (made(InvitationKind::Friend), 7, format!("{}{codes}{}0003020000", at("00"), n("02", 32))),
        (made(InvitationKind::Site), 7, format!("{}{codes}{}0103020000", at("00"), n("02", 32))),
        (used(false), 7, format!("{}{codes}{}00", at("01"), n("01", 32))),
        (used(true), 7, format!("{}{codes}{}01", at("01"), n("01", 32))),
        (opened(None), 8, format!("{}{}{numbers}ff034d6179", at("00"), n("05", 16))),
        (
            opened(Some(Runtime::Infer)),
            8,
            format!("{}{}{numbers}01034d6179", at("00"), n("05", 16)),
        ),
        (PeopleFact::CampaignClosed { id }, 8, format!("{}{}", at("01"), n("05", 16))),
        (PeopleFact::Rewards { rules: vec![1, 2, 3] }, 11, format!("{}010203", at("00"))),
        (change(TeamChange::Made), 12, format!("{}{member}", at("00"))),
        (change(TeamChange::Joined), 12, format!("{}{member}", at("01"))),
        (change(TeamChange::Left), 12, format!("{}{member}", at("02"))),
    ]
    .map(|(fact, kind, bytes)| (Entry::People { at_ms: 1, fact }, kind, bytes))
    .to_vec()
}

/// Rules are opaque bytes: any length of them is an entry.
fn is_opaque(entry: &Entry) -> bool {
    matches!(entry, Entry::Rules { .. } | Entry::People { fact: PeopleFact::Rewards { .. }, .. })
}

#[test]
fn every_layout_has_its_golden_bytes() {
    for (entry, kind, expect) in goldens() {
        let bytes = entry.encode();
        assert_eq!(entry.kind() as u8, kind);
        assert_eq!(hex::encode(&bytes), expect);
        assert_eq!(Entry::decode(kind, &bytes), Ok(entry.clone()));
        if !is_opaque(&entry) {
            for end in 0..bytes.len() {
                assert!(Entry::decode(kind, &bytes[..end]).is_err(), "{entry:?} cut to {end}");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert!(Entry::decode(kind, &longer).is_err(), "{entry:?} made longer");
        }
        assert!(Entry::decode(10, &bytes).is_err());
    }
}

#[test]
fn bodies_have_one_length() {
    assert_eq!(receipt().body.encode().len(), ReceiptBody::LENGTH);
}

/// The leaf of each golden entry; a settlement's votes are the golden receipt.
fn leaf(entry: &Entry) -> Leaf {
    let (vote, _, _) = goldens().swap_remove(0);
    Leaf::of(entry, &Digest([42; 32]), |_| Some(vote.clone())).unwrap()
}

#[test]
fn a_receipt_is_hidden_until_its_settlement_opens_it() {
    let goldens = goldens();
    let Leaf::Receipt { at_ms, commitment } = leaf(&goldens[0].0) else { panic!() };
    let bytes = leaf(&goldens[0].0).encode();
    assert_eq!(
        hex::encode(&bytes),
        format!("010200002211000000000000{}", hex::encode(commitment.0)),
        "time and commitment, nothing else"
    );
    assert_eq!(at_ms, 0x1122);
    let Leaf::Settled { votes, .. } = leaf(&goldens[2].0) else { panic!() };
    assert_eq!(votes.iter().map(|vote| vote.seq).collect::<Vec<_>>(), [5, 4]);
    assert_eq!(votes[0].commitment(), commitment);
    assert_eq!(votes[0].receipt, receipt());
    // Another secret, another commitment.
    let other = Leaf::of(&goldens[0].0, &Digest([43; 32]), |_| None).unwrap();
    assert_ne!(other, leaf(&goldens[0].0));
    // A settlement of votes that aren't there has no leaf.
    assert_eq!(Leaf::of(&goldens[2].0, &Digest([42; 32]), |_| None), None);
    let not_a_vote = goldens[4].0.clone();
    assert_eq!(Leaf::of(&goldens[2].0, &Digest([42; 32]), |_| Some(not_a_vote.clone())), None);
}

#[test]
fn leaves_decode_to_themselves_and_nothing_else_does() {
    for (entry, ..) in goldens() {
        let leaf = leaf(&entry);
        let bytes = leaf.encode();
        assert_eq!(Leaf::decode(&bytes), Ok(leaf.clone()));
        assert_eq!(leaf.at_ms(), entry.at_ms());
        if !is_opaque(&entry) {
            for end in 0..bytes.len() {
                assert!(Leaf::decode(&bytes[..end]).is_err(), "{leaf:?} cut to {end}");
            }
            assert!(Leaf::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
    }
    let largest = Leaf::Fact(Entry::Roster {
        at_ms: 1,
        removed: vec![PublicKey([1; 32]); MAX_ROSTER],
        added: vec![member(1); MAX_ROSTER],
    });
    assert!(largest.encode().len() <= usize::from(u16::MAX));
    let opened = Opened { seq: 1, salt: Digest::ZERO, draw: [0; DRAW_PROOF], receipt: receipt() };
    let votes = vec![opened; MAX_VOTES];
    let (at_ms, answer) = (1, Digest::ZERO);
    let largest = Leaf::Settled { at_ms, job: JOB, index: 0, answer, votes };
    assert!(largest.encode().len() <= usize::from(u16::MAX));
    assert_eq!(Leaf::decode(&largest.encode()), Ok(largest));
}

#[test]
fn counts_are_bounded() {
    let settled =
        |votes| Entry::Settled { at_ms: 1, job: JOB, index: 0, answer: Digest::ZERO, votes };
    for (votes, ok) in
        [(vec![], false), (vec![1; MAX_VOTES], true), (vec![1; MAX_VOTES + 1], false)]
    {
        assert_eq!(Entry::decode(2, &settled(votes).encode()).is_ok(), ok);
    }
    let roster = |added| Entry::Roster { at_ms: 1, removed: vec![], added };
    for (count, ok) in [(0, true), (MAX_ROSTER, true), (MAX_ROSTER + 1, false)] {
        assert_eq!(Entry::decode(4, &roster(vec![member(1); count]).encode()).is_ok(), ok);
    }
    let rules = |length| Entry::Rules { at_ms: 1, rules: vec![0; length] };
    assert!(Entry::decode(3, &rules(MAX_RULES).encode()).is_ok());
    assert!(Entry::decode(3, &rules(MAX_RULES + 1).encode()).is_err());
    let rewards = |length| {
        let fact = PeopleFact::Rewards { rules: vec![0; length] };
        Entry::People { at_ms: 1, fact }
    };
    assert!(Entry::decode(11, &rewards(MAX_RULES).encode()).is_ok());
    assert!(Entry::decode(11, &rewards(MAX_RULES + 1).encode()).is_err());
    let campaign = |name: usize, end_ms| {
        let (start_ms, goal, bonus_ppm, runtime) = (2, 1, 1, None);
        let name = "x".repeat(name);
        let terms = CampaignTerms { start_ms, end_ms, goal, bonus_ppm, runtime, name };
        let fact = PeopleFact::CampaignOpened { id: crate::CampaignId([1; 16]), terms };
        Entry::People { at_ms: 1, fact }.encode()
    };
    assert!(Entry::decode(8, &campaign(MAX_CAMPAIGN_NAME, 2)).is_ok());
    assert!(Entry::decode(8, &campaign(MAX_CAMPAIGN_NAME + 1, 2)).is_err());
    assert!(Entry::decode(8, &campaign(1, 1)).is_err(), "it ends before it begins");
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600), kind in 0_u8..14) {
        if let Ok(entry) = Entry::decode(kind, &bytes) {
            prop_assert_eq!(entry.encode(), bytes.clone());
        }
        if let Ok(leaf) = Leaf::decode(&bytes) {
            prop_assert_eq!(leaf.encode(), bytes);
        }
    }

    #[test]
    fn mutated(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let goldens = goldens();
        let (entry, kind, _) = &goldens[which.index(goldens.len())];
        let mut bytes = entry.encode();
        let place = at.index(bytes.len());
        bytes[place] = to;
        if let Ok(entry) = Entry::decode(*kind, &bytes) {
            prop_assert_eq!(entry.encode(), bytes);
        }
        let mut bytes = leaf(entry).encode();
        let place = at.index(bytes.len());
        bytes[place] = to;
        if let Ok(leaf) = Leaf::decode(&bytes) {
            prop_assert_eq!(leaf.encode(), bytes);
        }
    }
}
