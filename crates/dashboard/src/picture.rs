//! The network as a picture that is no map: the relay in the middle, nodes
//! around it by kind. Where somebody is, nobody asks.

use crate::json::Read as _;
use crate::words;
use serde_json::Value;

/// Nodes that are drawn; the others are in the words.
const MOST: usize = 96;
/// The picture's size, and its middle.
pub const SIZE: (i64, i64) = (720, 260);
const MIDDLE: (i64, i64) = (SIZE.0 / 2, SIZE.1 / 2);

/// A node in the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dot {
    /// Where it is.
    pub at: (i64, i64),
    /// Which kind, 0 to 3.
    pub kind: usize,
    /// Does it run something?
    pub works: bool,
}

impl Dot {
    /// The way from the relay, as SVG's `path` has it.
    pub fn way(&self) -> String {
        let ((x, y), (from_x, from_y)) = (self.at, MIDDLE);
        format!("M{from_x} {from_y}Q{x} {from_y} {x} {y}")
    }
}

/// The nodes of `/v1/live`, in rings around the middle, those of a kind beside
/// each other.
pub fn dots(live: &Value) -> Vec<Dot> {
    let mut nodes: Vec<(usize, bool)> = live
        .list("nodes")
        .iter()
        .take(MOST)
        .map(|node| {
            let name = node.text("agent").split(['/', ' ']).next().unwrap_or_default();
            let kind = live.list("kinds").iter().position(|kind| kind.text("name") == name);
            (kind.unwrap_or(3).min(3), node.number("leased") > 0)
        })
        .collect();
    nodes.sort_unstable();
    let count = nodes.len().max(1) as f64;
    let place = |(at, (kind, works)): (usize, (usize, bool))| {
        // Each next one a step on; every third is in the same ring.
        let turn = at as f64 / count + 0.75;
        let ring = if nodes_fit(count) { 0.82 } else { [0.62, 0.8, 0.98][at % 3] };
        let (x, y) = (sine(turn + 0.25) * ring * 330.0, sine(turn) * ring * 115.0);
        Dot { at: (MIDDLE.0 + x as i64, MIDDLE.1 + y as i64), kind, works }
    };
    nodes.iter().copied().enumerate().map(place).collect()
}

/// The sine of so many turns, within 0.002 (Bhaskara I): half a pixel, and some
/// kilobytes less to download than the exact one.
fn sine(turns: f64) -> f64 {
    let turn = turns.fract();
    let (half, sign) = if turn < 0.5 { (turn, 1.0) } else { (turn - 0.5, -1.0) };
    let product = half * (0.5 - half);
    sign * 64.0 * product / (5.0 - 16.0 * product)
}

/// Few nodes stand in one ring.
fn nodes_fit(count: f64) -> bool {
    count <= 12.0
}

/// What is to be seen, in words.
pub fn told(live: &Value) -> String {
    let online = live.number("nodes_online");
    let kinds: Vec<String> = live
        .list("kinds")
        .iter()
        .map(|kind| format!("{} {}", words::count(kind.number("nodes")), kind.text("name")))
        .collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    format!(
        "The relay, and around it {}{kinds}; {} under way.",
        words::counted(online, "node"),
        words::counted(live.number("tasks_leased"), "task"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn live(nodes: usize) -> Value {
        let node = |at: usize| json!({"agent": format!("kind{}/1", at % 5), "leased": at % 2});
        json!({
            "nodes_online": nodes, "tasks_leased": 3,
            "kinds": [{"name": "kind0", "nodes": 2}, {"name": "kind1", "nodes": 1}],
            "nodes": (0..nodes).map(node).collect::<Vec<_>>(),
        })
    }

    #[test]
    fn every_node_has_its_place_within() {
        for count in [0, 1, 2, 12, 13, 96, 200] {
            let dots = dots(&live(count));
            assert_eq!(dots.len(), count.min(MOST));
            for (at, dot) in dots.iter().enumerate() {
                let (x, y) = dot.at;
                assert!((8..SIZE.0 - 8).contains(&x) && (8..SIZE.1 - 8).contains(&y), "{dot:?}");
                assert!(dots[..at].iter().all(|other| other.at != dot.at), "{dot:?} of {count}");
            }
        }
    }

    #[test]
    fn sines_are_near_enough() {
        for step in 0..1_000 {
            let turns = f64::from(step) / 400.0;
            let exact = (turns * std::f64::consts::TAU).sin();
            assert!((sine(turns) - exact).abs() < 0.002, "{turns}");
        }
    }

    #[test]
    fn kinds_stand_together_and_work_is_shown() {
        let kinds: Vec<_> = dots(&live(10)).iter().map(|dot| dot.kind).collect();
        assert_eq!(kinds, [0, 0, 1, 1, 3, 3, 3, 3, 3, 3]);
        assert_eq!(dots(&live(10)).iter().filter(|dot| dot.works).count(), 5);
        let said = told(&live(3));
        assert_eq!(said, "The relay, and around it 3 nodes (2 kind0, 1 kind1); 3 tasks under way.");
        assert_eq!(told(&json!(null)), "The relay, and around it 0 nodes; 0 tasks under way.");
    }
}
