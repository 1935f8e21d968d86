//! Connecting, joining, staying joined: what a node does, event by event.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use support::check;

#[test]
fn heartbeats_keep_leases_and_the_socket() {
    check(
        "play joined
         > after 9999
         > after 1
         < heartbeat
         > lease A
         < fetch A module
         < save A
         > fetched A module
         < run A
         > progress A 5
         > after 10000
         < heartbeat A:5
         > progress A 5000
         > ping
         > after 10000
         < heartbeat A:1000",
    );
    // However slow the relay wants them.
    check(
        "> on
         < connect ws://127.0.0.1:8090/v1/node
         < start
         > opened
         < hello
         > challenge
         < join
         > ready
         < pace 50
         > welcome heartbeat=4000000000
         < announce 2
         > after 20000
         < heartbeat
         > after 20000
         < heartbeat",
    );
}

#[test]
fn lost_socket_is_taken_up_again() {
    check(
        "play running both
         > closed
         = working working
         > finished A
         > after 2000
         < connect ws://127.0.0.1:8090/v1/node
         > closed
         > after 4000
         < connect ws://127.0.0.1:8090/v1/node
         > opened
         < hello
         > challenge
         < join A B
         > welcome A B
         < result A exit code=3 fuel=100
         > ack A
         < keep A fuel=100
         < drop A
         < save B
         < announce 1
         = working working tasks=1 fuel=100",
    );
    // What doesn't stand is dropped, but for results: only the relay knows.
    check(
        "play running both
         > finished A
         < result A exit code=3 fuel=100
         > closed
         > after 2000
         < connect ws://127.0.0.1:8090/v1/node
         > opened
         < hello
         > challenge
         < join A B
         > welcome tasks=1 fuel=100
         < result A exit code=3 fuel=100
         < drop B
         < save A
         < announce 1
         > ack A
         < keep A fuel=100
         < drop A
         < save
         = waiting no_work tasks=1 fuel=100",
    );
}

#[test]
fn what_was_given_back_meanwhile_is_told_after_the_join() {
    check(
        "play joined
         > lease A
         < fetch A module
         < save A
         > lease B
         < save A B
         > closed
         > fetched A module gone
         < drop A
         < fetch B module
         < save B
         > fetched B module gone
         < drop B
         < save
         > after 2000
         < connect ws://127.0.0.1:8090/v1/node
         > opened
         < hello
         > challenge
         < join A B
         > welcome B
         < giveback B fetch
         < announce 2",
    );
}

#[test]
fn a_clock_put_back_stops_nothing() {
    check(
        "play joined
         > after 25000
         < heartbeat
         < heartbeat
         > ping
         > clock 20000
         > after 4999
         > after 1
         < heartbeat
         > clock 3000
         > after 35000
         < heartbeat
         < heartbeat
         < heartbeat
         > after 4999
         > after 1
         < disconnect
         > after 2000
         < connect ws://127.0.0.1:8090/v1/node",
    );
}

#[test]
fn silent_relay_is_lost() {
    check(
        "play joined
         > after 44999
         < heartbeat
         < heartbeat
         < heartbeat
         < heartbeat
         > after 1
         < disconnect
         = connecting unreachable error
         > after 2000
         < connect ws://127.0.0.1:8090/v1/node
         > after 15000
         < disconnect
         > after 4000
         < connect ws://127.0.0.1:8090/v1/node
         > opened
         < hello
         > after 15000
         < disconnect
         > after 8000
         < connect ws://127.0.0.1:8090/v1/node
         > opened
         < hello
         > challenge
         < join
         > after 15000
         < disconnect",
    );
}

#[test]
fn refusals_wait_long() {
    let before = "> on
         < connect ws://127.0.0.1:8090/v1/node
         < start
         > ready
         < pace 50
         > opened
         < hello\n";
    for refusal in [
        "refused 1",
        "refused 3",
        "refused 999",
        "challenge version=7",
        "challenge origin=http://other.example",
    ] {
        check(&format!(
            "{before}
             > {refusal}
             < disconnect
             = connecting refused error
             > after 149999
             > until
             < connect ws://127.0.0.1:8090/v1/node
             = connecting refused error"
        ));
    }
    check(&format!(
        "{before}
         > refused 7
         < disconnect
         = connecting unreachable error
         > after 2000
         < connect ws://127.0.0.1:8090/v1/node"
    ));
    check(
        "play joined
         > refused 5
         < disconnect
         = connecting refused error
         > after 149999",
    );
}

#[test]
fn another_node_of_this_browser_goes_first() {
    let refused = "> on
         < connect ws://127.0.0.1:8090/v1/node
         < start
         > ready
         < pace 50
         > opened
         < hello
         > challenge
         < join
         > refused 9
         < disconnect
         = connecting elsewhere no-error\n";
    // It asks again, a node that works elsewhere or not, and says so meanwhile.
    let again = "> after 14999
         > until
         < connect ws://127.0.0.1:8090/v1/node
         = connecting elsewhere no-error
         > opened
         < hello
         > challenge
         < join
         = connecting elsewhere no-error\n";
    let welcome = "> welcome
         < announce 2
         = waiting no_work no-error\n";
    check(&format!("{refused}{again}> refused 9\n< disconnect\n{again}{welcome}"));
    // Switched off, paused or sent elsewhere, it asks no more.
    check(&format!(
        "{refused}
         > off
         < stop
         = off switched_off no-error
         > after 600000
         > on
         < connect ws://127.0.0.1:8090/v1/node
         < start
         = connecting joining no-error"
    ));
    check(&format!(
        "{refused}
         > snooze 100000
         < pace 0
         = paused snoozed until=100000 no-error
         > after 99999
         > after 1
         < connect ws://127.0.0.1:8090/v1/node
         < pace 50"
    ));
    check(&format!(
        "{refused} > on relay=http://other.example\n < connect ws://other.example/v1/node"
    ));
}

#[test]
fn a_node_that_is_refused_works_for_nobody() {
    let again = "> until
         < connect ws://127.0.0.1:8090/v1/node
         > opened
         < hello
         > challenge\n";
    // What runs is given back; the relay hears of it after the next join.
    for (refusal, state) in
        [("9", "elsewhere no-error"), ("5", "refused error"), ("8", "refused error")]
    {
        check(&format!(
            "play running both
             > refused {refusal}
             < disconnect
             < drop A
             < drop B
             < save
             = connecting {state}
             > finished A
             < drop A
             {again}
             < join A B
             > welcome A B
             < giveback A stopped
             < giveback B stopped
             < announce 2
             = waiting no_work no-error"
        ));
    }
    for challenge in ["version=7", "origin=http://other.example"] {
        check(&format!(
            "play running
             > closed
             > after 2000
             < connect ws://127.0.0.1:8090/v1/node
             > opened
             < hello
             > challenge {challenge}
             < disconnect
             < drop A
             < save
             = connecting refused error"
        ));
    }
    // A result that is signed waits for who takes it.
    check(&format!(
        "play running both
         > finished A
         < result A exit code=3 fuel=100
         > refused 9
         < disconnect
         < drop B
         < save A
         {again}
         < join A B
         > welcome A
         < result A exit code=3 fuel=100
         < announce 1
         > ack A
         < keep A fuel=100
         < drop A
         < save
         = waiting no_work tasks=1 fuel=100"
    ));
    // A relay that only ends hears of what went on meanwhile.
    check(
        "play running
         > refused 7
         < disconnect
         = working working",
    );
}

/// It asks every 15 to 30 seconds, for as long as it takes.
#[test]
fn another_node_of_this_browser_is_waited_for() {
    let config = grid_node::Config { jitter_seed: 7, ..grid_node::Config::default() };
    let mut bench = support::Bench::new(config);
    bench.line("on");
    let mut asked = Vec::new();
    while bench.now < 3_600_000 {
        for line in ["opened", "challenge", "refused 9"] {
            bench.line(line);
        }
        let from = bench.now;
        while !bench.after(100).iter().any(|a| matches!(a, grid_node::Action::Connect(_))) {
            assert!(bench.now - from <= 31_000, "it doesn't ask again");
        }
        asked.push(bench.now - from);
    }
    assert!(asked.iter().all(|wait| (15_000..=30_100).contains(wait)), "{asked:?}");
    assert!((120..=240).contains(&asked.len()), "{}", asked.len());
}

#[test]
fn messages_out_of_order_end_the_connection() {
    let before = "> on
         < connect ws://127.0.0.1:8090/v1/node
         < start
         > ready
         < pace 50
         > opened
         < hello\n";
    for line in ["garbage", "welcome", "lease A", "ack A", "rejected A", "cancel A"] {
        check(&format!("{before} > {line}\n < disconnect\n > after 29999"));
    }
    for line in ["garbage", "welcome", "challenge"] {
        check(&format!(
            "play joined
             > {line}
             < disconnect
             > after 29999
             > until
             < connect ws://127.0.0.1:8090/v1/node"
        ));
    }
}

#[test]
fn bad_addresses_are_said() {
    check(
        "> on relay=grid.example
         = connecting bad_address
         > after 100000
         > on relay=https://Grid.Example
         < connect wss://grid.example/v1/node
         < start",
    );
    check(
        "play joined
         > lease A
         < fetch A module
         < save A
         > on relay=http://other.example/
         < giveback A stopped
         < drop A
         < disconnect
         < connect ws://other.example/v1/node
         < save",
    );
}
