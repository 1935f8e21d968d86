//! What can be asked of the ledger.

use crate::book::{Account, Posting};
use crate::campaign::Campaign;
use crate::week::DAY_MS;
use crate::{Ledger, RewardRules};
use grid_protocol::api::{
    CampaignInfo, Earned, LedgerInfo, PersonEarned, PersonInfo, PersonPoints, Points, Suspect,
    Suspicion, TeamEarned, TeamInfo, TeamRef,
};
use grid_protocol::{CampaignId, Digest, PublicKey, TeamId};

/// Lines of a list.
const MOST: usize = 100;
/// An owner's payee is one when it gets this share of what the owner paid, in
/// percent, and so many others have work.
const ONE_PAYEE_PERCENT: u128 = 90;
const OTHERS: usize = 10;

impl Ledger {
    /// The last entry that was applied.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The rules of rewards that hold.
    pub fn rules(&self) -> RewardRules {
        self.rules
    }

    /// A balance, in fuel.
    pub fn balance(&self, account: Account) -> i128 {
        self.book.balance(account)
    }

    /// All balances together: zero, whatever was applied.
    pub fn sum(&self) -> i128 {
        self.book.balances().map(|(_, balance)| balance).sum()
    }

    /// Fuel and number of a node's receipts that were credited.
    pub fn work(&self, node: &PublicKey) -> (u64, u64) {
        self.nodes.get(node).map_or((0, 0), |node| (node.work, node.tasks))
    }

    /// The account that a node belongs to.
    pub fn account(&self, node: &PublicKey) -> Option<PublicKey> {
        self.nodes.get(node)?.account
    }

    /// What a person has.
    pub fn points(&self, person: &PublicKey) -> Points {
        self.people.get(person).map(|person| person.points).unwrap_or_default()
    }

    /// A person's last movements, newest first, where they are kept.
    pub fn postings(&self, person: &PublicKey) -> Vec<Posting> {
        self.book.kept(person).copied().collect()
    }

    /// Who invited a person.
    pub fn inviter(&self, person: &PublicKey) -> Option<PublicKey> {
        let invited = self.people.get(person)?.invited_by.as_ref()?;
        Some(self.person_of(invited.inviter))
    }

    /// How often a code was used.
    pub fn used(&self, code: &Digest) -> u32 {
        self.codes.get(code).map_or(0, |code| code.used)
    }

    /// A person, without its name and its team's; a key that nothing is known
    /// of has nothing. `now_ms` says which day it is.
    pub fn person_info(&self, key: PublicKey, now_ms: u64) -> PersonInfo {
        let person = self.people.get(&key).cloned().unwrap_or_default();
        let own = self.nodes.get(&key).filter(|node| node.account.is_none()).map(|_| key);
        let nodes: Vec<PublicKey> = person.nodes.iter().copied().chain(own).collect();
        let held = nodes.iter().map(|node| self.balance(Account::Held(*node))).sum::<i128>();
        let day = now_ms / DAY_MS;
        PersonInfo {
            key,
            name: None,
            nodes_count: nodes.len() as u64,
            nodes: nodes.into_iter().take(MOST).collect(),
            points: person.points,
            total: person.points.total(),
            held: u64::try_from(held).unwrap_or_default(),
            today: person.week.sum(day, 1),
            week: person.week.sum(day, 7),
            team: person.team.map(|id| TeamRef { id, name: None }),
            invited: person.invited,
            closed: person.closed,
            seq: self.seq,
            complete: true,
        }
    }

    /// The nodes that earned most in so many days (`None`: ever), the last of
    /// which is that of `now_ms`: the first 100, and how many earned something.
    pub fn node_leaders(&self, days: Option<u64>, now_ms: u64) -> (Vec<Earned>, u64) {
        let day = now_ms / DAY_MS;
        let earned = self.nodes.iter().map(|(key, node)| {
            let of_days =
                |days| (node.work_by_day.sum(day, days), node.tasks_by_day.sum(day, days));
            let (fuel, tasks) = days.map_or((node.work, node.tasks), of_days);
            Earned { node: *key, fuel, tasks }
        });
        let mut nodes: Vec<_> = earned.filter(|node| node.tasks > 0).collect();
        let count = nodes.len() as u64;
        nodes.sort_unstable_by_key(|node| (std::cmp::Reverse(node.fuel), node.node));
        nodes.truncate(MOST);
        (nodes, count)
    }

    /// The same of people.
    pub fn leaders(&self, days: Option<u64>, now_ms: u64) -> (Vec<PersonEarned>, u64) {
        let day = now_ms / DAY_MS;
        let earned = self.people.iter().map(|(key, person)| {
            let sum = days.map(|days| person.week.sum(day, days));
            (*key, sum.unwrap_or_else(|| person.points.total()))
        });
        ranked(earned)
    }

    /// The same of teams.
    pub fn team_leaders(&self, days: Option<u64>, now_ms: u64) -> (Vec<TeamEarned>, u64) {
        let day = now_ms / DAY_MS;
        let mut teams: Vec<TeamEarned> = (self.teams.iter())
            .filter(|(_, team)| !team.members.is_empty())
            .map(|(id, team)| TeamEarned {
                id: *id,
                name: None,
                members: team.members.len() as u64,
                earned: days.map_or(team.total, |days| team.week.sum(day, days)),
            })
            .collect();
        let count = teams.len() as u64;
        teams.sort_unstable_by_key(|team| (std::cmp::Reverse(team.earned), team.id));
        teams.truncate(MOST);
        (teams, count)
    }

    /// A team.
    pub fn team(&self, id: TeamId, now_ms: u64) -> Option<TeamInfo> {
        let team = self.teams.get(&id)?;
        let by = |key: &PublicKey| (*key, team.by.get(key).copied().unwrap_or_default());
        let mut leaders: Vec<_> = team.members.iter().map(by).collect();
        leaders.sort_unstable_by_key(|(key, earned)| (std::cmp::Reverse(*earned), *key));
        let line = |(key, earned)| PersonEarned { key, name: None, earned };
        Some(TeamInfo {
            id,
            name: None,
            members: team.members.len() as u64,
            total: team.total,
            week: team.week.sum(now_ms / DAY_MS, 7),
            leaders: leaders.into_iter().take(MOST).map(line).collect(),
        })
    }

    /// Every campaign, the last one opened first, without leaders.
    pub fn campaigns_info(&self) -> Vec<CampaignInfo> {
        let mut campaigns: Vec<_> = self.campaigns.iter().collect();
        campaigns.sort_unstable_by_key(|(_, campaign)| std::cmp::Reverse(campaign.seq));
        campaigns.into_iter().map(|(id, campaign)| info(*id, campaign, Vec::new())).collect()
    }

    /// A campaign with its leaders.
    pub fn campaign(&self, id: CampaignId) -> Option<CampaignInfo> {
        let campaign = self.campaigns.get(&id)?;
        let (leaders, _) = ranked(campaign.people.iter().map(|(key, work)| (*key, *work)));
        Some(info(id, campaign, leaders))
    }

    /// Every balance.
    pub fn info(&self) -> LedgerInfo {
        let (mut issued, mut owners, mut jobs, mut held) = (0, 0, 0, 0);
        for (account, balance) in self.book.balances() {
            match account {
                Account::Issued => issued += balance,
                Account::Owner(_) => owners += balance,
                Account::Job(_) => jobs += balance,
                Account::Held(_) => held += balance,
                Account::Person(_) => {}
            }
        }
        let with = self.people.iter().filter(|(_, person)| person.points.total() > 0);
        let mut people: Vec<PersonPoints> =
            with.map(|(key, person)| PersonPoints { key: *key, points: person.points }).collect();
        people.sort_unstable_by_key(|person| person.key);
        LedgerInfo { seq: self.seq, complete: true, issued, owners, jobs, held, people }
    }

    /// Whom the operator should look at.
    pub fn suspects(&self) -> Vec<Suspect> {
        let own = self.own_codes.iter().map(|(account, (node, count))| Suspect {
            why: Suspicion::SameAccount,
            person: *account,
            other: Some(*node),
            paid: 0,
            words: format!("nodes of this account that came by the account's own code: {count}"),
        });
        let mut suspects: Vec<Suspect> = own.chain(self.self_invited()).collect();
        suspects.extend(self.one_payees());
        suspects.sort_unstable_by_key(|one| (one.person, one.other));
        suspects
    }

    fn self_invited(&self) -> impl Iterator<Item = Suspect> {
        self.people.iter().filter_map(|(key, person)| {
            let invited = person.invited_by.as_ref()?;
            let inviter = self.person_of(invited.inviter);
            let why = self.self_made(key, &inviter, invited)?;
            let words = match why {
                Suspicion::SameAccount => "an account that came by its own code",
                Suspicion::SameBrowser => "who was invited runs in a browser of the inviter's",
                Suspicion::Ring => "both are of one ring of invitations",
                _ => "who was invited is in one network with the inviter",
            };
            let (other, paid) = (Some(*key), invited.paid);
            Some(Suspect { why, person: inviter, other, paid, words: words.into() })
        })
    }

    /// Owners who pay one person nearly alone while others work. Who an owner
    /// is, the log doesn't say: it may be whom it pays.
    fn one_payees(&self) -> impl Iterator<Item = Suspect> {
        let others = self.people.values().filter(|person| person.points.work > 0).count();
        let enough = others > OTHERS;
        let owners = self.payees.iter().filter(move |_| enough);
        owners.filter_map(move |(owner, paid)| {
            let sum: u128 = paid.values().map(|paid| u128::from(*paid)).sum();
            let (person, most) = paid.iter().max_by_key(|(key, paid)| (**paid, **key))?;
            let alone = sum > 0 && u128::from(*most) * 100 >= sum * ONE_PAYEE_PERCENT;
            alone.then(|| Suspect {
                why: Suspicion::OnePayee,
                person: *person,
                other: None,
                paid: *most,
                words: format!(
                    "{} paid it {most} of {sum} fuel, while {others} others work",
                    Account::Owner(*owner)
                ),
            })
        })
    }
}

fn info(id: CampaignId, campaign: &Campaign, leaders: Vec<PersonEarned>) -> CampaignInfo {
    let terms = campaign.terms.clone();
    CampaignInfo {
        id,
        name: terms.name,
        start_ms: terms.start_ms,
        end_ms: terms.end_ms,
        closed_ms: campaign.closed_ms,
        goal: terms.goal,
        work: campaign.work,
        bonus_ppm: terms.bonus_ppm,
        runtime: terms.runtime,
        count: campaign.people.len() as u64,
        leaders,
    }
}

/// Most first, the first 100; and how many have something.
fn ranked(earned: impl Iterator<Item = (PublicKey, u64)>) -> (Vec<PersonEarned>, u64) {
    let mut all: Vec<_> = earned.filter(|(_, earned)| *earned > 0).collect();
    let count = all.len() as u64;
    all.sort_unstable_by_key(|(key, earned)| (std::cmp::Reverse(*earned), *key));
    let line = |(key, earned)| PersonEarned { key, name: None, earned };
    (all.into_iter().take(MOST).map(line).collect(), count)
}
