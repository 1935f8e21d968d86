//! Who is paid for whom he brought.

use super::*;

#[test]
fn inviters_share_up_to_their_caps_and_no_deeper() {
    let mut world = World::new(RULES);
    world.link(1, 50);
    world.roster(1, 1);
    world.invite(1, 50, InvitationKind::Friend, 10);
    world.come(2, 1, false);
    world.invite(2, 2, InvitationKind::Friend, 10);
    world.come(3, 2, false);
    world.work(&[3], 1_000);
    assert_eq!((world.points(2).invited, world.points(50).invited), (50, 0), "one level");
    world.work(&[2], 1_000);
    assert_eq!(world.points(50).invited, 50);
    world.work(&[2], 10_000);
    assert_eq!(world.points(50).invited, 100, "a day's cap");
    world.at_ms += DAY;
    world.work(&[2], 10_000);
    assert_eq!(world.points(50).invited, 120, "what one who was invited brings at most");
    assert_eq!(world.points(2).work, 21_000, "which costs them nothing");
    // And not for ever.
    world.come(4, 1, false);
    world.at_ms += 3 * DAY;
    world.work(&[4], 1_000);
    assert_eq!(world.points(50).invited, 120);
    assert_eq!(world.suspicions(), []);
}

#[test]
fn the_first_code_counts_and_only_for_newcomers() {
    let mut world = World::new(RULES);
    for (node, account) in [(3, 50), (4, 51)] {
        world.link(node, account);
        world.roster(node, node);
    }
    world.invite(1, 50, InvitationKind::Friend, 1);
    world.invite(2, 51, InvitationKind::Friend, 10);
    world.come(1, 1, false);
    world.come(1, 2, false);
    world.come(2, 1, false);
    world.work(&[9], 10);
    world.come(9, 2, false);
    world.come(8, 77, false);
    for node in [1, 2, 9, 8] {
        world.work(&[node], 100);
    }
    assert_eq!((world.points(50).invited, world.points(51).invited), (5, 0));
    assert_eq!(world.log.person_info(key(50), world.at_ms).invited, 1);
    assert_eq!(world.log.inviter(&key(1)), Some(key(50)));
}

#[test]
fn nobody_is_paid_for_inviting_themselves() {
    let mut world = World::new(RULES);
    let friend = InvitationKind::Friend;
    // By a node of the same account, linked before or after.
    world.link(1, 50);
    world.invite(1, 50, friend, 100);
    world.come(1, 1, false);
    world.come(2, 1, false);
    world.link(2, 50);
    // In the same browser, in the same network.
    world.come(3, 1, true);
    world.come(4, 1, false);
    world.roster(1, 77);
    world.roster(4, 77);
    for node in 1..=4 {
        world.work(&[node], 1_000);
    }
    assert_eq!(world.points(50).invited, 0);
    use Suspicion::{SameAccount, SameBrowser, SameNetwork};
    let mut found = world.suspicions();
    found.sort_by_key(|(why, _)| format!("{why:?}"));
    let expect = [SameAccount, SameBrowser, SameNetwork].map(|why| (why, 50));
    assert_eq!(found, expect);
    let own = world.log.suspects().into_iter().find(|one| one.why == SameAccount).unwrap();
    assert!(own.words.ends_with("the account's own code: 2"), "{}", own.words);
    // Who moved away is a friend again.
    world.roster(4, 78);
    world.work(&[4], 1_000);
    assert_eq!(world.points(50).invited, 50);
    // Before the log says where a node is, nobody knows whether it sits there.
    world.come_unplaced(5, 1, false);
    world.work(&[5], 1_000);
    assert_eq!(world.points(50).invited, 50);
    world.roster(5, 0);
    world.work(&[5], 1_000);
    assert_eq!(world.points(50).invited, 100, "where the relay can't tell, it is believed");
}

#[test]
fn who_lends_nothing_is_paid_for_nobody() {
    let mut world = World::new(RULES);
    world.invite(1, 50, InvitationKind::Friend, 10);
    world.come(2, 1, false);
    world.work(&[2], 1_000);
    assert_eq!(world.points(50).invited, 0, "it may sit beside the one it invited");
    world.link(1, 50);
    world.work(&[2], 1_000);
    assert_eq!(world.points(50).invited, 0);
    world.roster(1, 1);
    world.work(&[2], 1_000);
    assert_eq!(world.points(50).invited, 50);
    // Nor is who took its nodes elsewhere.
    world.link(1, 51);
    world.work(&[2], 1_000);
    assert_eq!(world.points(50).invited, 50);
}

#[test]
fn proven_nodes_are_nobodys_to_bring() {
    let mut world = World::new(RULES);
    for node in [1, 2, 3] {
        world.link(node, 50);
        world.roster(node, node);
    }
    world.work(&[2], 1_000);
    world.work(&[9], 1_000);
    // An account that the first one's code brings, and that takes over its nodes.
    world.invite(1, 50, InvitationKind::Friend, 10);
    world.come(4, 1, false);
    world.link(4, 51);
    world.link(2, 51);
    world.link(9, 51);
    world.roster(9, 9);
    world.work(&[2, 9], 1_000);
    assert_eq!(world.points(50).invited, 0, "they worked before they were invited");
    world.link(3, 51);
    world.work(&[3], 1_000);
    world.work(&[4], 1_000);
    assert_eq!(world.points(50).invited, 100, "who came new did not");
    // What a node brought itself, its account keeps.
    world.come(5, 1, false);
    world.work(&[5], 100);
    world.link(5, 52);
    world.at_ms += DAY;
    let before = world.points(50).invited;
    world.work(&[5], 100);
    assert_eq!(world.points(50).invited, before + 5);
}

#[test]
fn rings_are_found_however_long() {
    let mut world = World::new(RULES);
    for (code, account) in [(1, 1), (2, 2), (3, 3)] {
        world.invite(code, account, InvitationKind::Friend, 10);
    }
    world.come(2, 1, false);
    world.come(3, 2, false);
    assert_eq!(world.suspicions(), []);
    world.come(4, 3, false);
    world.come(1, 3, false);
    use Suspicion::Ring;
    assert_eq!(world.suspicions(), [(Ring, 1), (Ring, 2), (Ring, 3)]);
    for node in 1..=4 {
        world.work(&[node], 1_000);
    }
    let invited: Vec<u64> = (1..=4).map(|node| world.points(node).invited).collect();
    assert_eq!(invited, [0, 0, 50, 0], "who only hangs on is paid for");
    // A node's invitation becomes its account's: that may close a ring too.
    let mut world = World::new(RULES);
    world.invite(1, 50, InvitationKind::Friend, 10);
    world.come(5, 1, false);
    world.invite(2, 5, InvitationKind::Friend, 10);
    world.come(6, 2, false);
    assert_eq!(world.suspicions(), []);
    world.link(6, 50);
    assert_eq!(world.suspicions(), [(Ring, 5), (Ring, 50)]);
    // As may a key that invited before it was somebody's.
    let mut world = World::new(RULES);
    world.invite(1, 50, InvitationKind::Friend, 10);
    world.come(5, 1, false);
    world.link(5, 51);
    world.invite(2, 6, InvitationKind::Friend, 10);
    world.come(7, 2, false);
    world.link(7, 50);
    assert_eq!(world.suspicions(), []);
    world.link(6, 51);
    assert_eq!(world.suspicions(), [(Ring, 50), (Ring, 51)]);
}
