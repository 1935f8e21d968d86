//! What the owner of a device decides.

use crate::Hours;
use serde::{Deserialize, Serialize};

/// Longest snooze, in milliseconds. One that ends later was set under another
/// clock, and is none.
const LONGEST_SNOOZE: u64 = 48 * 3_600_000;

/// Shares of the device that runs may use, in percent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Of one core; 0: nothing runs.
    pub cpu: u8,
    /// Of the GPU's time; 0: it is left alone, and models run on the processor.
    pub gpu: u8,
}

impl Share {
    /// Nothing.
    pub const NONE: Self = Self { cpu: 0, gpu: 0 };

    fn bounded(self) -> Self {
        Self { cpu: self.cpu.min(100), gpu: self.gpu.min(100) }
    }
}

/// What the owner of a device decides. Everything starts switched off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Settings {
    /// The switch.
    pub on: bool,
    /// Nothing runs before this time, in milliseconds since 1970.
    pub snooze_until: u64,
    /// The relay's origin, `http://` or `https://`.
    pub relay: String,
    /// While nobody uses the device.
    pub idle: Share,
    /// While somebody does.
    pub in_use: Share,
    /// Work on battery too.
    pub on_battery: bool,
    /// Work only at these hours.
    pub hours: Option<Hours>,
    /// Run AI models too.
    pub inference: bool,
    /// Most mebibytes of models to keep on the device.
    pub models_mib: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            on: false,
            snooze_until: 0,
            relay: "http://127.0.0.1:8090".into(),
            idle: Share { cpu: 50, gpu: 50 },
            in_use: Share::NONE,
            on_battery: false,
            hours: None,
            inference: true,
            models_mib: 1024,
        }
    }
}

impl Settings {
    /// The shares while somebody uses the device, or while nobody does.
    pub fn share(&self, in_use: bool) -> Share {
        match in_use {
            true => self.in_use.bounded(),
            // Nothing at all is what the switch is for.
            false => Share { cpu: self.idle.cpu.clamp(1, 100), ..self.idle.bounded() },
        }
    }

    /// When the snooze ends, if it holds at `now`, in milliseconds since 1970.
    pub fn snoozed(&self, now: u64) -> Option<u64> {
        let left = self.snooze_until.checked_sub(now)?;
        (1..=LONGEST_SNOOZE).contains(&left).then_some(self.snooze_until)
    }
}

/// As storage may hold them: by this version, or by one that had a single share
/// and "only when idle" in place of two shares.
#[derive(Deserialize)]
#[serde(default)]
struct Stored {
    on: bool,
    snooze_until: u64,
    relay: String,
    idle: Option<Share>,
    in_use: Option<Share>,
    share: Option<u8>,
    idle_only: bool,
    on_battery: bool,
    hours: Option<Hours>,
    inference: bool,
    models_mib: u32,
}

impl Default for Stored {
    fn default() -> Self {
        let Settings { on, snooze_until, relay, on_battery, hours, inference, models_mib, .. } =
            Settings::default();
        Self {
            on,
            snooze_until,
            relay,
            idle: None,
            in_use: None,
            share: None,
            idle_only: true,
            on_battery,
            hours,
            inference,
            models_mib,
        }
    }
}

impl From<Stored> for Settings {
    fn from(stored: Stored) -> Self {
        let default = Self::default();
        let single = stored.share.map(|share| Share { cpu: share, gpu: share });
        let idle = stored.idle.or(single).unwrap_or(default.idle);
        let before = if stored.idle_only { default.in_use } else { idle };
        Self {
            on: stored.on,
            snooze_until: stored.snooze_until,
            relay: stored.relay,
            idle,
            in_use: stored.in_use.unwrap_or(before),
            on_battery: stored.on_battery,
            hours: stored.hours,
            inference: stored.inference,
            models_mib: stored.models_mib,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_older_versions_stored() {
        let check = |stored: &str, idle: u8, in_use: u8| {
            let settings: Settings = serde_json::from_str(stored).unwrap();
            assert_eq!((settings.idle.cpu, settings.in_use.cpu), (idle, in_use), "{stored}");
        };
        check("{}", 50, 0);
        check(r#"{"on":true,"share":30,"idle_only":true}"#, 30, 0);
        check(r#"{"share":30,"idle_only":false,"relay":"http://a"}"#, 30, 30);
        check(r#"{"idle":{"cpu":80,"gpu":1},"in_use":{"cpu":5,"gpu":0},"share":30}"#, 80, 5);
    }

    #[test]
    fn there_and_back() {
        let hours = Some(Hours { from: 1_320, to: 360, days: 0b11 });
        let settings = Settings { on: true, snooze_until: 5, hours, ..Settings::default() };
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
    }

    #[test]
    fn a_snooze_ends() {
        let settings = Settings { snooze_until: 1_000, ..Settings::default() };
        assert_eq!(settings.snoozed(999), Some(1_000));
        assert_eq!(settings.snoozed(1_000), None);
        let far = Settings { snooze_until: 1_000 + LONGEST_SNOOZE, ..Settings::default() };
        assert_eq!(far.snoozed(999), None, "the clock was put back");
        assert!(far.snoozed(1_000).is_some());
    }

    #[test]
    fn shares_are_bounded() {
        let (idle, in_use) = (Share { cpu: 0, gpu: 200 }, Share { cpu: 101, gpu: 0 });
        let settings = Settings { idle, in_use, ..Settings::default() };
        assert_eq!(settings.share(false), Share { cpu: 1, gpu: 100 });
        assert_eq!(settings.share(true), Share { cpu: 100, gpu: 0 });
    }
}
