//! One node in each browser, and which pages may hold the widget.

use crate::common::{Fixture, Socket, connect, get, receive, send, start, until};
use grid_protocol::{
    BrowserId, FromNode, Join, Package, RefuseCode, SigningKey, ToNode, join_bytes,
};

/// Joins as this software, in this browser; gives back what the relay says.
async fn join(relay: &Fixture, seed: u8, agent: &str, browser: Option<u8>) -> (Socket, ToNode) {
    let mut socket = connect(&relay.relay).await;
    let key = SigningKey::from_seed([seed; 32]);
    send(&mut socket, &FromNode::Hello { versions: vec![1], agent: agent.into() }).await;
    let Some(ToNode::Challenge { relay: named, origin, nonce, .. }) = receive(&mut socket).await
    else {
        panic!("no challenge")
    };
    let node = key.public();
    let join = Join {
        node,
        signature: key.sign(&join_bytes(&named, &origin, &nonce, &node)),
        delegation: None,
        package: Package::Full,
        admissions: vec![grid_sandbox::ADMISSION],
        holding: vec![],
        inference: None,
        invitation: None,
        browser: browser.map(|browser| BrowserId([browser; 16])),
    };
    send(&mut socket, &FromNode::Join(join)).await;
    let said = receive(&mut socket).await.unwrap();
    (socket, said)
}

fn refused(message: &ToNode) -> bool {
    let browser = RefuseCode::Browser.number();
    matches!(message, ToNode::Refused { code, .. } if *code == browser)
}

async fn online(relay: &Fixture) -> u64 {
    let answer = get(&format!("{}/v1/network", relay.owner.base)).await;
    let network: serde_json::Value = answer.json().await.unwrap();
    network["nodes_online"].as_u64().unwrap()
}

#[tokio::test]
async fn one_node_works_in_each_browser() {
    let relay = start().await;
    let (mut first, said) = join(&relay, 1, "grid-widget/1", Some(7)).await;
    assert!(matches!(said, ToNode::Welcome { .. }), "{said:?}");
    // Another widget of this browser, on another site.
    let (_, said) = join(&relay, 2, "grid-widget/1", Some(7)).await;
    assert!(refused(&said), "{said:?}");
    // Another browser, and one that isn't known.
    let (_other, said) = join(&relay, 3, "grid-widget/1", Some(8)).await;
    assert!(matches!(said, ToNode::Welcome { .. }), "{said:?}");
    let (_unknown, said) = join(&relay, 4, "grid-widget/1", None).await;
    assert!(matches!(said, ToNode::Welcome { .. }), "{said:?}");
    assert_eq!(online(&relay).await, 3);
    // The extension takes the widget's place, which is told why.
    let (extension, said) = join(&relay, 5, "grid-chrome/1", Some(7)).await;
    assert!(matches!(said, ToNode::Welcome { .. }), "{said:?}");
    let said = receive(&mut first).await.unwrap();
    assert!(refused(&said), "{said:?}");
    drop(first);
    until(|| async { online(&relay).await == 3 }).await;
    let (_, said) = join(&relay, 1, "grid-widget/1", Some(7)).await;
    assert!(refused(&said), "{said:?}");
    // Until it leaves.
    drop(extension);
    until(|| async { online(&relay).await == 2 }).await;
    let (_again, said) = join(&relay, 1, "grid-widget/1", Some(7)).await;
    assert!(matches!(said, ToNode::Welcome { .. }), "{said:?}");
    relay.finish().await;
}
