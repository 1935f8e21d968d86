//! The switch, the rules, the executor and the driver coming and going: what a
//! node does, event by event.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use support::check;

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
fn pauses_at_once_and_gives_back_later() {
    let run = "play running
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
        "play running
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
         < keep A fuel=100
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
fn work_outlives_the_driver() {
    let restarted = "play running both
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
    let held = "play running
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
        "play running
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

#[test]
fn in_use_has_a_share_of_its_own() {
    check(
        "play joined
         > use 20 5
         > lease A
         < fetch A module
         < save A
         > fetched A module
         < run A
         > idle active
         < pace 20 gpu=5
         = working working
         > use 1 0
         < pace 1 gpu=0
         > idle locked
         < pace 50
         > idle active
         < pace 1 gpu=0
         > use 0 30
         < pace 0
         < announce 0
         = paused device_in_use",
    );
}

#[test]
fn a_snooze_ends_by_itself() {
    check(
        "play joined
         > snooze 900000
         < pace 0
         < announce 0
         = paused snoozed until=900000
         > after 20000
         < heartbeat
         < disconnect
         > after 879999
         = paused snoozed until=900000
         > after 1
         < connect ws://127.0.0.1:8090/v1/node
         < pace 50
         = connecting joining
         > snooze 3600000
         < pace 0
         = paused snoozed until=4500000
         > after 20000
         < disconnect
         > snooze 0
         < connect ws://127.0.0.1:8090/v1/node
         < pace 50",
    );
}

#[test]
fn a_clock_that_is_put_back_ends_no_nap_of_years() {
    check(
        "> idle idle
         > after 1000000000
         > snooze 900000
         > on
         = paused snoozed until=1000900000
         > clock 999000000
         < connect ws://127.0.0.1:8090/v1/node
         < start
         = connecting joining",
    );
}

#[test]
fn hours_of_the_week() {
    // Thursday, 1 January 1970, 00:00 UTC; hours of Thursday, 02:00 to 03:00, an hour ahead.
    check(
        "> idle idle
         > zone 60
         > hours 120 180 8
         > on
         = paused outside_hours until=3600000
         > after 3599999
         > after 1
         < connect ws://127.0.0.1:8090/v1/node
         < start
         = connecting joining
         > zone 0
         = paused outside_hours until=7200000
         > zone 60
         = connecting joining
         > hours 120 180 0
         = paused outside_hours
         > after 20000
         < disconnect
         > hours
         < connect ws://127.0.0.1:8090/v1/node
         < start",
    );
}

#[test]
fn hours_end_while_it_works() {
    check(
        "play joined
         > hours 1439 1 127
         > lease A
         < fetch A module
         < save A
         > fetched A module
         < run A
         = working working
         > ping
         > after 20000
         < heartbeat A:0
         < heartbeat A:0
         > ping
         > after 20000
         < heartbeat A:0
         < heartbeat A:0
         > ping
         > after 20000
         < heartbeat A:0
         < heartbeat A:0
         < pace 0
         < announce 0
         = paused outside_hours until=86340000
         > after 20000
         < heartbeat A:0
         < giveback A stopped
         < drop A
         < disconnect
         < save",
    );
}

#[test]
fn whom_it_belongs_to() {
    check(
        "> idle idle
         > member account
         > on
         < connect ws://127.0.0.1:8090/v1/node
         < start
         > opened
         < hello
         > challenge
         < join account
         > member account
         > member account invited browser
         < disconnect
         < connect ws://127.0.0.1:8090/v1/node
         > opened
         < hello
         > challenge
         < join account invited browser
         > welcome
         > ready
         < pace 50
         < announce 2
         > lease A
         < fetch A module
         < save A
         > member
         < disconnect
         < connect ws://127.0.0.1:8090/v1/node
         > opened
         < hello
         > member browser
         > challenge
         < join A browser",
    );
}

/// Whoever drives a node that waits for nothing but a time may stop until then.
#[test]
fn a_node_that_rests_says_until_when() {
    let mut bench = support::Bench::new(grid_node::Config::default());
    let mut rests = |lines: &[&str], until: Option<u64>| {
        for line in lines {
            bench.line(line);
        }
        assert_eq!(bench.node.resting(), until, "after {lines:?} at {}", bench.now);
    };
    rests(&["idle idle"], None); // Off: there is nothing to come back for.
    rests(&["snooze 100000", "on"], Some(100_000));
    rests(&["after 100000"], None);
    rests(&["off", "snooze 0", "hours 600 660 127", "on"], Some(36_000_000));
    rests(&["zone 60"], Some(32_400_000));
    rests(&["hours", "off", "idle active", "on"], Some(u64::MAX));
    rests(&["idle idle", "opened", "challenge", "welcome", "ready", "lease A"], None);
    rests(&["fetched A module", "idle active"], None); // A task is in hand.
    rests(&["after 19999"], None);
    rests(&["after 1"], Some(u64::MAX));
    rests(&["power battery", "idle idle"], Some(u64::MAX));
    rests(&["power mains"], None);
}
