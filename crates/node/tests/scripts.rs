//! What a node does, event by event.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use grid_node::Config;
use grid_protocol::Package;
use support::{check, check_with};

#[test]
fn nothing_happens_before_it_is_switched_on() {
    check(
        "> idle idle
         > power mains
         > opened
         > ready A
         > ping
         > closed
         > after 100000
         = off switched_off
         > off
         = off switched_off",
    );
}

#[test]
fn from_switch_to_acknowledged_receipt() {
    check(
        "play joined
         = waiting no_work
         > lease A
         < fetch A module
         < save A
         > fetched A module
         < run A
         = working working
         > progress A 40
         > finished A fuel=77
         < result A exit code=3 fuel=77
         > ack A
         < drop A
         < save
         = waiting no_work tasks=1 fuel=77",
    );
}

#[test]
fn slots_are_announced_when_none_is_on_its_way() {
    check(
        "play joined
         > lease A
         < fetch A module
         < save A
         > fetched A module
         < run A
         > finished A
         < result A exit code=3 fuel=100
         > ack A
         < drop A
         < save
         > lease B
         < save B
         < run B
         < announce 1
         > lease C
         < save B C
         < run C
         > lease D
         < giveback D unable
         > lease C",
    );
}

#[test]
fn module_is_fetched_once_and_kept() {
    check(
        "play joined
         > lease A
         < fetch A module
         < save A
         > lease B blob
         < fetch B input
         < save A B
         > fetched A module
         < run A
         > fetched B input
         < run B",
    );
    // The one that asked goes: the other asks in its place.
    check(
        "play joined
         > lease A
         < fetch A module
         < save A
         > lease B
         < save A B
         > cancel A
         < drop A
         < fetch B module
         < save B
         < announce 1
         > fetched A module wrong
         > fetched B module
         < run B",
    );
}

#[test]
fn bad_leases_are_given_back() {
    check(
        "play joined
         > lease A badspec
         < giveback A unable
         > lease A admission=9
         < giveback A unable
         < announce 2
         > lease A huge
         < giveback A unable
         > lease A badinput
         < giveback A fetch
         < announce 2
         > lease A
         < fetch A module
         < save A
         > lease B blob
         < fetch B input
         < save A B
         > fetched B input wrong
         < giveback B fetch
         < drop B
         < save A
         < announce 1
         > fetched A module gone
         < giveback A fetch
         < drop A
         < save",
    );
    check_with(
        Config { package: Package::BuiltinOnly, ..Config::default() },
        "> on
         < connect ws://127.0.0.1:8090/v1/node
         < start",
    );
}

#[test]
fn reports_become_receipts_within_the_rules() {
    let run = "play joined
         > lease A
         < fetch A module
         < save A
         > fetched A module
         < run A\n";
    let with = |rest: &str| check(&format!("{run}{rest}"));
    with("> finished A trap fuel=9\n < result A trap code=0 fuel=9");
    with("> finished A fuel_out fuel=9\n < result A out_of_fuel code=0 fuel=1000");
    let refused = "< giveback A device\n < drop A\n < save";
    with(&format!("> finished A fuel=1001\n {refused}"));
    with(&format!("> finished A output=200001\n {refused}"));
    with(&format!("> finished A badoutput\n {refused}"));
    with(&format!("> failed A\n {refused}\n > finished A\n < drop A"));
}

#[test]
fn large_outputs_are_uploaded_first() {
    check(
        "play joined
         > lease A
         < fetch A module
         < save A
         > fetched A module
         < run A
         > finished A output=100000
         < upload A 100031
         > uploaded A broken
         > after 1999
         > after 1
         < upload A 100031
         > uploaded A
         < result A exit code=3 fuel=100 uploaded
         > uploaded A
         > ack A
         < drop A
         < save",
    );
    check(
        "play joined
         > lease A
         < fetch A module
         < save A
         > fetched A module
         < run A
         > finished A output=100000
         < upload A 100031
         > uploaded A 1
         > after 2000
         < upload A 100031
         > uploaded A 2
         > after 4000
         < upload A 100031
         > uploaded A 3
         > after 8000
         < heartbeat A:100
         < upload A 100031
         > uploaded A 4
         < giveback A device
         < drop A
         < save",
    );
}

#[test]
fn acknowledgements_are_checked() {
    check(
        "play joined
         > lease A
         < fetch A module
         < save A
         > ack A
         > fetched A module
         < run A
         > ack A
         > finished A
         < result A exit code=3 fuel=100
         > ack Z
         > rejected Z
         > cancel Z
         = waiting no_work tasks=0 fuel=0 no-error
         > ack A receipt=wrong
         = waiting no_work tasks=0 fuel=0 error
         > ack A signature=wrong
         = waiting no_work tasks=0 fuel=0 error
         > ack A
         < drop A
         < save
         = waiting no_work tasks=1 fuel=100 no-error
         > ack A
         = waiting no_work tasks=1 fuel=100 no-error",
    );
    check(
        "play joined
         > lease A
         < fetch A module
         < save A
         > fetched A module
         < run A
         > finished A
         < result A exit code=3 fuel=100
         > rejected A
         < drop A
         < save
         = waiting no_work tasks=0 fuel=0 error",
    );
}

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
fn pauses_at_once_and_gives_back_later() {
    let run = "play joined
         > lease A
         < fetch A module
         < save A
         > fetched A module
         < run A
         > idle active
         < pace 0
         < announce 0
         = paused device_in_use\n";
    check(&format!(
        "{run}
         > lease B
         < giveback B stopped
         > after 19999
         < heartbeat A:0
         > idle locked
         < pace 50
         < announce 1
         > after 10001
         < heartbeat A:0
         < heartbeat A:0
         > ping
         > after 30000
         < heartbeat A:0
         < heartbeat A:0
         < heartbeat A:0"
    ));
    check(&format!(
        "{run}
         > after 20000
         < heartbeat A:0
         < giveback A stopped
         < drop A
         < disconnect
         < save
         > after 100000
         = paused device_in_use
         > finished A
         < drop A
         > idle idle
         < connect ws://127.0.0.1:8090/v1/node
         < pace 50
         = connecting joining"
    ));
}

#[test]
fn battery_pauses_unless_it_may_be_used() {
    check(
        "> power battery
         > idle idle
         > on
         = paused on_battery
         > power unknown
         < connect ws://127.0.0.1:8090/v1/node
         < start
         = connecting joining
         > power battery
         = paused on_battery
         > after 20000
         < disconnect
         > power mains
         < connect ws://127.0.0.1:8090/v1/node
         < start",
    );
}

#[test]
fn finished_work_outlives_a_pause() {
    check(
        "play joined
         > lease A
         < fetch A module
         < save A
         > fetched A module
         < run A
         > finished A
         < result A exit code=3 fuel=100
         > idle active
         < pace 0
         < announce 0
         > after 20000
         < heartbeat A:100
         < disconnect
         > idle idle
         < connect ws://127.0.0.1:8090/v1/node
         < pace 50
         > opened
         < hello
         > challenge
         < join A
         > welcome tasks=1 fuel=100
         < result A exit code=3 fuel=100
         < announce 1
         > ack A
         < drop A
         < save
         = waiting no_work tasks=1 fuel=100",
    );
}

#[test]
fn switched_off_everything_ends_at_once() {
    check(
        "play joined
         > lease A
         < fetch A module
         < save A
         > lease B
         < save A B
         > off
         < giveback A stopped
         < drop A
         < giveback B stopped
         < drop B
         < disconnect
         < stop
         < save
         = off switched_off
         > fetched A module
         > ready
         > after 100000
         > on
         < connect ws://127.0.0.1:8090/v1/node
         < start",
    );
}

#[test]
fn lost_socket_is_taken_up_again() {
    check(
        "play joined
         > lease A
         < fetch A module
         < save A
         > lease B
         < save A B
         > fetched A module
         < run A
         < run B
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
         < drop A
         < save B
         < announce 1
         = working working tasks=1 fuel=100",
    );
    // What doesn't stand is dropped, but for results: only the relay knows.
    check(
        "play joined
         > lease A
         < fetch A module
         < save A
         > lease B
         < save A B
         > fetched A module
         < run A
         < run B
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

#[test]
fn work_outlives_the_driver() {
    let restarted = "play joined
         > lease A
         < fetch A module
         < save A
         > lease B
         < save A B
         > fetched A module
         < run A
         < run B
         > restart
         > idle idle
         > on
         < connect ws://127.0.0.1:8090/v1/node
         < start
         > opened
         < hello
         > challenge
         < join A B
         > welcome A B\n";
    check(&format!(
        "{restarted}
         > ready B
         < giveback A lost
         < drop A
         < pace 50
         < save B
         < announce 1
         = working working
         > finished B
         < result B exit code=3 fuel=100"
    ));
    check(&format!(
        "{restarted}
         = waiting starting_sandbox
         > after 9999
         > after 1
         < heartbeat A:0 B:0
         < giveback A lost
         < drop A
         < giveback B lost
         < drop B
         < save
         > after 1500
         < start
         > ready B
         < drop B
         < pace 50
         < announce 2"
    ));
    // Another relay answers: it knows nothing of these.
    check(
        "play joined
         > lease A
         < fetch A module
         < save A
         > restart
         > on
         < connect ws://127.0.0.1:8090/v1/node
         < start
         > opened
         < hello
         > challenge relay=1
         < drop A
         < join
         < save",
    );
}

#[test]
fn switched_off_or_paused_while_the_driver_was_stopped() {
    let held = "play joined
         > lease A
         < fetch A module
         < save A
         > fetched A module
         < run A
         > restart\n";
    check(&format!(
        "{held}
         > off
         < drop A
         < stop
         < save"
    ));
    check(&format!(
        "{held}
         > idle active
         > on
         < connect ws://127.0.0.1:8090/v1/node
         < pace 0
         > opened
         < hello
         > challenge
         < join A
         > welcome A
         > after 20000
         < heartbeat A:0
         < giveback A stopped
         < drop A
         < disconnect
         < save"
    ));
}

#[test]
fn executor_that_goes_is_started_again() {
    check(
        "play joined
         > lease A
         < fetch A module
         < save A
         > fetched A module
         < run A
         > gone
         < giveback A lost
         < drop A
         < save
         < announce 0
         = waiting starting_sandbox
         > lease B
         < save B
         > after 1000
         < start
         > ready
         < pace 50
         < run B
         < announce 1",
    );
}

#[test]
fn share_changes_the_pace() {
    check(
        "play joined
         > on share=80
         < pace 80
         > on share=80
         > on share=0
         < pace 1
         > on share=200
         < pace 100",
    );
}
