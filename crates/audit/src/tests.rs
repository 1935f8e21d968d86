use crate::testing::{LIMIT, World};
use crate::{Auditor, Fault, Finding, Keys};
use grid_ledger::{Account, RewardRules};
use grid_protocol::api::JobState;
use grid_protocol::entry::{
    DRAW_PROOF, Entry, InvitationKind, Leaf, Movement, OwnerTag, PeopleFact, TeamChange, Unanswered,
};
use grid_protocol::{Delegation, Digest, JobId, PublicKey, Runtime, SigningKey};
use grid_scheduler::Task;
use grid_scheduler::trust::Rules;
use proptest::prelude::*;

const ERROR: u32 = 100_000;

fn audit(relay: PublicKey, leaves: &[Vec<u8>]) -> Auditor {
    let keys = Keys::new(relay).unwrap();
    let mut auditor = Auditor::new(relay);
    for (at, leaf) in leaves.iter().enumerate() {
        auditor.apply(keys.read(at as u64 + 1, leaf));
    }
    auditor
}

/// What an audit of the world's log finds, by code, each once.
fn codes(world: &World) -> Vec<&'static str> {
    let auditor = audit(world.relay(), world.leaves());
    let mut codes: Vec<_> = auditor.findings().iter().map(|found| found.fault.code()).collect();
    codes.dedup();
    codes
}

fn check(expect: &[&str], cheat: impl FnOnce(&mut World, JobId)) {
    let mut world = World::new(5, Rules::default());
    let job = world.job(100, ERROR);
    world.compute(job, 0..10);
    assert_eq!(codes(&world), [""; 0], "honest so far");
    cheat(&mut world, job);
    assert_eq!(codes(&world), expect);
}

#[test]
fn an_honest_log_agrees_to_the_last_point() {
    let mut world = World::new(5, Rules::default());
    world.liars = vec![3];
    let job = world.job(300, ERROR);
    world.compute(job, 0..300);
    world.tail(job);
    let auditor = audit(world.relay(), world.leaves());
    assert_eq!(auditor.findings(), []);
    let counts = auditor.counts();
    assert_eq!((counts.settled, counts.hidden, counts.caught), (300, 0, 1));
    assert!(auditor.balances());
    let liar = world.nodes[3].public();
    let points = auditor.points();
    let of = |node: PublicKey| points.iter().find(|points| points.node == node).unwrap();
    assert_eq!((of(liar).fuel, of(liar).tasks), (0, 0), "a lie earns nothing");
    assert!(of(liar).caught.is_some());
    let earned: u64 = points.iter().map(|points| points.fuel).sum();
    let reserved = 300 * LIMIT * 4;
    world.end(job, JobState::Done, reserved - earned);
    let auditor = audit(world.relay(), world.leaves());
    assert_eq!(auditor.findings(), []);
    assert!(auditor.balances());
}

#[test]
fn trusted_nodes_settle_alone() {
    let rules = Rules { newcomer: 2, hold: 1, ..Rules::default() };
    let mut world = World::new(3, rules);
    let job = world.job(400, 1_000_000_000);
    world.compute(job, 0..400);
    let auditor = audit(world.relay(), world.leaves());
    assert_eq!(auditor.findings(), []);
    assert!(auditor.counts().alone > 0, "{:?}", auditor.counts());
}

#[test]
fn a_result_that_stands_alone_too_early() {
    check(&["quorum"], |world, job| {
        let task = Task { job, index: 50 };
        let seq = world.vote(task, Some(0));
        let answer = world.receipt(task, Some(0)).body.answer();
        world.settle(task, answer, vec![seq]);
    });
}

#[test]
fn a_checker_that_was_not_drawn() {
    check(&["not_drawn"], |world, job| {
        // Of five, the draw names one for each task: not always node 1.
        for index in 20..40 {
            let task = Task { job, index };
            let votes = vec![world.vote(task, Some(0)), world.vote(task, Some(1))];
            let votes = [votes, vec![world.vote(task, None)]].concat();
            let answer = world.receipt(task, Some(0)).body.answer();
            world.settle(task, answer, votes);
        }
    });
}

#[test]
fn an_unanswered_draw_is_passed_and_logged() {
    let mut world = World::new(2, Rules::default());
    let job = world.job(100, ERROR);
    let task = Task { job, index: 0 };
    let first = world.vote(task, Some(0));
    let excused = |place| {
        let node = world_node(1);
        move |at_ms| Entry::Unanswered { at_ms, seq: first, place, node, why: Unanswered::Silent }
    };
    // Both nodes are passed, one as the voter itself, one as silent.
    for place in 0..8 {
        world.push(excused(place));
    }
    let referee = world.vote(task, None);
    let answer = world.receipt(task, Some(0)).body.answer();
    world.settle(task, answer, vec![first, referee]);
    let auditor = audit(world.relay(), world.leaves());
    assert_eq!(auditor.findings(), []);
    assert_eq!(auditor.counts().unanswered, 8);
    // A draw that isn't one.
    world.push(|at_ms| {
        let (node, why) = (world_node(1), Unanswered::Absent);
        Entry::Unanswered { at_ms, seq: 1, place: 0, node, why }
    });
    assert_eq!(codes(&world), ["unanswered"]);
}

fn world_node(at: usize) -> PublicKey {
    SigningKey::from_seed(Digest::of(&at.to_le_bytes()).0).public()
}

#[test]
fn a_draw_that_was_ground() {
    check(&["draw"], |world, job| {
        let task = Task { job, index: 50 };
        let seq = world.vote(task, Some(0));
        let Entry::Receipt { receipt, .. } = world.entry(seq).clone() else { panic!() };
        // The proof of another receipt, with a draw that pleases more.
        let Entry::Receipt { draw: other, .. } = world.entry(5).clone() else { panic!() };
        let forged = world.push(|at_ms| Entry::Receipt {
            at_ms,
            job,
            index: 50,
            draw: other,
            receipt: receipt.clone(),
        });
        let answer = receipt.body.answer();
        world.settle(task, answer, vec![forged]);
    });
}

#[test]
fn a_credit_without_a_receipt() {
    // A vote that no entry committed to: the leaf is written by hand.
    let mut world = World::new(5, Rules::default());
    let job = world.job(100, ERROR);
    world.compute(job, 0..10);
    let mut leaves = world.leaves().to_vec();
    let settled =
        leaves.iter().rposition(|leaf| matches!(Leaf::decode(leaf), Ok(Leaf::Settled { .. })));
    let Ok(Leaf::Settled { at_ms, job, mut votes, answer, .. }) =
        Leaf::decode(&leaves[settled.unwrap()])
    else {
        panic!()
    };
    for vote in &mut votes {
        vote.seq += 1_000;
    }
    leaves.push(Leaf::Settled { at_ms, job, index: 77, answer, votes }.encode());
    let auditor = audit(world.relay(), &leaves);
    let codes: Vec<_> = auditor.findings().iter().map(|found| found.fault.code()).collect();
    assert!(codes.contains(&"not_hidden") && codes.contains(&"lease"), "{codes:?}");
}

#[test]
fn a_receipt_that_is_opened_as_another() {
    check(&["opened"], |world, job| {
        let task = Task { job, index: 50 };
        let (one, two) = (world.vote(task, Some(0)), world.vote(task, None));
        let answer = world.receipt(task, None).body.answer();
        // The leaves of its receipts change places after they were hidden.
        world.settle(task, answer, vec![two, one]);
        world.swap_leaves(one, two);
    });
}

#[test]
fn answers_and_tasks_that_do_not_belong() {
    check(&["answer", "quorum"], |world, job| {
        let task = Task { job, index: 50 };
        let votes = vec![world.vote(task, Some(0)), world.vote(task, None)];
        world.settle(task, Digest::of(b"another"), votes);
    });
    check(&["spec"], |world, job| {
        let (task, other) = (Task { job, index: 50 }, Task { job, index: 51 });
        let votes = vec![world.vote(task, None), world.vote(other, Some(0))];
        let answer = world.receipt(task, None).body.answer();
        world.settle(task, answer, votes);
    });
}

#[test]
fn settled_twice_and_jobs_that_are_not() {
    check(&["lease", "settled_twice"], |world, job| {
        let task = Task { job, index: 50 };
        for _ in 0..2 {
            let seq = world.vote(task, None);
            let answer = world.receipt(task, None).body.answer();
            world.settle(task, answer, vec![seq]);
        }
    });
    check(&["no_such_job"], |world, _| {
        let task = Task { job: JobId([99; 16]), index: 0 };
        let seq = world.vote(task, None);
        let answer = world.receipt(task, None).body.answer();
        world.settle(task, answer, vec![seq]);
    });
    check(&["no_such_task"], |world, job| {
        let task = Task { job, index: 100 };
        let seq = world.vote(task, None);
        let answer = world.receipt(task, None).body.answer();
        world.settle(task, answer, vec![seq]);
    });
}

#[test]
fn money_that_is_not_there() {
    let owner = OwnerTag([8; 16]);
    let reserve = |job, amount, owner| {
        move |at_ms| {
            let movement = Movement::Reserve {
                job,
                runtime: Runtime::Wasm,
                tasks: 1,
                fuel: LIMIT,
                error_ppb: ERROR,
            };
            Entry::Budget { at_ms, movement, amount, owner }
        }
    };
    check(&["money"], |world, _| {
        world.push(reserve(JobId([50; 16]), 1, owner));
    });
    check(&["reserved_twice"], |world, job| {
        world.push(reserve(job, 0, owner));
    });
    check(&["refund"], |world, job| {
        world.end(job, JobState::Cancelled, 1);
    });
    check(&["not_done"], |world, job| {
        world.end(job, JobState::Done, 1);
    });
}

#[test]
fn rosters_rules_and_links() {
    check(&["roster"], |world, _| {
        let removed = vec![PublicKey([4; 32])];
        world.push(|at_ms| Entry::Roster { at_ms, removed, added: Vec::new() });
    });
    check(&["rules"], |world, _| {
        world.push(|at_ms| Entry::Rules { at_ms, rules: vec![1, 2, 3] });
    });
    let link = |signer: u8| {
        let account = SigningKey::from_seed([signer; 32]);
        let delegation = Delegation::sign(&account, &world_node(0));
        let account = SigningKey::from_seed([77; 32]).public();
        let delegation = Delegation { account, ..delegation };
        move |at_ms| Entry::AccountLink { at_ms, node: world_node(0), delegation }
    };
    check(&[], |world, _| {
        world.push(link(77));
    });
    check(&["link"], |world, _| {
        world.push(link(78));
    });
}

#[test]
fn receipts_of_others() {
    let vote = |change: fn(&mut grid_protocol::ReceiptBody), sign_as: Option<usize>| {
        move |world: &mut World, job| {
            let task = Task { job, index: 50 };
            let mut body = world.receipt(task, Some(0)).body;
            change(&mut body);
            let key = SigningKey::from_seed(Digest::of(&sign_as.unwrap_or(0).to_le_bytes()).0);
            let receipt = body.sign(&key);
            let answer = receipt.body.answer();
            let (seq, _) = world.commit(task, receipt);
            let relay = world.vote(task, None);
            world.settle(task, answer, vec![seq, relay]);
        }
    };
    check(&["relay"], vote(|body| body.relay = PublicKey([5; 32]), None));
    check(&["signature"], vote(|_| {}, Some(1)));
    check(&["fuel", "quorum", "money"], vote(|body| body.fuel = LIMIT * 1000, None));
}

#[test]
fn a_leaf_that_is_none() {
    let world = World::new(2, Rules::default());
    let mut leaves = world.leaves().to_vec();
    leaves.push(vec![1, 2, 3]);
    leaves.push(Vec::new());
    let auditor = audit(world.relay(), &leaves);
    let malformed = |seq| Finding { seq, fault: Fault::Malformed };
    assert_eq!(auditor.findings(), [malformed(4), malformed(5)]);
    assert_eq!(DRAW_PROOF, 80);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any change to a settled leaf is found by someone: the tree, or this.
    #[test]
    fn changed_leaves_never_panic(at in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut world = World::new(4, Rules::default());
        let job = world.job(20, ERROR);
        world.compute(job, 0..12);
        let mut leaves = world.leaves().to_vec();
        let at = at.index(leaves.len());
        let byte = byte.index(leaves[at].len());
        leaves[at][byte] = to;
        let auditor = audit(world.relay(), &leaves);
        prop_assert_eq!(auditor.counts().entries, leaves.len() as u64);
    }
}

fn say(world: &mut World, fact: PeopleFact) -> u64 {
    world.push(|at_ms| Entry::People { at_ms, fact })
}

#[test]
fn rewards_are_a_function_of_the_log() {
    let mut world = World::new(5, Rules::default());
    let rules = RewardRules { reliability_passes: 5, ..RewardRules::default() };
    say(&mut world, PeopleFact::Rewards { rules: rules.encode() });
    let inviter = world.nodes[1].public();
    let (code, kind, node) = (Digest([5; 32]), InvitationKind::Friend, world.nodes[0].public());
    let made = PeopleFact::InvitationMade { code, account: inviter, kind, uses: 1 };
    say(&mut world, made);
    say(&mut world, PeopleFact::InvitationUsed { code, node, same_browser: false });
    let job = world.job(100, ERROR);
    world.compute(job, 0..60);
    world.wait(86_400_000);
    world.compute(job, 60..61);
    let auditor = audit(world.relay(), world.leaves());
    assert_eq!(auditor.findings(), []);
    let ledger = auditor.ledger();
    let points = ledger.points(&node);
    let (work, _) = ledger.work(&node);
    assert_eq!(points.work, work);
    assert!(points.reliability > 0 && points.availability > 0, "{points:?}");
    assert_eq!(points.availability, (work / 10).min(points.availability));
    assert!(ledger.points(&inviter).invited > 0);
    assert!(auditor.balances());
    assert_eq!(ledger.info().held, 0, "what is held only the relay knows");
    let job = ledger.balance(Account::Job(job));
    let earned: u64 = auditor.points().iter().map(|node| node.fuel).sum();
    assert_eq!(job, i128::from(100 * LIMIT * 4 - earned));
}

#[test]
fn what_people_can_not_have_done() {
    let (account, node) = (PublicKey([3; 32]), PublicKey([4; 32]));
    let (code, kind) = (Digest([5; 32]), InvitationKind::Site);
    let made = PeopleFact::InvitationMade { code, account, kind, uses: 1 };
    let used = |node| PeopleFact::InvitationUsed { code, node, same_browser: false };
    let team = |change| {
        let team = grid_protocol::TeamId([6; 16]);
        PeopleFact::Team { change, team, account }
    };
    let id = grid_protocol::CampaignId([1; 16]);
    let closed = PeopleFact::AccountClosed { account };
    use TeamChange::{Joined, Left, Made};
    let wrong = [
        vec![PeopleFact::Rewards { rules: vec![1, 2] }],
        vec![used(node)],
        vec![made.clone(), made.clone()],
        vec![made.clone(), used(node), used(node)],
        vec![made.clone(), used(node), used(account)],
        vec![team(Joined)],
        vec![team(Made), team(Made)],
        vec![team(Left)],
        vec![PeopleFact::CampaignClosed { id }],
        vec![closed.clone(), made.clone()],
        vec![closed.clone(), closed.clone()],
    ];
    for mut facts in wrong {
        let last = facts.pop().unwrap();
        check(&["people"], |world, _| {
            for fact in facts {
                say(world, fact);
            }
            assert_eq!(codes(world), [""; 0], "right until {last:?}");
            say(world, last);
        });
    }
    // A link to an account that was deleted.
    let owner = SigningKey::from_seed([8; 32]);
    check(&["people"], |world, _| {
        say(world, PeopleFact::AccountClosed { account: owner.public() });
        let node = world.nodes[0].public();
        let delegation = Delegation::sign(&owner, &node);
        world.push(|at_ms| Entry::AccountLink { at_ms, node, delegation });
    });
    check(&[], |world, _| {
        for fact in [made, used(node), team(Made), team(Left), closed] {
            say(world, fact);
        }
    });
}
