//! Whether the node may work: the switch, the person at the device, the power.

use crate::address::Address;
use crate::lease::Lease;
use crate::{Action, IdleState, Node, Settings, Why};
use grid_protocol::GiveBackReason;

/// How long work waits, paused, for the device to be free again, in
/// milliseconds. After that it is given back.
pub(crate) const GRACE: u64 = 20_000;

/// What follows from the switch and the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Switched off, or never switched on.
    Off,
    /// Work.
    Allowed,
    /// Not now: work in hand is paused, and given back at `until`.
    Grace { until: u64 },
    /// Not now, and nothing is in hand.
    Paused,
}

impl Permission {
    pub(crate) fn need(self) -> Option<u64> {
        match self {
            Self::Grace { until } => Some(until),
            _ => None,
        }
    }
}

impl Node {
    /// What forbids to work, of a node that is switched on.
    pub(crate) fn forbidden(&self) -> Option<Why> {
        if self.settings.snoozed(self.clock).is_some() {
            return Some(Why::Snoozed);
        }
        let hours = self.settings.hours;
        if hours.is_some_and(|hours| !hours.at(self.clock, self.zone).0) {
            return Some(Why::OutsideHours);
        }
        if self.idle == Some(IdleState::Active) && self.settings.in_use.cpu == 0 {
            return Some(Why::DeviceInUse);
        }
        if !self.settings.on_battery && self.power.mains == Some(false) {
            return Some(Why::OnBattery);
        }
        None
    }

    /// When a snooze ends, or hours begin or end, by the driver's clock. The
    /// clock on the wall counts here, whatever it is set to.
    pub(crate) fn rules_change(&self) -> Option<u64> {
        if !self.settings.on {
            return None;
        }
        let hours = self.settings.hours.and_then(|hours| hours.at(self.clock, self.zone).1);
        // A snooze that ends outside of the hours doesn't end the quiet.
        let snoozed = self.settings.snoozed(self.clock);
        snoozed.or_else(|| Some(self.clock.saturating_add(hours?)))
    }

    /// Where it is paused and has nothing in hand: when that ends by itself, by
    /// the driver's clock; [`u64::MAX`] where only an event ends it. Until then
    /// the driver may stop, if who comes, goes and plugs in starts it again.
    pub fn resting(&self) -> Option<u64> {
        let rests = self.permission == Permission::Paused && self.leases.is_empty();
        rests.then(|| self.rules_change().unwrap_or(u64::MAX))
    }

    pub(crate) fn on_settings(&mut self, settings: Settings, out: &mut Vec<Action>) {
        if settings.relay != self.settings.relay {
            let address = Address::parse(&settings.relay);
            // Before the first settings this is no change: what was saved may
            // well be this relay's. Its key will tell.
            if address != self.address && self.permission != Permission::Off {
                self.leave(out);
            }
            self.address = address;
        }
        // Switched off while the driver was stopped: what ran before must end.
        let restored = self.permission == Permission::Off && !self.leases.is_empty();
        self.settings = settings;
        if !self.settings.on && restored {
            self.switch_off(out);
        }
    }

    pub(crate) fn settle_permission(&mut self, now: u64, out: &mut Vec<Action>) {
        if !self.settings.on {
            if self.permission != Permission::Off {
                self.switch_off(out);
            }
            return;
        }
        self.permission = match (self.permission, self.forbidden()) {
            (_, None) => Permission::Allowed,
            (Permission::Off | Permission::Allowed, Some(_)) => {
                if self.leases.is_empty() && self.link.is_down() {
                    Permission::Paused
                } else {
                    Permission::Grace { until: now + GRACE }
                }
            }
            (Permission::Grace { until }, Some(_)) if until <= now => {
                self.give_back_unfinished(GiveBackReason::Stopped, "paused", out);
                self.owed.clear(); // the relay's own grace ends them
                self.disconnect(out);
                Permission::Paused
            }
            (same, Some(_)) => same,
        };
    }

    fn switch_off(&mut self, out: &mut Vec<Action>) {
        self.leave(out);
        self.executor.stop();
        self.paced = None;
        self.permission = Permission::Off;
        out.push(Action::StopExecutor);
    }

    /// Ends everything with this relay.
    fn leave(&mut self, out: &mut Vec<Action>) {
        for lease in self.leases.keys().copied().collect::<Vec<_>>() {
            // A result that was sent counts; the answer isn't waited for.
            match self.leases.get(&lease).is_some_and(Lease::awaits_ack) {
                true => self.end(lease, out),
                false => self.give_back(lease, GiveBackReason::Stopped, "switched off", out),
            }
        }
        self.owed.clear();
        self.disconnect(out);
        self.backoff.reset();
        self.trouble = None;
        self.error = None;
    }
}
