//! What the owner of a device decides.

use serde::{Deserialize, Serialize};

/// What the owner of a device decides. Everything starts switched off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The switch.
    pub on: bool,
    /// The relay's origin, `http://` or `https://`.
    pub relay: String,
    /// Share of one core that runs may use, 1 to 100 percent.
    pub share: u8,
    /// Work only while nobody uses the device.
    pub idle_only: bool,
    /// Work on battery too.
    pub on_battery: bool,
    /// Run AI models too.
    pub inference: bool,
    /// Most mebibytes of models to keep on the device.
    pub models_mib: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            on: false,
            relay: "http://127.0.0.1:8090".into(),
            share: 50,
            idle_only: true,
            on_battery: false,
            inference: true,
            models_mib: 1024,
        }
    }
}
