//! Campaigns: opened with a file, which the relay checks and sums up first, and
//! ended early.

use crate::json::Read as _;
use crate::web::files::{drop_zone, read};
use crate::web::key::Keys;
use crate::web::net::{self, Shown};
use crate::web::pages::people;
use crate::web::parts::{Cell, facts, notice, table, verdict, words_of};
use crate::words;
use leptos::prelude::*;
use serde_json::Value;

/// Those of the page of campaigns, and what can be done.
const HEADS: [&str; 6] = ["Campaign", "Until", "Goal reached", "#Points", "#People", ""];

/// `again` asks for what the page shows, once something has changed.
pub(super) fn campaigns(all: Memo<Value>, again: impl Fn() + Copy + Send + 'static) -> AnyView {
    let key = Keys::get().operator;
    // What waits for a second click: a campaign; and its file, if it is to be
    // opened.
    let asked = Shown::new();
    let file = StoredValue::new(None::<Vec<u8>>);
    let check = move |mut files: Vec<web_sys::File>| {
        let Some(chosen) = files.pop() else { return };
        asked.clear();
        asked.show(async move {
            let bytes = read(&chosen).await?;
            let path = "v1/operator/campaign-file";
            let answer = net::upload("POST", path, &key.get_untracked(), &bytes).await?;
            file.set_value(Some(bytes));
            Ok(net::read(path, &answer.bytes().await?)?)
        });
    };
    let end = move |campaign: &Value| {
        file.set_value(None);
        asked.clear();
        asked.value.set(campaign.clone());
    };
    let confirm = move |_| {
        asked.show(async move {
            let path = asked.value.with_untracked(|campaign| {
                format!("v1/operator/campaigns/{}", campaign.text("id"))
            });
            let key = key.get_untracked();
            match file.get_value() {
                Some(file) => net::upload("PUT", &path, &key, &file).await?,
                None => net::send("POST", &format!("{path}/close"), &key, None).await?,
            };
            again();
            Ok(Value::Null)
        });
    };
    let rows = move || {
        let row = |campaign: &Value| {
            let mut row = people::campaign_row(campaign);
            let runs = campaign["closed_ms"].is_null()
                && campaign.number("end_ms") > js_sys::Date::now() as u64;
            row.push(if runs {
                let (label, ended) = (format!("End {}", campaign.text("name")), campaign.clone());
                Cell::Button("End", label, Box::new(move || end(&ended)))
            } else {
                "over".into()
            });
            row
        };
        all.with(|all| all.as_array().into_iter().flatten().map(row).collect())
    };
    let none =
        move || all.with(|all| (*all == Value::Array(Vec::new())).then(|| "None yet.".into()));
    let waits = move |campaign: &Value| {
        let opens = file.with_value(Option::is_some);
        let (title, say) =
            if opens { ("Open this campaign?", "Open it") } else { ("End it now?", "End it") };
        let goal = words::points(campaign.number("goal"));
        let mut terms = people::terms(campaign);
        terms.push(("Goal", Cell::Text(format!("{goal} points"))));
        let told = view! {
            <p><b>{campaign.text("name").to_owned()}</b></p>
            {facts(terms)}
            <p class="hint">"The log says so for good. What a campaign brought stays when it ends."</p>
            <button type="button" class="main" on:click=confirm>{say}</button>
            " "
            <button type="button" on:click=move |_| asked.clear()>"Cancel"</button>
        };
        verdict(opens, title, told.into_any())
    };
    view! {
        <h2>"Campaigns"</h2>
        {table("Campaigns", &HEADS, rows)}
        {move || words_of("empty", none())}
        {drop_zone(
            "campaign", "Drop a campaign's file here, or choose one", ".toml", false,
            view! { <p class="hint">"TOML, as "<code>"grid-relay campaign open"</code>" takes it."</p> }
                .into_any(),
            check,
        )}
        {notice(asked.failed.into())}
        {move || asked.value.with(|campaign| campaign.is_object().then(|| waits(campaign)))}
    }
    .into_any()
}
