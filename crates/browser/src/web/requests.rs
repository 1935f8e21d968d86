//! What pages ask of the node: messages with a `kind`, answered with plain
//! objects. extension/README.md lists them.

use super::account;
use super::acks;
use super::node::{Driver, NodeHandle, now, zone};
use super::people::{self, Asker, TeamStep};
use super::storage::to_js;
use super::view::{Besides, View};
use grid_contexts::wait::sleep;
use grid_node::Settings;
use grid_protocol::Name;
use js_sys::{Object, Reflect};
use serde::de::DeserializeOwned;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// How long a page's question may wait for the node to settle, in milliseconds.
const SETTLE_MS: u32 = 2_000;
/// How often it looks.
const LOOK_MS: u32 = 20;

/// A field of a message; an error: it isn't there, or is something else.
fn field<T: DeserializeOwned>(message: &JsValue, name: &str) -> Result<T, JsValue> {
    let value = Reflect::get(message, &name.into())?;
    Ok(serde_wasm_bindgen::from_value(value)?)
}

#[wasm_bindgen(js_class = Node)]
impl NodeHandle {
    /// Answers a message. An error is a text that begins with its code.
    pub async fn answer(&self, message: JsValue) -> Result<JsValue, JsValue> {
        let driver = &self.0;
        let kind: String = field(&message, "kind")?;
        match kind.as_str() {
            "status" => driver.settled().await,
            "settings" => {
                let part = Reflect::get(&message, &"settings".into())?;
                driver.change(settings(driver, &part)?).await;
            }
            "empty" => driver.empty_models().await?,
            "acks" => return Ok(to_js(&acks::of_relay(&driver.origin()).await)?),
            "recent" => return Ok(to_js(&acks::recent().await)?),
            "check" => {
                let (relay, seq): (String, u64) =
                    (field(&message, "relay")?, field(&message, "seq")?);
                let checked = acks::check(&relay, seq, &driver.key()).await;
                return Ok(to_js(&checked.ok_or("unknown_receipt")?)?);
            }
            "account_new" => {
                let words = driver.belong(|account, node| account.make(node)).await?;
                return Ok(words.into());
            }
            "account_enter" => {
                let words: String = field(&message, "phrase")?;
                let entered = driver.belong(|account, node| {
                    account.enter(&words, node).map_err(|error| account::told(&error))
                });
                entered.await?;
            }
            "account_phrase" => {
                let words = driver.account.borrow().words().map(str::to_owned);
                return Ok(words.ok_or("no_phrase")?.into());
            }
            "account_written" => {
                driver.belong(|account, _| account.forget_words()).await;
            }
            "invite" => {
                let link = driver.asker(&message).await?.friend().await?;
                driver.belong(|account, _| account.invites(link)).await;
            }
            "site" => {
                let name: Name = field(&message, "name").map_err(|_| "bad_name")?;
                let site: String = field(&message, "origin")?;
                return Ok(driver.asker(&message).await?.site(name, site).await?.into());
            }
            "person" => return Ok(to_js(&driver.person().await?)?),
            "team" => {
                let step: TeamStep = field(&message, "step")?;
                let name: Name = field(&message, "name").map_err(|_| "bad_name")?;
                driver.asker(&message).await?.team(step, &name).await?;
                return Ok(to_js(&driver.person().await?)?);
            }
            "account_export" => {
                return Ok(driver.asker(&message).await?.export().await?.into());
            }
            "account_delete" => {
                driver.asker(&message).await?.delete().await?;
                // Only now: until the relay has said yes, the words are needed.
                driver.belong(|account, _| account.leave()).await;
            }
            "account_leave" => driver.belong(|account, _| account.leave()).await,
            "invited" => {
                let code: String = field(&message, "code")?;
                let told = driver.belong(|account, _| {
                    account.invited(&code).then_some(()).ok_or("bad_invitation")
                });
                told.await?;
            }
            "wake" => return Ok(Object::new().into()),
            _ => return Err("unknown_message".into()),
        }
        driver.view()
    }
}

/// The settings, with the fields that a page changes.
fn settings(driver: &Driver, part: &JsValue) -> Result<Settings, JsValue> {
    let now = to_js(&*driver.settings.borrow())?;
    let changed: Object = Object::assign(now.unchecked_ref(), part.unchecked_ref::<Object>());
    Ok(serde_wasm_bindgen::from_value(changed.into())?)
}

impl Driver {
    /// A node that has just been started again isn't off: it waits for what the
    /// offscreen document knows.
    async fn settled(&self) {
        for _ in 0..SETTLE_MS / LOOK_MS {
            if self.power_known.get() || !self.settings.borrow().on {
                break;
            }
            sleep(LOOK_MS).await;
        }
    }

    /// The account at the relay in the settings, ready to sign: with the words in
    /// `message`, or with those that are kept.
    async fn asker(&self, message: &JsValue) -> Result<Asker, JsValue> {
        let words: Option<String> = field(message, "phrase")?;
        let account = self.account.borrow().signer(words.as_deref())?;
        let (joined, origin) = (self.node.borrow().relay(), self.origin());
        let relay = match joined {
            Some(relay) => relay,
            None => people::relay_key(&origin).await?,
        };
        Ok(Asker { account, relay, origin, time_ms: now() })
    }

    /// What the relay says of the account.
    async fn person(&self) -> Result<people::Person, String> {
        let key = self.account.borrow().key().ok_or("no_account")?;
        people::person(&self.origin(), &key).await
    }

    /// What pages are shown.
    fn view(self: &Rc<Self>) -> Result<JsValue, JsValue> {
        let status = self.node.borrow().status();
        let (settings, figures) = (self.settings.borrow(), self.figures.borrow());
        let (models, account) = (self.models.borrow(), self.account.borrow());
        let (acks, trouble) = (self.acks.borrow(), self.trouble.borrow());
        let besides = Besides {
            settings: &settings,
            models: &models,
            figures: &figures,
            account: account.shown(),
            trouble: trouble.as_deref(),
            today: acks.on_day(now() as f64, zone()),
            newest: acks.newest(),
        };
        Ok(to_js(&View::new(status, besides))?)
    }
}
