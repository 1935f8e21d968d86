//! The frame around every page: title, places to go, what page it is.

use super::key::Keys;
use super::pages;
use crate::route::Route;
use leptos::html;
use leptos::prelude::*;

pub(super) fn mount() {
    // What index.html showed until now.
    if let Some(skeleton) = document().get_element_by_id("skeleton") {
        skeleton.remove();
    }
    mount_to_body(App);
}

/// Where the visitor is.
fn here() -> Route {
    let location = window().location();
    let fragment = location.hash().unwrap_or_default();
    let asked = || Route::of_query(&location.search().unwrap_or_default());
    match Route::parse(&fragment) {
        Route::Overview if fragment.is_empty() => asked().unwrap_or(Route::Overview),
        route => route,
    }
}

#[component]
fn App() -> impl IntoView {
    Keys::provide();
    let route = RwSignal::new(here());
    let main = NodeRef::<html::Main>::new();
    let handle = window_event_listener(leptos::ev::hashchange, move |_| {
        route.set(here());
        // A new page begins at its top, for the eyes and for the reader.
        window().scroll_to_with_x_and_y(0.0, 0.0);
        if let Some(main) = main.get_untracked() {
            let _ = main.focus();
        }
    });
    on_cleanup(move || handle.remove());
    Effect::new(move |_| document().set_title(&format!("{} · Grid", route.get().title())));
    let skip = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        if let Some(main) = main.get_untracked() {
            let _ = main.focus();
        }
    };
    let places =
        [Route::Overview, Route::Leaders, Route::Submit, Route::Job(None), Route::Check(None)];
    view! {
        <header>
            <a class="skip" href="#/" on:click=skip>"Skip to the page"</a>
            <a class="home" href="#/">
                <img class="mark" src="mark.svg" alt=""/>
                "Grid"
            </a>
            <nav aria-label="Pages">
                <ul>
                    {places.into_iter().map(|place| {
                        let current = move || (section(route.get()) == place).then_some("page");
                        view! {
                            <li><a href=place.to_string() aria-current=current>{name(place)}</a></li>
                        }
                    }).collect_view()}
                    <li><a class="lend" href="node/">"Lend this browser"</a></li>
                </ul>
            </nav>
        </header>
        <main tabindex="-1" node_ref=main>
            {move || page(route.get())}
        </main>
        <footer>
            <p>"One point is 1,000,000,000 fuel of verified work. Everything here follows from the \
                relay's public log, and "<a href="#/audit">"can be recomputed in this page"</a>"."</p>
            <p><a href="v1/network">"/v1/network"</a>" · "<a href="metrics">"/metrics"</a>" · "
                <a href="log/checkpoint">"/log/checkpoint"</a>" · "
                <a href="#/operate">"For the operator"</a></p>
        </footer>
    }
}

fn name(place: Route) -> &'static str {
    match place {
        Route::Job(_) => "Your jobs",
        other => other.title(),
    }
}

/// Which of the places a page belongs to.
fn section(route: Route) -> Route {
    match route {
        Route::Check(_) => Route::Check(None),
        Route::Job(_) => Route::Job(None),
        Route::Audit
        | Route::Node(_)
        | Route::Account(_)
        | Route::Team(_)
        | Route::Campaigns(_) => Route::Leaders,
        other => other,
    }
}

fn page(route: Route) -> AnyView {
    match route {
        Route::Overview => pages::overview(),
        Route::Leaders => pages::leaderboard(),
        Route::Check(entry) => pages::check(entry),
        Route::Audit => pages::audit(),
        Route::Node(key) => pages::node(&key),
        Route::Job(id) => pages::job(id),
        Route::Account(key) => pages::account(&key.to_string()),
        Route::Team(id) => pages::team(&id.to_string()),
        Route::Campaigns(None) => pages::campaigns(),
        Route::Campaigns(Some(id)) => pages::campaign(&id.to_string()),
        Route::Invite(code) => pages::invitation(&code.to_string()),
        Route::Submit => pages::submit(),
        Route::Operate => pages::operate(),
        Route::Unknown => view! {
            <h1>"There is no such page"</h1>
            <p><a href="#/">"What the network does now"</a></p>
        }
        .into_any(),
    }
}
