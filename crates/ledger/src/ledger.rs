//! The ledger itself: facts in, movements out.

use crate::book::{Account, Book, Posting, Reason};
use crate::campaign::Campaign;
use crate::day::Day;
use crate::people::{Code, Node, Person, Team};
use crate::week::DAY_MS;
use crate::{RewardRules, share};
use grid_protocol::entry::{Entry, Movement, OwnerTag, PeopleFact};
use grid_protocol::{CampaignId, Digest, JobId, PublicKey, Runtime, TeamId};
use std::collections::{BTreeMap, HashMap};

/// A fact of the log.
#[derive(Debug, Clone, Copy)]
pub enum Fact<'a> {
    /// A receipt was committed. What it holds only the relay knows before the
    /// task is settled: `None` for whoever reads the log.
    Receipt(Option<Receipt>),
    /// A task was settled.
    Settled {
        /// The task's job.
        job: JobId,
        /// Answer of the canonical result.
        answer: Digest,
        /// All votes.
        votes: &'a [Vote],
    },
    /// Any other entry; one that holds a receipt or a settlement says nothing
    /// here.
    Entry(&'a Entry),
}

/// A receipt that is not settled yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The task's job.
    pub job: JobId,
    /// The node.
    pub node: PublicKey,
    /// Its fuel.
    pub fuel: u64,
}

/// A receipt that a settlement opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// Its entry.
    pub seq: u64,
    /// Who voted.
    pub node: PublicKey,
    /// For which answer.
    pub answer: Digest,
    /// Fuel of the receipt.
    pub fuel: u64,
}

/// A job that runs.
#[derive(Debug, Clone, Copy)]
struct Job {
    owner: OwnerTag,
    runtime: Runtime,
}

/// Every account's balance, and what they follow from.
#[derive(Debug)]
pub struct Ledger {
    relay: PublicKey,
    /// The last entry that was applied.
    pub(crate) seq: u64,
    /// The latest time that an entry told: clocks may go back a little.
    pub(crate) now_ms: u64,
    pub(crate) rules: RewardRules,
    pub(crate) book: Book,
    jobs: HashMap<JobId, Job>,
    /// Receipts that are not settled, by job and entry: whose, and how much.
    held: BTreeMap<(JobId, u64), (PublicKey, u64)>,
    pub(crate) nodes: HashMap<PublicKey, Node>,
    pub(crate) people: HashMap<PublicKey, Person>,
    pub(crate) codes: HashMap<Digest, Code>,
    /// Accounts that came by their own code: by which node first, and how often.
    pub(crate) own_codes: HashMap<PublicKey, (PublicKey, u32)>,
    pub(crate) teams: HashMap<TeamId, Team>,
    pub(crate) campaigns: BTreeMap<CampaignId, Campaign>,
    /// Those whose end has not come.
    running: Vec<CampaignId>,
    /// Whom owners' budgets paid.
    pub(crate) payees: HashMap<OwnerTag, HashMap<PublicKey, u64>>,
    day: Day,
}

impl Ledger {
    /// At the log's beginning.
    pub fn new(relay: PublicKey) -> Self {
        Self {
            relay,
            seq: 0,
            now_ms: 0,
            rules: RewardRules::NONE,
            book: Book::default(),
            jobs: HashMap::new(),
            held: BTreeMap::new(),
            nodes: HashMap::new(),
            people: HashMap::new(),
            codes: HashMap::new(),
            own_codes: HashMap::new(),
            teams: HashMap::new(),
            campaigns: BTreeMap::new(),
            running: Vec::new(),
            payees: HashMap::new(),
            day: Day::default(),
        }
    }

    /// The same, which remembers each person's last [`crate::KEPT`] movements.
    pub fn keeping(relay: PublicKey) -> Self {
        let mut ledger = Self::new(relay);
        ledger.book.keep();
        ledger
    }

    /// Applies a fact of entry `seq`, which was accepted at `at_ms`. Entries
    /// come in order; what comes first of a new day (UTC) ends the one before,
    /// whose rewards are posted first.
    pub fn apply(&mut self, seq: u64, at_ms: u64, fact: Fact<'_>) {
        self.seq = seq;
        self.now_ms = self.now_ms.max(at_ms);
        self.end_day();
        match fact {
            Fact::Receipt(Some(receipt)) => self.hold(receipt),
            Fact::Receipt(None) => {}
            Fact::Settled { job, answer, votes } => self.settle(job, answer, votes),
            Fact::Entry(entry) => self.entry(entry),
        }
    }

    fn entry(&mut self, entry: &Entry) {
        match entry {
            Entry::Budget { movement, amount, owner, .. } => {
                self.budget(movement, *amount, *owner);
            }
            Entry::Unanswered { node, why, .. } => self.day.unanswered(*node, *why),
            Entry::Refused { node, .. } => self.day.node(*node).failed += 1,
            Entry::Roster { added, .. } => {
                for member in added {
                    self.moved_to(member.node, member.network);
                }
            }
            Entry::AccountLink { node, delegation, .. } => self.link(*node, delegation.account),
            Entry::People { fact, .. } => self.people_fact(fact),
            Entry::Receipt { .. }
            | Entry::Settled { .. }
            | Entry::Redrawn { .. }
            | Entry::Rules { .. }
            | Entry::Key { .. } => {}
        }
    }

    fn people_fact(&mut self, fact: &PeopleFact) {
        match fact {
            PeopleFact::AccountClosed { account } => self.close(*account),
            PeopleFact::InvitationMade { code, account, kind, uses } => {
                let code = self.codes.entry(*code);
                code.or_insert(Code { account: *account, kind: *kind, uses: *uses, used: 0 });
            }
            PeopleFact::InvitationUsed { code, node, same_browser } => {
                self.came_by(*code, *node, *same_browser);
            }
            PeopleFact::CampaignOpened { id, terms } => {
                if !self.campaigns.contains_key(id) {
                    self.campaigns.insert(*id, Campaign::new(terms.clone(), self.seq));
                    self.running.push(*id);
                }
            }
            PeopleFact::CampaignClosed { id } => {
                let now_ms = self.now_ms;
                if let Some(campaign) = self.campaigns.get_mut(id) {
                    campaign.closed_ms.get_or_insert(now_ms);
                }
                self.running.retain(|running| running != id);
            }
            // Rules that can't be read change nothing; an audit finds them.
            PeopleFact::Rewards { rules } => {
                self.rules = RewardRules::decode(rules).unwrap_or(self.rules);
            }
            PeopleFact::Team { change, team, account } => {
                self.team_changed(*change, *team, *account);
            }
        }
    }

    fn budget(&mut self, movement: &Movement, amount: u64, owner: OwnerTag) {
        let purse = Account::Owner(owner);
        match movement {
            Movement::Grant => self.post(Account::Issued, purse, amount, Reason::Grant),
            Movement::Reserve { job, runtime, .. } => {
                self.jobs.insert(*job, Job { owner, runtime: *runtime });
                self.post(purse, Account::Job(*job), amount, Reason::Reserve);
            }
            Movement::Refund(job, _) => {
                let open = self.held.range((*job, 0)..=(*job, u64::MAX));
                let open: Vec<u64> = open.map(|((_, seq), _)| *seq).collect();
                for seq in open {
                    self.take_back(*job, seq);
                }
                self.jobs.remove(job);
                self.post(Account::Job(*job), purse, amount, Reason::Refund);
            }
        }
    }

    fn hold(&mut self, Receipt { job, node, fuel }: Receipt) {
        let caught = self.nodes.get(&node).is_some_and(|node| node.caught);
        if node != self.relay && !caught && self.jobs.contains_key(&job) {
            self.held.insert((job, self.seq), (node, fuel));
            self.post(Account::Job(job), Account::Held(node), fuel, Reason::Hold);
        }
    }

    /// What a receipt held goes back to its job.
    fn take_back(&mut self, job: JobId, seq: u64) {
        if let Some((node, fuel)) = self.held.remove(&(job, seq)) {
            self.post(Account::Held(node), Account::Job(job), fuel, Reason::TakenBack);
        }
    }

    fn settle(&mut self, job: JobId, answer: Digest, votes: &[Vote]) {
        let first = votes.iter().map(|vote| vote.seq).min();
        let counts = |vote: &&Vote| !self.nodes.get(&vote.node).is_some_and(|node| node.caught);
        let live: Vec<Vote> = votes.iter().filter(counts).copied().collect();
        let agreeing = live.iter().filter(|vote| vote.answer == answer).count();
        for vote in votes.iter().filter(|vote| !live.contains(vote)) {
            self.take_back(job, vote.seq);
        }
        let relay = self.relay;
        for vote in live.iter().filter(|vote| vote.node != relay) {
            if vote.answer != answer {
                self.catch(vote.node);
                continue;
            }
            let day = self.day.node(vote.node);
            // Whoever voted later was drawn to: it answered a challenge.
            day.answered += u32::from(first != Some(vote.seq));
            day.passed += u32::from(agreeing > 1);
            day.work = day.work.saturating_add(vote.fuel);
            let held = self.held.remove(&(job, vote.seq));
            let from = held.map_or(Account::Job(job), |(node, _)| Account::Held(node));
            self.credit(job, vote, from);
        }
    }

    /// A node's answer lost: nothing that it holds is confirmed, and the day
    /// brings it no reward.
    fn catch(&mut self, node: PublicKey) {
        self.nodes.entry(node).or_default().caught = true;
        self.day.forget(&node);
        let held: Vec<_> =
            self.held.iter().filter(|(_, (of, _))| *of == node).map(|(at, _)| *at).collect();
        for (job, seq) in held {
            self.take_back(job, seq);
        }
    }

    /// Verified work.
    fn credit(&mut self, job: JobId, vote: &Vote, from: Account) {
        let Vote { node, fuel, .. } = *vote;
        let today = self.now_ms / DAY_MS;
        let counts = self.nodes.entry(node).or_default();
        counts.work = counts.work.saturating_add(fuel);
        counts.tasks += 1;
        counts.work_by_day.add(today, fuel);
        counts.tasks_by_day.add(today, 1);
        let runtime = self.jobs.get(&job).map(|job| job.runtime);
        let owner = self.jobs.get(&job).map(|job| job.owner);
        for (person, part, reason) in self.parts(node, fuel, Reason::Work) {
            self.give(person, from, part, reason);
            if let Some(owner) = owner {
                let paid = self.payees.entry(owner).or_default().entry(person).or_default();
                *paid = paid.saturating_add(part);
            }
            self.campaigns(person, runtime, part);
        }
        self.share_with_inviter(node, fuel);
    }

    /// Who gets what a node earns, and as what: its site's account and its
    /// person.
    fn parts(&self, node: PublicKey, amount: u64, own: Reason) -> [(PublicKey, u64, Reason); 2] {
        let person = self.person_of(node);
        let site = self.nodes.get(&node).and_then(|node| node.site);
        let site = site.map(|site| self.person_of(site)).filter(|site| !self.is_closed(site));
        let part = site.map_or(0, |_| share(amount, self.rules.site_ppm).min(amount));
        let of_site = if own == Reason::Work { Reason::Site } else { own };
        [(site.unwrap_or(person), part, of_site), (person, amount - part, own)]
    }

    /// Campaigns that run now issue their bonus.
    fn campaigns(&mut self, person: PublicKey, runtime: Option<Runtime>, work: u64) {
        let now_ms = self.now_ms;
        let campaigns = &self.campaigns;
        let ends = |id: &CampaignId| campaigns.get(id).is_some_and(|one| one.terms.end_ms > now_ms);
        self.running.retain(ends);
        for id in self.running.clone() {
            let Some(campaign) = self.campaigns.get_mut(&id) else { continue };
            if work > 0 && campaign.takes(now_ms, runtime) {
                let bonus = campaign.count(person, work);
                self.issue(person, bonus, Reason::Campaign);
            }
        }
    }

    fn share_with_inviter(&mut self, node: PublicKey, fuel: u64) {
        let person = self.person_of(node);
        let Some(invited) = self.people.get(&person).and_then(|person| person.invited_by.clone())
        else {
            return;
        };
        let inviter = self.person_of(invited.inviter);
        let days = u64::from(self.rules.invitation_days) * DAY_MS;
        let over = self.now_ms >= invited.at_ms.saturating_add(days);
        let proven_before = self.nodes.get(&node).is_some_and(|node| node.proven_before);
        if over || proven_before || !self.are_placed(&node, &inviter) {
            return;
        }
        if self.self_made(&person, &inviter, &invited).is_some() {
            return;
        }
        let today = self.now_ms / DAY_MS;
        let shared = self.people.get(&inviter).map(|person| person.shared_on(today));
        let left = self.rules.invitation_cap.saturating_sub(invited.paid);
        let left = left.min(self.rules.inviter_daily_cap.saturating_sub(shared.unwrap_or(0)));
        let amount = share(fuel, self.rules.invitation_ppm).min(left);
        if self.issue(inviter, amount, Reason::Invited) {
            self.person(inviter).share(today, amount);
            if let Some(invited) = &mut self.person(person).invited_by {
                invited.paid = invited.paid.saturating_add(amount);
            }
        }
    }

    /// Ends the day that is over, if one is: its rewards are posted.
    fn end_day(&mut self) {
        let today = self.now_ms / DAY_MS;
        if today == self.day.number {
            return;
        }
        let rules = self.rules;
        for (node, day) in self.day.end(today) {
            let rewards = [
                (day.availability(&rules), Reason::Availability),
                (day.reliability(&rules), Reason::Reliability),
            ];
            for (amount, reason) in rewards {
                for (person, part, reason) in self.parts(node, amount, reason) {
                    self.issue(person, part, reason);
                }
            }
        }
    }

    /// Issues a reward, unless the account was deleted; false then.
    fn issue(&mut self, person: PublicKey, amount: u64, reason: Reason) -> bool {
        let open = !self.is_closed(&person);
        if open {
            self.give(person, Account::Issued, amount, reason);
        }
        open
    }

    /// A person gets something.
    fn give(&mut self, key: PublicKey, from: Account, amount: u64, reason: Reason) {
        if amount == 0 {
            return;
        }
        self.post(from, Account::Person(key), amount, reason);
        let today = self.now_ms / DAY_MS;
        let person = self.people.entry(key).or_default();
        if let Some(counted) = reason.of(&mut person.points) {
            *counted = counted.saturating_add(amount);
        }
        person.week.add(today, amount);
        if let Some(team) = person.team.and_then(|team| self.teams.get_mut(&team)) {
            team.earned(key, today, amount);
        }
    }

    pub(crate) fn post(&mut self, from: Account, to: Account, amount: u64, reason: Reason) {
        let (seq, at_ms) = (self.seq, self.now_ms);
        self.book.post(Posting { seq, at_ms, from, to, amount, reason });
    }
}
