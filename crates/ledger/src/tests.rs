use crate::book::Reason;
use crate::{Account, Fact, Ledger, Receipt, RewardRules, Vote};
use grid_protocol::api::{JobState, Suspicion};
use grid_protocol::entry::{
    CampaignTerms, Entry, InvitationKind, Member, Movement, OwnerTag, PeopleFact, TeamChange,
    Unanswered,
};
use grid_protocol::{CampaignId, Delegation, Digest, JobId, PublicKey, Runtime, Signature, TeamId};
use proptest::prelude::*;

mod invitations;

const RELAY: PublicKey = PublicKey([255; 32]);
const OWNER: OwnerTag = OwnerTag([9; 16]);
const DAY: u64 = 86_400_000;
const ANSWER: Digest = Digest([1; 32]);

fn key(number: u8) -> PublicKey {
    PublicKey([number; 32])
}

/// A ledger as the log alone makes it, and one as the relay has it.
struct World {
    log: Ledger,
    relay: Ledger,
    seq: u64,
    at_ms: u64,
    job: u8,
    /// Receipts of the job that are not settled: entry, node, fuel.
    open: Vec<(u64, u8, u64)>,
}

impl World {
    fn new(rules: RewardRules) -> Self {
        let mut world = Self {
            log: Ledger::new(RELAY),
            relay: Ledger::keeping(RELAY),
            seq: 0,
            at_ms: 20_000 * DAY,
            job: 0,
            open: Vec::new(),
        };
        world.people(PeopleFact::Rewards { rules: rules.encode() });
        world.budget(Movement::Grant, 1 << 60);
        world.start();
        world
    }

    fn apply(&mut self, fact: Fact<'_>) {
        self.seq += 1;
        let public = if let Fact::Receipt(_) = fact { Fact::Receipt(None) } else { fact };
        self.log.apply(self.seq, self.at_ms, public);
        self.relay.apply(self.seq, self.at_ms, fact);
        self.check();
    }

    /// What holds at every moment.
    fn check(&self) {
        for ledger in [&self.log, &self.relay] {
            assert_eq!(ledger.sum(), 0, "all accounts together are zero");
            for person in ledger.info().people {
                let balance = ledger.balance(Account::Person(person.key));
                assert_eq!(balance, i128::from(person.points.total()));
            }
        }
        let (log, relay) = (self.log.info(), self.relay.info());
        assert_eq!(log.people, relay.people, "what is held changes nothing that is confirmed");
        assert_eq!((log.issued, log.owners), (relay.issued, relay.owners));
        assert_eq!(log.jobs, relay.jobs + relay.held);
        assert_eq!(log.held, 0);
        let sum = |of: fn(&grid_protocol::api::Points) -> u64| {
            log.people.iter().map(|person| u128::from(of(&person.points))).sum::<u128>()
        };
        let work = sum(|points| points.work) + sum(|points| points.site);
        assert!(sum(|points| points.availability) * 10 <= work, "at most a tenth");
    }

    fn entry(&mut self, entry: &Entry) {
        self.apply(Fact::Entry(entry));
    }

    fn people(&mut self, fact: PeopleFact) {
        self.entry(&Entry::People { at_ms: self.at_ms, fact });
    }

    fn budget(&mut self, movement: Movement, amount: u64) {
        self.entry(&Entry::Budget { at_ms: self.at_ms, movement, amount, owner: OWNER });
    }

    fn id(&self) -> JobId {
        JobId([self.job; 16])
    }

    fn start(&mut self) {
        self.job = self.job.wrapping_add(1);
        let (job, runtime, tasks, fuel) = (self.id(), Runtime::Wasm, 1_000, 1_000);
        let movement = Movement::Reserve { job, runtime, tasks, fuel, error_ppb: 1 };
        self.budget(movement, 1 << 40);
    }

    fn end(&mut self) {
        let left = self.log.balance(Account::Job(self.id()));
        self.open.clear();
        let movement = Movement::Refund(self.id(), JobState::Cancelled);
        self.budget(movement, u64::try_from(left).unwrap());
        assert_eq!(self.relay.balance(Account::Job(self.id())), 0, "nothing is left in a job");
    }

    fn commit(&mut self, node: u8, fuel: u64) -> Vote {
        let (job, node) = (self.id(), key(node));
        self.apply(Fact::Receipt(Some(Receipt { job, node, fuel })));
        Vote { seq: self.seq, node, answer: ANSWER, fuel }
    }

    fn settle(&mut self, votes: &[Vote]) {
        self.apply(Fact::Settled { job: self.id(), answer: ANSWER, votes });
    }

    /// One task, computed by the first and checked by the others.
    fn work(&mut self, nodes: &[u8], fuel: u64) {
        let votes: Vec<Vote> = nodes.iter().map(|node| self.commit(*node, fuel)).collect();
        self.settle(&votes);
    }

    fn link(&mut self, node: u8, account: u8) {
        let delegation = Delegation { account: key(account), signature: Signature([0; 64]) };
        self.entry(&Entry::AccountLink { at_ms: self.at_ms, node: key(node), delegation });
    }

    fn invite(&mut self, code: u8, account: u8, kind: InvitationKind, uses: u32) {
        let code = Digest([code; 32]);
        self.people(PeopleFact::InvitationMade { code, account: key(account), kind, uses });
    }

    /// A node comes by a code, and is on the roster in a network of its own.
    fn come(&mut self, node: u8, code: u8, same_browser: bool) {
        self.come_unplaced(node, code, same_browser);
        self.roster(node, node);
    }

    fn come_unplaced(&mut self, node: u8, code: u8, same_browser: bool) {
        let (node, code) = (key(node), Digest([code; 32]));
        self.people(PeopleFact::InvitationUsed { code, node, same_browser });
    }

    fn roster(&mut self, node: u8, network: u8) {
        let member = Member { node: key(node), network: [network; 8], account: [0; 8] };
        let (removed, added) = (Vec::new(), vec![member]);
        self.entry(&Entry::Roster { at_ms: self.at_ms, removed, added });
    }

    fn team(&mut self, change: TeamChange, account: u8) {
        self.people(PeopleFact::Team { change, team: TeamId([7; 16]), account: key(account) });
    }

    fn points(&self, of: u8) -> grid_protocol::api::Points {
        self.log.points(&key(of))
    }

    fn suspicions(&self) -> Vec<(Suspicion, u8)> {
        self.log.suspects().iter().map(|one| (one.why, one.person.0[0])).collect()
    }
}

/// Simple numbers.
const RULES: RewardRules = RewardRules {
    availability: 50,
    availability_cap_ppm: 100_000,
    reliability_ppm: 20_000,
    reliability_passes: 3,
    invitation_ppm: 50_000,
    invitation_cap: 120,
    inviter_daily_cap: 100,
    invitation_days: 3,
    site_ppm: 750_000,
};

#[test]
fn work_is_held_then_confirmed() {
    let mut world = World::new(RULES);
    let vote = world.commit(1, 1_000);
    assert_eq!(world.relay.balance(Account::Held(key(1))), 1_000);
    assert_eq!(world.relay.person_info(key(1), world.at_ms).held, 0, "not known as a node yet");
    assert_eq!(world.points(1).total(), 0);
    let checked = world.commit(2, 1_000);
    world.settle(&[vote, checked]);
    assert_eq!(world.relay.balance(Account::Held(key(1))), 0);
    assert_eq!((world.points(1).work, world.points(2).work), (1_000, 1_000));
    assert_eq!(world.log.work(&key(1)), (1_000, 1));
    let info = world.relay.person_info(key(1), world.at_ms);
    assert_eq!((info.today, info.week, info.total), (1_000, 1_000, 1_000));
    let reasons: Vec<_> = world.relay.postings(&key(1)).iter().map(|one| one.reason).collect();
    assert_eq!(reasons, [Reason::Work]);
}

#[test]
fn who_is_caught_is_taken_everything_that_is_held() {
    let mut world = World::new(RULES);
    // A day that would be rewarded.
    for _ in 0..3 {
        world.work(&[1, 3], 1_000);
    }
    let (other, lie) = (world.commit(3, 500), world.commit(3, 700));
    let (right, also) = (world.commit(1, 700), world.commit(2, 700));
    assert_eq!(world.relay.balance(Account::Held(key(3))), 1_200);
    world.settle(&[right, Vote { answer: Digest([2; 32]), ..lie }, also]);
    assert_eq!(world.relay.balance(Account::Held(key(3))), 0, "taken back");
    assert_eq!(world.points(3).total(), 3_000, "what was confirmed before stays");
    world.settle(&[other]);
    assert_eq!(world.points(3).total(), 3_000, "nothing more is paid");
    world.commit(3, 100);
    assert_eq!(world.relay.balance(Account::Held(key(3))), 0);
    world.at_ms += DAY;
    world.work(&[1], 10);
    assert_eq!(world.points(3).total(), 3_000, "nor rewarded for the day");
    world.end();
}

#[test]
fn the_relays_own_runs_are_not_paid() {
    let mut world = World::new(RULES);
    world.work(&[1, 255], 1_000);
    assert_eq!(world.log.points(&RELAY).total(), 0);
    assert_eq!(world.points(1).work, 1_000);
}

#[test]
fn nodes_lead_by_days_of_utc() {
    let mut world = World::new(RULES);
    world.work(&[1], 1_000);
    world.at_ms += DAY - 1;
    world.work(&[2, 255], 600);
    let led = |world: &World, days| {
        let (nodes, count) = world.log.node_leaders(days, world.at_ms);
        assert_eq!(count, nodes.len() as u64);
        nodes.iter().map(|one| (one.node.0[0], one.fuel, one.tasks)).collect::<Vec<_>>()
    };
    assert_eq!(led(&world, Some(1)), [(1, 1_000, 1), (2, 600, 1)]);
    world.at_ms += 1;
    world.work(&[2], 600);
    assert_eq!(led(&world, Some(1)), [(2, 600, 1)]);
    assert_eq!(led(&world, Some(7)), [(2, 1_200, 2), (1, 1_000, 1)]);
    world.at_ms += 6 * DAY;
    assert_eq!(led(&world, Some(1)), []);
    assert_eq!(led(&world, Some(7)), [(2, 600, 1)]);
    assert_eq!(led(&world, None), [(2, 1_200, 2), (1, 1_000, 1)]);
}

#[test]
fn a_day_is_rewarded_when_it_is_over() {
    let mut world = World::new(RULES);
    for _ in 0..3 {
        world.work(&[1, 2], 1_000);
    }
    assert_eq!((world.points(2).availability, world.points(2).reliability), (0, 0));
    world.at_ms += DAY;
    world.work(&[3], 10);
    // Node 2 answered three challenges, node 1 none; both passed three checks.
    assert_eq!(world.points(2).availability, 150);
    assert_eq!(world.points(1).availability, 0);
    assert_eq!((world.points(1).reliability, world.points(2).reliability), (60, 60));
    // Two days later nothing more comes of it; one pass is too few.
    world.at_ms += 2 * DAY;
    world.work(&[3], 10);
    assert_eq!(world.points(2).total(), 3_000 + 150 + 60);
    assert_eq!(world.points(3).reliability, 0);
}

#[test]
fn availability_is_at_most_a_tenth_and_misses_count() {
    let mut world = World::new(RULES);
    for _ in 0..4 {
        world.work(&[1, 2], 100);
    }
    world.work(&[1, 4, 3], 1_000);
    for why in [Unanswered::Busy, Unanswered::Absent, Unanswered::Silent] {
        let (at_ms, node) = (world.at_ms, key(3));
        world.entry(&Entry::Unanswered { at_ms, seq: 1, place: 0, node, why });
    }
    world.at_ms += DAY;
    world.work(&[9], 10);
    assert_eq!(world.points(2).availability, 40, "four at 50, but a tenth of 400");
    assert_eq!(world.points(3).availability, 0, "one answered, two missed");
    assert_eq!(world.points(4).availability, 50);
}

#[test]
fn one_failure_costs_the_bonus() {
    let mut world = World::new(RULES);
    for _ in 0..5 {
        world.work(&[1, 2], 1_000);
    }
    let (at_ms, node, code) = (world.at_ms, key(2), 1);
    let lease = grid_protocol::LeaseId([1; 16]);
    world.entry(&Entry::Refused { at_ms, node, lease, code, receipt: ANSWER });
    world.at_ms += DAY;
    world.work(&[9], 10);
    assert_eq!((world.points(1).reliability, world.points(2).reliability), (100, 0));
}

#[test]
fn a_linked_node_brings_what_it_has_once() {
    let mut world = World::new(RULES);
    world.work(&[1], 1_000);
    world.link(1, 50);
    assert_eq!((world.points(1).total(), world.points(50).work), (0, 1_000));
    world.work(&[1], 100);
    assert_eq!(world.points(50).work, 1_100);
    assert_eq!(world.log.person_info(key(50), world.at_ms).today, 1_100);
    // Linked to another account: what it earns from now on.
    world.link(1, 51);
    world.work(&[1], 10);
    assert_eq!((world.points(50).work, world.points(51).work), (1_100, 10));
    assert_eq!(world.log.work(&key(1)), (1_110, 3), "the node's own count goes on");
}

#[test]
fn a_site_gets_its_share_of_its_nodes_points() {
    let mut world = World::new(RULES);
    world.invite(1, 60, InvitationKind::Site, 10);
    world.come(1, 1, false);
    world.work(&[1], 1_000);
    assert_eq!((world.points(60).site, world.points(1).work), (750, 250));
    assert_eq!(world.log.work(&key(1)), (1_000, 1));
    for _ in 0..4 {
        world.work(&[2, 1], 1_000);
    }
    world.at_ms += DAY;
    world.work(&[9], 1);
    assert_eq!((world.points(60).availability, world.points(1).availability), (150, 50));
    // A site that was given up: the node keeps everything.
    world.people(PeopleFact::AccountClosed { account: key(60) });
    world.work(&[1], 1_000);
    assert_eq!(world.points(60).site, 3_750);
    assert_eq!(world.points(1).work, 2_250);
}

#[test]
fn teams_count_what_members_earn_while_they_are() {
    let mut world = World::new(RULES);
    world.link(1, 50);
    world.work(&[1], 1_000);
    world.team(TeamChange::Made, 50);
    world.team(TeamChange::Joined, 2);
    world.work(&[1], 100);
    world.work(&[2], 10);
    world.team(TeamChange::Left, 2);
    world.work(&[2], 10_000);
    let team = world.log.team(TeamId([7; 16]), world.at_ms).unwrap();
    assert_eq!((team.members, team.total, team.week), (1, 110, 110));
    assert_eq!(team.leaders.len(), 1);
    let (leaders, count) = world.log.team_leaders(Some(1), world.at_ms);
    assert_eq!((leaders[0].earned, count), (110, 1));
    // A node that is linked brings its points to the account, not to its team.
    world.link(3, 50);
    world.link(2, 50);
    assert_eq!(world.log.team(TeamId([7; 16]), 0).unwrap().total, 110);
}

#[test]
fn a_campaign_pays_in_its_time() {
    let mut world = World::new(RULES);
    let start_ms = world.at_ms + 10;
    let terms = |runtime| CampaignTerms {
        start_ms,
        end_ms: start_ms + 100,
        goal: 5_000,
        bonus_ppm: 500_000,
        runtime,
        name: "May".into(),
    };
    let opened = |id: u8, runtime| PeopleFact::CampaignOpened {
        id: CampaignId([id; 16]),
        terms: terms(runtime),
    };
    world.people(opened(1, None));
    world.people(opened(2, Some(Runtime::Infer)));
    world.people(opened(3, Some(Runtime::Wasm)));
    world.work(&[1], 1_000);
    world.at_ms = start_ms;
    world.work(&[1], 1_000);
    world.people(PeopleFact::CampaignClosed { id: CampaignId([3; 16]) });
    world.work(&[2], 10);
    world.at_ms = start_ms + 100;
    world.work(&[1], 1_000);
    assert_eq!(world.points(1).campaign, 1_000, "half of it, twice");
    assert_eq!(world.points(2).campaign, 5);
    let campaign = world.log.campaign(CampaignId([1; 16])).unwrap();
    assert_eq!((campaign.work, campaign.count), (1_010, 2));
    assert_eq!(campaign.leaders[0].earned, 1_000);
    let other = world.log.campaign(CampaignId([2; 16])).unwrap();
    assert_eq!((other.work, other.closed_ms), (0, None));
    assert_eq!(world.log.campaign(CampaignId([3; 16])).unwrap().closed_ms, Some(start_ms));
    // Nodes that turn out to be one person's are one line.
    world.link(1, 50);
    world.link(2, 50);
    let campaign = world.log.campaign(CampaignId([1; 16])).unwrap();
    assert_eq!((campaign.work, campaign.count), (1_010, 1));
    assert_eq!((campaign.leaders[0].key, campaign.leaders[0].earned), (key(50), 1_010));
}

#[test]
fn a_deleted_account_is_rewarded_no_more() {
    let mut world = World::new(RULES);
    world.link(1, 50);
    world.invite(1, 50, InvitationKind::Friend, 10);
    world.come(2, 1, false);
    for _ in 0..3 {
        world.work(&[2, 1], 1_000);
    }
    let before = world.points(50);
    world.people(PeopleFact::AccountClosed { account: key(50) });
    world.link(1, 50);
    world.work(&[2, 1], 1_000);
    world.at_ms += DAY;
    world.work(&[9], 1);
    assert_eq!(world.points(50), before, "what it has stays");
    assert_eq!(world.points(1).work, 1_000, "its nodes are their own");
    assert!(world.log.person_info(key(50), world.at_ms).closed);
}

#[test]
fn an_owner_that_pays_one_alone_is_shown() {
    let mut world = World::new(RULES);
    for node in 1..=11 {
        world.work(&[node], 10);
    }
    assert_eq!(world.suspicions(), []);
    world.work(&[5], 100_000);
    assert_eq!(world.suspicions(), [(Suspicion::OnePayee, 5)]);
}

#[test]
fn what_a_node_was_paid_its_account_was() {
    let mut world = World::new(RULES);
    for node in 100..112 {
        world.work(&[node], 1);
    }
    for node in 1..=20 {
        world.work(&[node], 1_000);
    }
    assert_eq!(world.suspicions(), []);
    for node in 1..=20 {
        world.link(node, 50);
    }
    assert_eq!(world.suspicions(), [(Suspicion::OnePayee, 50)]);
}

#[test]
fn clocks_may_go_back_a_little() {
    let mut world = World::new(RULES);
    world.work(&[1, 2], 1_000);
    world.at_ms += DAY;
    world.work(&[1], 1);
    world.at_ms -= 10_000 + (world.at_ms % DAY);
    world.work(&[1], 1);
    assert_eq!(world.points(2).availability, 50, "the day is not ended twice");
}

fn kinds(number: u8) -> InvitationKind {
    if number.is_multiple_of(3) { InvitationKind::Site } else { InvitationKind::Friend }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_sum_is_zero_whatever_happens(
        rules in (0_u64..1_000, 0_u32..=100_000, 0_u32..=1_000_000, 1_u32..4,
                  0_u32..=1_000_000, 0_u64..10_000, 0_u64..10_000, 0_u32..5, 0_u32..=1_000_000),
        steps in prop::collection::vec((0_u8..20, 0_u8..9, 0_u8..9, any::<u16>()), 1..160),
    ) {
        let rules = RewardRules {
            availability: rules.0,
            availability_cap_ppm: rules.1,
            reliability_ppm: rules.2,
            reliability_passes: rules.3,
            invitation_ppm: rules.4,
            invitation_cap: rules.5,
            inviter_daily_cap: rules.6,
            invitation_days: rules.7,
            site_ppm: rules.8,
        };
        let mut world = World::new(rules);
        for (what, a, b, amount) in steps {
            let fuel = u64::from(amount);
            match what {
                0..=3 => world.work(&[a, b], fuel),
                4 | 5 => {
                    let vote = world.commit(a, fuel);
                    world.open.push((vote.seq, a, fuel));
                }
                6 | 7 => {
                    let open = std::mem::take(&mut world.open);
                    let votes: Vec<Vote> = open.into_iter().map(|(seq, node, fuel)| {
                        let answer = if fuel % 5 == 0 { Digest([2; 32]) } else { ANSWER };
                        Vote { seq, node: key(node), answer, fuel }
                    }).collect();
                    world.settle(&votes);
                }
                8 => { world.end(); world.start(); }
                9 => world.link(a, 100 + b),
                10 => world.invite(a, if amount % 2 == 0 { b } else { 100 + b }, kinds(a), 3),
                11 | 12 => world.come(a, b, amount % 7 == 0),
                13 => world.roster(a, b),
                14 => world.team([TeamChange::Made, TeamChange::Joined, TeamChange::Left]
                    [usize::from(amount % 3)], if a < 4 { a } else { 100 + b }),
                15 => {
                    let (start_ms, end_ms) = (world.at_ms, world.at_ms + fuel * 10_000);
                    let (goal, bonus_ppm, runtime, name) = (1, 300_000, None, String::new());
                    let terms = CampaignTerms { start_ms, end_ms, goal, bonus_ppm, runtime, name };
                    let id = CampaignId([a; 16]);
                    world.people(PeopleFact::CampaignOpened { id, terms });
                }
                16 => world.people(PeopleFact::CampaignClosed { id: CampaignId([a; 16]) }),
                17 if amount % 4 == 0 => {
                    world.people(PeopleFact::AccountClosed { account: key(100 + b) });
                }
                18 => {
                    let why = [Unanswered::Absent, Unanswered::Silent, Unanswered::Busy]
                        [usize::from(amount % 3)];
                    let (at_ms, node) = (world.at_ms, key(a));
                    world.entry(&Entry::Unanswered { at_ms, seq: 1, place: 0, node, why });
                }
                _ => world.at_ms += fuel * 5_000,
            }
        }
    }

    /// A log that lies about everything still leaves no panic, and no points
    /// out of nothing.
    #[test]
    fn any_entries(
        entries in prop::collection::vec(
            (0_u8..14, prop::collection::vec(any::<u8>(), 0..200), any::<u64>()), 0..40),
    ) {
        let mut ledger = Ledger::keeping(RELAY);
        for (seq, (kind, bytes, at_ms)) in entries.into_iter().enumerate() {
            let header = [&[2, 0, bytes.len() as u8 % 4][..], &at_ms.to_le_bytes(), &bytes].concat();
            if let Ok(entry) = Entry::decode(kind, &header) {
                ledger.apply(seq as u64, entry.at_ms(), Fact::Entry(&entry));
            }
            prop_assert_eq!(ledger.sum(), 0);
            let _ = (ledger.info(), ledger.suspects(), ledger.person_info(key(0), at_ms));
        }
    }
}
