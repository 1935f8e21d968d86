//! What the rules of trust promise, each as a property.

use grid_protocol::entry::Member;
use grid_protocol::{Digest, JobId, PublicKey, Runtime};
use grid_scheduler::Task;
use grid_scheduler::trust::{
    Act, Draw, Quorums, Roster, Rules, Settlement, Trust, Vote, Voter, Want,
};
use proptest::collection::vec;
use proptest::prelude::*;

const JOB: JobId = JobId([9; 16]);
const PPB: u32 = 100_000;
/// Spares its result the check at any rate below 1.
const SPARED: Draw = Draw([255; 32]);
/// Checks its result at any rate.
const DRAWN: Draw = Draw([0; 32]);

fn node(number: u8) -> PublicKey {
    PublicKey([number; 32])
}

fn answer(number: u8) -> Digest {
    Digest([number; 32])
}

fn task(index: u32) -> Task {
    Task { job: JOB, index }
}

fn vote(seq: u64, number: u8, says: u8, draw: Draw) -> Vote {
    Vote { seq, voter: Voter::Node(node(number)), answer: answer(says), draw }
}

/// Two nodes agree so often that their class is proven.
fn establish(quorums: &mut Quorums, seq: &mut u64, nodes: [u8; 2], times: u32) {
    let other = JobId([1; 16]);
    quorums.open_job(other, Runtime::Wasm, PPB, times);
    for index in 0..times {
        let votes = nodes.map(|number| {
            *seq += 1;
            vote(*seq, number, 0, DRAWN)
        });
        *seq += 1;
        let agreed = Settlement::new(Task { job: other, index }, answer(0), votes.to_vec());
        quorums.settled(*seq, &agreed);
    }
}

/// Nodes 1 to 4 are established.
fn network() -> (Quorums, u64) {
    let (mut quorums, mut seq) = (Quorums::new(Rules::default()), 0);
    establish(&mut quorums, &mut seq, [1, 2], 6_000);
    establish(&mut quorums, &mut seq, [3, 4], 6_000);
    quorums.open_job(JOB, Runtime::Wasm, PPB, 100);
    (quorums, seq)
}

/// A settlement in which some of eight nodes agree and some don't.
fn settlements() -> impl Strategy<Value = Vec<Vec<(u8, u8)>>> {
    let says = prop_oneof![30 => Just(0_u8), 1 => Just(1_u8)];
    vec(vec((0..8_u8, says), 1..4), 0..200)
}

/// The state after such settlements; the answer 0 is right.
fn state(settlements: &[Vec<(u8, u8)>]) -> Trust {
    let mut trust = Trust::new(Rules { newcomer: 5, window: 50, ..Rules::default() });
    let mut seq = 0;
    for (index, votes) in settlements.iter().enumerate() {
        let mut cast = Vec::new();
        for (number, says) in votes {
            if cast.iter().all(|vote: &Vote| vote.voter != Voter::Node(node(*number))) {
                seq += 1;
                cast.push(vote(seq, *number, *says, DRAWN));
            }
        }
        seq += 1;
        trust.settle(Runtime::Wasm, seq, &Settlement::new(task(index as u32), answer(0), cast));
    }
    trust
}

#[test]
fn a_new_node_is_always_checked() {
    let rules = Rules::default();
    let mut trust = Trust::new(rules);
    for passes in 0..rules.newcomer {
        assert!(trust.standing(Runtime::Wasm, &node(1)).newcomer);
        // However lax the job.
        for ppb in [PPB, 1_000_000_000] {
            assert_eq!(trust.wants(Runtime::Wasm, &[vote(1, 1, 0, SPARED)], ppb), Want::Check);
            assert_eq!(trust.standing(Runtime::Wasm, &node(1)).check_rate(ppb), 1.0);
        }
        let pair = vec![vote(10, 1, 0, SPARED), vote(11, 2, 0, SPARED)];
        trust.settle(Runtime::Wasm, 12, &Settlement::new(task(passes), answer(0), pair));
    }
    assert!(!trust.standing(Runtime::Wasm, &node(1)).newcomer);
    assert_eq!(trust.wants(Runtime::Wasm, &[vote(20, 1, 0, SPARED)], 1_000_000_000), Want::Hold);
}

#[test]
fn a_single_result_waits_for_later_passes() {
    let (mut quorums, mut seq) = network();
    seq += 1;
    let single = seq;
    assert_eq!(quorums.vote(task(0), vote(single, 1, 0, SPARED)), []);
    let hold = Rules::default().hold;
    for pass in 1..=hold {
        let index = pass;
        seq += 2;
        let acts = quorums.vote(task(index), vote(seq - 1, 1, 0, DRAWN));
        assert!(matches!(acts.as_slice(), [Act::Check { avoid, .. }] if *avoid == [node(1)]));
        let acts = quorums.vote(task(index), vote(seq, 2, 0, SPARED));
        let [Act::Settle(pair)] = acts.as_slice() else { panic!("{acts:?}") };
        assert_eq!(quorums.confirm(pair), Ok(()));
        seq += 1;
        let acts = quorums.settled(seq, pair);
        if pass < hold {
            assert_eq!(acts, [], "after {pass} of {hold}");
        } else {
            let alone = Settlement::new(task(0), answer(0), vec![vote(single, 1, 0, SPARED)]);
            assert_eq!(acts, [Act::Settle(alone)]);
        }
    }
}

#[test]
fn checks_of_earlier_results_dont_end_the_hold() {
    let (mut quorums, mut seq) = network();
    let hold = Rules::default().hold;
    let early: Vec<u64> = (0..hold).map(|i| seq + 1 + u64::from(i)).collect();
    for (index, at) in early.iter().enumerate() {
        quorums.vote(task(index as u32), vote(*at, 1, 0, DRAWN));
    }
    seq += u64::from(hold) + 1;
    quorums.vote(task(50), vote(seq, 1, 0, SPARED));
    for index in 0..hold {
        seq += 1;
        let acts = quorums.vote(task(index), vote(seq, 2, 0, SPARED));
        let [Act::Settle(pair)] = acts.as_slice() else { panic!("{acts:?}") };
        seq += 1;
        assert_eq!(quorums.settled(seq, &pair.clone()), []);
    }
}

#[test]
fn a_caught_nodes_provisional_results_are_issued_again() {
    let (mut quorums, mut seq) = network();
    for index in 0..20 {
        seq += 1;
        assert_eq!(quorums.vote(task(index), vote(seq, 1, 0, SPARED)), []);
    }
    seq += 1;
    quorums.vote(task(50), vote(seq, 1, 7, DRAWN));
    seq += 1;
    assert_eq!(
        quorums.vote(task(50), vote(seq, 2, 0, SPARED)),
        [Act::Referee { task: task(50) }],
        "two established nodes differ"
    );
    seq += 1;
    let relay = Vote { seq, voter: Voter::Relay, answer: answer(0), draw: SPARED };
    let acts = quorums.vote(task(50), relay);
    let [Act::Settle(judged)] = acts.as_slice() else { panic!("{acts:?}") };
    seq += 1;
    let acts = quorums.settled(seq, judged);
    let again: Vec<u32> = acts
        .iter()
        .map(|act| match act {
            Act::Reissue { task, avoid, .. } if *avoid == [node(1)] => task.index,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(again, (0..20).collect::<Vec<_>>());
    assert!(quorums.trust().is_caught(&node(1)) && !quorums.trust().is_caught(&node(2)));
    // What comes next stands on its own.
    seq += 1;
    let acts = quorums.vote(task(0), vote(seq, 3, 0, DRAWN));
    assert!(matches!(acts.as_slice(), [Act::Check { .. }]), "{acts:?}");
}

#[test]
fn a_settlement_is_confirmed_or_decided_anew() {
    let (mut quorums, mut seq) = network();
    // Two tasks on which node 1 voted; it is caught by the first.
    for index in 0..2 {
        quorums.vote(task(index), vote(seq + 1, 1, 7 * index as u8, DRAWN));
        seq += 1;
    }
    seq += 1;
    let acts = quorums.vote(task(0), vote(seq, 2, 0, SPARED));
    let [Act::Settle(first)] = acts.as_slice() else { panic!("{acts:?}") };
    let first = first.clone();
    seq += 1;
    quorums.vote(task(1), vote(seq, 2, 0, SPARED));
    seq += 1;
    let relay = Vote { seq, voter: Voter::Relay, answer: answer(0), draw: SPARED };
    let acts = quorums.vote(task(1), relay);
    let [Act::Settle(second)] = acts.as_slice() else { panic!("{acts:?}") };
    seq += 1;
    quorums.settled(seq, &second.clone());
    assert_eq!(quorums.confirm(&first), Err(Vec::new()), "node 2 stands alone, and is held");
    let acts = quorums.tail(JOB);
    let [Act::Check { task: checked, avoid, .. }] = acts.as_slice() else { panic!("{acts:?}") };
    assert_eq!((*checked, avoid.as_slice()), (task(0), [node(1), node(2)].as_slice()));
}

#[test]
fn a_vote_that_overtakes_a_settlement_is_part_of_the_next() {
    let (mut quorums, seq) = network();
    assert!(matches!(quorums.vote(task(1), vote(seq + 1, 1, 7, DRAWN))[..], [Act::Check { .. }]));
    let acts = quorums.vote(task(1), vote(seq + 2, 3, 7, DRAWN));
    let [Act::Settle(first)] = &acts[..] else { panic!("{acts:?}") };
    // The store refuses a settlement that doesn't name every vote.
    assert_eq!(quorums.vote(task(1), vote(seq + 3, 4, 7, DRAWN)), []);
    let Err(acts) = quorums.confirm(first) else { panic!("it names two votes of three") };
    let [Act::Settle(again)] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!(again.votes.len(), 3);
    assert_eq!(quorums.confirm(again), Ok(()));
    assert_eq!(quorums.settled(seq + 4, again), []);
    assert_eq!(quorums.votes(&task(1)), []);
}

#[test]
fn the_tail_of_a_job_is_checked_and_the_relay_fills_in() {
    let (mut quorums, mut seq) = network();
    for index in 0..3 {
        seq += 1;
        quorums.vote(task(index), vote(seq, 1, 0, SPARED));
    }
    let acts = quorums.tail(JOB);
    let checks: Vec<u32> = acts
        .iter()
        .map(|act| match act {
            Act::Check { task, .. } => task.index,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(checks, [0, 1, 2]);
    assert_eq!(quorums.tail(JOB), [], "they are on their way");
    assert_eq!(quorums.no_checker(task(1)), [Act::Referee { task: task(1) }]);
    assert_eq!(quorums.no_checker(task(1)), [], "the relay is at it");
    seq += 1;
    let acts = quorums.vote(task(0), vote(seq, 2, 0, SPARED));
    assert!(matches!(acts.as_slice(), [Act::Settle(_)]), "{acts:?}");
    quorums.end_job(JOB);
    assert_eq!(quorums.resume(), []);
    assert_eq!(quorums.vote(task(2), vote(seq + 1, 3, 0, SPARED)), []);
}

#[test]
fn newcomers_need_many_voters_whoever_they_are() {
    let (mut quorums, seq) = network();
    let trust = quorums.trust();
    // A newcomer's result: its ring may sit anywhere, so each voter counts as
    // drawn, however old.
    let votes: Vec<Vote> = [9, 1, 2, 3, 4]
        .iter()
        .zip(seq + 1..)
        .map(|(number, seq)| vote(seq, *number, 0, SPARED))
        .collect();
    let needed =
        (1..=5).find(|count| trust.wants(Runtime::Wasm, &votes[..*count], PPB) != Want::Check);
    assert_eq!(needed, Some(5));
    // An established node's needs one.
    assert!(matches!(trust.wants(Runtime::Wasm, &votes[1..3], PPB), Want::Settle { .. }));
    // Lies of a newcomer are outvoted, and only by several.
    let lie = vote(seq, 9, 7, SPARED);
    let against = |count: usize| {
        let mut all = vec![lie];
        all.extend_from_slice(&votes[1..=count]);
        trust.wants(Runtime::Wasm, &all, 1_000_000_000)
    };
    assert_eq!(against(1), Want::Check, "nobody is shut out by one, in the laxest job");
    assert_eq!(against(4), Want::Settle { answer: answer(0) });
    let outvoted = [&[lie], &votes[1..5]].concat();
    let effects = {
        quorums.settled(seq + 9, &Settlement::new(task(0), answer(0), outvoted));
        quorums.trust().standing(Runtime::Wasm, &node(9))
    };
    assert_eq!(effects.caught, Some(seq + 9));
}

#[test]
fn undecided_votes_go_to_the_relay() {
    let trust = Trust::new(Rules::default());
    let rules = Rules::default();
    // Everyone says something else.
    let votes: Vec<Vote> = (0..rules.max_votes as u8)
        .map(|number| vote(u64::from(number), number, number, SPARED))
        .collect();
    for count in 1..votes.len() {
        assert_eq!(trust.wants(Runtime::Wasm, &votes[..count], PPB), Want::Check);
    }
    assert_eq!(trust.wants(Runtime::Wasm, &votes, PPB), Want::Referee);
    let relay = Vote { seq: 99, voter: Voter::Relay, answer: answer(3), draw: SPARED };
    let settled = Want::Settle { answer: answer(3) };
    assert_eq!(trust.wants(Runtime::Wasm, &[&votes[..], &[relay]].concat(), PPB), settled);
    assert_eq!(trust.wants(Runtime::Wasm, &[relay], PPB), settled);
}

#[test]
fn a_likely_liars_dissent_proves_nothing() {
    let mut trust = Trust::new(Rules::default());
    // Nearly every new node was caught with its first result.
    for seq in 1..5_000_u64 {
        let mut key = [255; 32];
        key[..8].copy_from_slice(&seq.to_le_bytes());
        let lie = Vote { seq, voter: Voter::Node(PublicKey(key)), answer: answer(7), draw: DRAWN };
        let relay = Vote { seq, voter: Voter::Relay, answer: answer(0), draw: DRAWN };
        trust.settle(Runtime::Wasm, seq, &Settlement::new(task(0), answer(0), vec![lie, relay]));
    }
    assert!(trust.standing(Runtime::Wasm, &node(1)).error > 0.9);
    let votes = [vote(9_001, 1, 1, SPARED), vote(9_002, 2, 2, SPARED), vote(9_003, 3, 3, SPARED)];
    for count in 1..=votes.len() {
        assert_eq!(trust.wants(Runtime::Wasm, &votes[..count], 1_000_000_000), Want::Check);
    }
}

#[test]
fn rosters_change_as_written_down() {
    let member = |number: u8| Member { node: node(number), network: [number; 8], account: [0; 8] };
    let mut roster = Roster::default();
    assert!(roster.candidate(&SPARED, 0).is_none());
    roster.apply(&[1, 2, 3, 4].map(member), &[]);
    roster.apply(&[member(5)], &[node(2), node(9)]);
    assert_eq!(roster.len(), 4);
    // 4 took the place of 2, then 5 came.
    let places: Vec<PublicKey> = (0..200_u32)
        .filter_map(|i| Some((SPARED.candidate(i, 4)?, roster.candidate(&SPARED, i)?.node)))
        .collect::<std::collections::BTreeMap<_, _>>()
        .into_values()
        .collect();
    assert_eq!(places, [1, 4, 3, 5].map(node));
    let moved = Member { network: [7; 8], ..member(3) };
    roster.apply(&[moved], &[]);
    assert_eq!((roster.len(), roster.member(&node(3))), (4, Some(&moved)));
    assert!(roster.member(&node(2)).is_none());
    // Tags of who left still count.
    let near = Member { node: node(8), network: [2; 8], account: [0; 8] };
    assert!(!roster.eligible(&near, &[node(2)]) && roster.eligible(&near, &[node(1)]));
    let kin = |number: u8, account: [u8; 8]| Member { account, ..member(number) };
    roster.apply(&[kin(20, [6; 8]), kin(21, [6; 8]), kin(22, [0; 8])], &[]);
    assert!(!roster.eligible(&kin(21, [6; 8]), &[node(20)]));
    assert!(roster.eligible(&kin(22, [0; 8]), &[node(1), node(20)]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_floor_is_never_undercut(past in settlements(), number in 0..9_u8, ppb in any::<u32>(), bytes in any::<[u8; 32]>()) {
        let trust = state(&past);
        let rate = trust.standing(Runtime::Wasm, &node(number)).check_rate(ppb);
        let floor = f64::from(trust.rules().floor_ppm) / 1e6;
        prop_assert!(rate == 1.0 || rate == floor, "{}", rate);
        let draw = Draw(bytes);
        let want = trust.wants(Runtime::Wasm, &[vote(1_000_000, number, 0, draw)], ppb);
        if draw.fraction() < floor {
            prop_assert_eq!(want, Want::Check);
        }
        let alone = matches!(trust.wants(Runtime::Wasm, &[vote(0, number, 0, SPARED)], ppb), Want::Settle { .. });
        prop_assert!(!alone || trust.standing(Runtime::Wasm, &node(number)).passes >= trust.rules().hold);
    }

    #[test]
    fn order_and_caught_nodes_dont_matter(
        past in settlements(),
        cast in vec((0..9_u8, 0..3_u8, any::<[u8; 32]>()), 0..8),
        ppb in any::<u32>(),
        shift in any::<prop::sample::Index>(),
    ) {
        let trust = state(&past);
        let votes: Vec<Vote> = cast
            .iter()
            .zip(1_000_u64..)
            .map(|((number, says, draw), seq)| vote(seq, *number, *says, Draw(*draw)))
            .collect();
        let want = trust.wants(Runtime::Wasm, &votes, ppb);
        let mut other = votes.clone();
        other.reverse();
        prop_assert_eq!(trust.wants(Runtime::Wasm, &other, ppb), want);
        other.rotate_left(shift.index(votes.len().max(1)).min(votes.len()));
        prop_assert_eq!(trust.wants(Runtime::Wasm, &other, ppb), want);
        other.retain(|vote| !matches!(&vote.voter, Voter::Node(node) if trust.is_caught(node)));
        prop_assert_eq!(trust.wants(Runtime::Wasm, &other, ppb), want);
        if let Want::Settle { answer } = want {
            prop_assert!(other.iter().any(|vote| vote.answer == answer));
        }
    }

    #[test]
    fn only_dissent_is_punished(past in settlements()) {
        let trust = state(&past);
        for number in 0..8 {
            let dissented = past.iter().any(|votes| {
                votes.iter().find(|(who, _)| *who == number).is_some_and(|(_, says)| *says != 0)
            });
            prop_assert_eq!(trust.is_caught(&node(number)), dissented);
        }
    }

    #[test]
    fn voters_are_of_different_groups(
        members in vec((any::<u8>(), 0..6_u8, 0..4_u8), 1..40),
        bytes in any::<[u8; 32]>(),
    ) {
        let mut roster = Roster::default();
        for (number, network, account) in members {
            let member = Member { node: node(number), network: [network; 8], account: [account; 8] };
            roster.apply(&[member], &[]);
        }
        let mut voters: Vec<PublicKey> = Vec::new();
        for i in 0..50 {
            let Some(member) = roster.candidate(&Draw(bytes), i).copied() else { break };
            if roster.eligible(&member, &voters) {
                voters.push(member.node);
            }
        }
        let tags: Vec<&Member> = voters.iter().filter_map(|node| roster.member(node)).collect();
        for (place, one) in tags.iter().enumerate() {
            for other in &tags[..place] {
                prop_assert!(one.node != other.node);
                prop_assert!(one.network != other.network || one.network == [0; 8]);
                prop_assert!(one.account != other.account || one.account == [0; 8]);
            }
        }
    }

    #[test]
    fn a_restart_changes_nothing(events in vec((0..12_u32, 1..9_u8, 0..20_u8, any::<[u8; 32]>()), 0..120)) {
        let open_network = || {
            let few_faulty = Rules { faulty_ppm: 1_000, newcomer: 4, hold: 1, ..Rules::default() };
            let (mut quorums, mut seq) = (Quorums::new(few_faulty), 0);
            establish(&mut quorums, &mut seq, [1, 2], 10);
            establish(&mut quorums, &mut seq, [3, 4], 10);
            (quorums, seq)
        };
        let (mut live, mut seq) = open_network();
        live.open_job(JOB, Runtime::Wasm, PPB, 100);
        let mut open: Vec<(Task, Vote)> = Vec::new();
        let mut log: Vec<(u64, Settlement)> = Vec::new();
        for (index, number, says, draw) in events {
            let voted = live.votes(&task(index)).iter().any(|vote| vote.voter == Voter::Node(node(number)));
            let settled = log.iter().any(|(_, settlement)| settlement.task == task(index));
            if voted || settled || live.trust().is_caught(&node(number)) {
                continue;
            }
            seq += 1;
            let cast = vote(seq, number, u8::from(says == 0), Draw(draw));
            open.push((task(index), cast));
            let mut acts = live.vote(task(index), cast);
            while let Some(act) = acts.pop() {
                let Act::Settle(settlement) = act else { continue };
                match live.confirm(&settlement) {
                    Ok(()) => {
                        seq += 1;
                        log.push((seq, settlement.clone()));
                        open.retain(|(task, _)| *task != settlement.task);
                        acts.extend(live.settled(seq, &settlement));
                    }
                    Err(others) => acts.extend(others),
                }
            }
        }
        let (mut again, _) = open_network();
        for (seq, settlement) in &log {
            again.settled(*seq, settlement);
        }
        again.open_job(JOB, Runtime::Wasm, PPB, 100 - log.len() as u32);
        for (task, vote) in &open {
            again.recall(*task, *vote);
        }
        prop_assert_eq!(again.resume(), live.resume());
        prop_assert_eq!(again.tail(JOB), live.tail(JOB));
        for number in 0..9 {
            prop_assert_eq!(again.trust().standing(Runtime::Wasm, &node(number)), live.trust().standing(Runtime::Wasm, &node(number)));
        }
    }
}

#[test]
fn a_node_is_new_to_each_runtime_and_caught_in_all() {
    let (mut quorums, mut seq) = network();
    let infer = JobId([8; 16]);
    quorums.open_job(infer, Runtime::Infer, PPB, 10);
    let task_of = |index| Task { job: infer, index };
    let standing = |quorums: &Quorums, runtime| quorums.trust().standing(runtime, &node(1));
    assert!(!standing(&quorums, Runtime::Wasm).newcomer);
    assert!(standing(&quorums, Runtime::Infer).newcomer);
    // However proven elsewhere, its result is checked, by as many as a new one's.
    seq += 1;
    let acts = quorums.vote(task_of(0), vote(seq, 1, 0, SPARED));
    assert!(matches!(acts.as_slice(), [Act::Check { .. }]), "{acts:?}");
    for (number, settles) in [(2, false), (3, false), (4, false), (5, true)] {
        seq += 1;
        let acts = quorums.vote(task_of(0), vote(seq, number, 0, SPARED));
        assert_eq!(matches!(acts.as_slice(), [Act::Settle(_)]), settles, "{number}: {acts:?}");
        if let [Act::Settle(settlement)] = acts.as_slice() {
            seq += 1;
            quorums.settled(seq, settlement);
        }
    }
    let passes = |quorums: &Quorums| Runtime::ALL.map(|of| standing(quorums, of).passes);
    assert_eq!(passes(&quorums), [6_000, 1]);
    // A provisional module result, then a lie in the other runtime.
    seq += 1;
    assert_eq!(quorums.vote(task(0), vote(seq, 1, 0, SPARED)), []);
    let lie = vote(seq + 1, 1, 1, DRAWN);
    quorums.vote(task_of(1), lie);
    let relay = Vote { seq: seq + 2, voter: Voter::Relay, answer: answer(0), draw: DRAWN };
    let acts = quorums.vote(task_of(1), relay);
    let [Act::Settle(settlement)] = acts.as_slice() else { panic!("{acts:?}") };
    seq += 3;
    let acts = quorums.settled(seq, &settlement.clone());
    assert!(matches!(acts.as_slice(), [Act::Reissue { task: of, .. }] if *of == task(0)));
    for runtime in Runtime::ALL {
        assert_eq!(standing(&quorums, runtime).caught, Some(seq));
    }
}
