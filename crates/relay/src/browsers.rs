//! One node works in each browser: of those that name the same one, the
//! extension's goes before a tab's, and a tab's before a widget's.

use grid_protocol::{BrowserId, PublicKey};
use std::collections::HashMap;

/// Where a node runs, by the name of its software: a claim, which decides only
/// between nodes that claim the same browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Widget,
    Tab,
    Other,
}

impl Place {
    pub(crate) fn of(agent: &str) -> Self {
        match agent.split_once('/').map_or(agent, |(name, _)| name) {
            "grid-widget" => Self::Widget,
            "grid-tab" => Self::Tab,
            _ => Self::Other,
        }
    }
}

/// The nodes on line that named their browser.
#[derive(Debug, Default)]
pub(crate) struct Browsers {
    nodes: HashMap<BrowserId, (PublicKey, Place)>,
    of_node: HashMap<PublicKey, BrowserId>,
}

/// Another node of this browser works already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken;

impl Browsers {
    /// A node joins, and says in which browser. Gives back the node that has
    /// to make room for it.
    pub(crate) fn join(
        &mut self,
        node: PublicKey,
        browser: Option<BrowserId>,
        place: Place,
    ) -> Result<Option<PublicKey>, Taken> {
        let other = self.before(node, browser, place)?;
        self.leave(node);
        other.iter().for_each(|other| self.leave(*other));
        if let Some(browser) = browser {
            self.nodes.insert(browser, (node, place));
            self.of_node.insert(node, browser);
        }
        Ok(other)
    }

    /// The node that would have to make room for it.
    pub(crate) fn before(
        &self,
        node: PublicKey,
        browser: Option<BrowserId>,
        place: Place,
    ) -> Result<Option<PublicKey>, Taken> {
        let other = browser.and_then(|browser| self.nodes.get(&browser)).copied();
        let other = other.filter(|(other, _)| *other != node);
        if other.is_some_and(|(_, there)| there >= place) {
            return Err(Taken);
        }
        Ok(other.map(|(other, _)| other))
    }

    /// The node left, or was told to.
    pub(crate) fn leave(&mut self, node: PublicKey) {
        if let Some(browser) = self.of_node.remove(&node) {
            self.nodes.remove(&browser);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<BrowserId> = Some(BrowserId([1; 16]));

    fn node(number: u8) -> PublicKey {
        PublicKey([number; 32])
    }

    #[test]
    fn software_names_its_place() {
        let check = |agent, place| assert_eq!(Place::of(agent), place, "{agent}");
        check("grid-widget/0.1.0", Place::Widget);
        check("grid-tab/0.1.0", Place::Tab);
        check("grid-chrome/0.1.0", Place::Other);
        check("grid-tabby/1", Place::Other);
        check("", Place::Other);
    }

    #[test]
    fn one_node_in_each_browser() {
        let mut browsers = Browsers::default();
        assert_eq!(browsers.join(node(1), HERE, Place::Widget), Ok(None));
        // The same one comes again.
        assert_eq!(browsers.join(node(1), HERE, Place::Widget), Ok(None));
        assert_eq!(browsers.join(node(2), HERE, Place::Widget), Err(Taken));
        // Another browser, and who names none, have nothing to do with it.
        assert_eq!(browsers.join(node(3), Some(BrowserId([2; 16])), Place::Widget), Ok(None));
        assert_eq!(browsers.join(node(4), None, Place::Widget), Ok(None));
        // A tab takes the widget's place, the extension the tab's.
        assert_eq!(browsers.join(node(5), HERE, Place::Tab), Ok(Some(node(1))));
        assert_eq!(browsers.join(node(6), HERE, Place::Other), Ok(Some(node(5))));
        assert_eq!(browsers.join(node(5), HERE, Place::Tab), Err(Taken));
        // The end of one that was replaced changes nothing.
        browsers.leave(node(1));
        browsers.leave(node(5));
        assert_eq!(browsers.join(node(5), HERE, Place::Tab), Err(Taken));
        browsers.leave(node(6));
        assert_eq!(browsers.join(node(5), HERE, Place::Tab), Ok(None));
        // A node that moves leaves no trace in the browser before.
        assert_eq!(browsers.join(node(5), Some(BrowserId([3; 16])), Place::Tab), Ok(None));
        assert_eq!(browsers.join(node(1), HERE, Place::Widget), Ok(None));
    }
}
