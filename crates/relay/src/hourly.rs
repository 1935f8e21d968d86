//! What one network may do within an hour: keys cost nothing, entries stay for
//! ever.

use std::collections::HashMap;
use std::net::IpAddr;

pub(crate) const HOUR_MS: u64 = 3_600_000;
/// Networks that are counted at a time; in a fuller hour others wait.
const MOST_NETWORKS: usize = 100_000;

/// Counts by network (IPv4 /24, IPv6 /48) in the hour that runs.
#[derive(Debug, Default)]
pub(crate) struct Hourly {
    hour: u64,
    counts: HashMap<[u8; 6], u32>,
}

impl Hourly {
    /// Counts one more from where this address is (`None`: not known, a network
    /// of its own). False, and nothing is counted, beyond `most`.
    pub(crate) fn take(&mut self, peer: Option<IpAddr>, most: u32, now_ms: u64) -> bool {
        let hour = now_ms / HOUR_MS;
        if self.hour != hour {
            *self = Self { hour, counts: HashMap::new() };
        }
        let network = peer.map(network).unwrap_or_default();
        let count = self.counts.get(&network).copied();
        let room = count.is_some() || self.counts.len() < MOST_NETWORKS;
        let count = count.unwrap_or_default();
        if !room || count >= most {
            return false;
        }
        self.counts.insert(network, count + 1);
        true
    }
}

/// Milliseconds until the hour that runs is over.
pub(crate) fn left_ms(now_ms: u64) -> u64 {
    HOUR_MS - now_ms % HOUR_MS
}

/// The network that an address is in.
fn network(address: IpAddr) -> [u8; 6] {
    let mut network = [0; 6];
    match address.to_canonical() {
        IpAddr::V4(address) => network[..3].copy_from_slice(&address.octets()[..3]),
        IpAddr::V6(address) => network.copy_from_slice(&address.octets()[..6]),
    }
    network
}

/// Is this the operator's own network: this machine, a private range?
pub(crate) fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_has_an_end() {
        let mut hourly = Hourly::default();
        let mut take =
            |address: &str, now_ms| hourly.take(Some(address.parse().unwrap()), 2, now_ms);
        assert!(take("192.0.2.1", 5) && take("192.0.2.200", 6));
        assert!(!take("192.0.2.1", 7));
        assert!(!take("::ffff:192.0.2.1", 8));
        assert!(take("192.0.3.1", 9) && take("2001:db8::1", 9) && take("2001:db8:0:1::1", 9));
        assert!(!take("2001:db8:0:2::1", 9));
        assert!(take("2001:db8:1::1", 9));
        assert!(take("192.0.2.1", HOUR_MS));
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let mut hourly = Hourly::default();
        for n in 0..MOST_NETWORKS as u64 {
            let mut network = [0; 6];
            network.copy_from_slice(&(n << 16).to_be_bytes()[..6]);
            hourly.counts.insert(network, 1);
        }
        let (full, known) = ("255.0.2.1".parse().unwrap(), "::1".parse().unwrap());
        assert!(!hourly.take(Some(full), 9, 1));
        assert!(hourly.take(Some(known), 9, 1));
        assert!(hourly.take(Some(full), 9, HOUR_MS));
        assert_eq!(hourly.counts.len(), 1);
    }

    #[test]
    fn near() {
        for near in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "192.168.1.1", "fd00::1"] {
            assert!(is_near(near.parse().unwrap()), "{near}");
        }
        for far in ["192.0.2.1", "8.8.8.8", "2001:db8::1", "100.64.0.1"] {
            assert!(!is_near(far.parse().unwrap()), "{far}");
        }
    }
}
