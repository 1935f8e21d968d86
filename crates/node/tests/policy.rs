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
