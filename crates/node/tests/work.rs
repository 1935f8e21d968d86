//! Leases, from offer to acknowledgement: what a node does, event by event.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use grid_node::Config;
use grid_protocol::Package;
use support::{Bench, JOINED, check, check_with};

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
         < keep A fuel=77
         < drop A
         < save
         = waiting no_work tasks=1 fuel=77",
    );
}

#[test]
fn slots_are_announced_when_none_is_on_its_way() {
    check(
        "play running
         > finished A
         < result A exit code=3 fuel=100
         > ack A
         < keep A fuel=100
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
         < start
         > opened
         < hello
         > challenge
         < join
         > welcome
         > ready
         < pace 50
         < announce 1
         > lease A
         < giveback A unable
         < announce 1",
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
        "play running
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
         < keep A fuel=100
         < drop A
         < save",
    );
    check(
        "play running
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
         < keep A fuel=100
         < drop A
         < save
         = waiting no_work tasks=1 fuel=100 no-error
         > ack A
         = waiting no_work tasks=1 fuel=100 no-error",
    );
    check(
        "play running
         > finished A
         < result A exit code=3 fuel=100
         > rejected A
         < drop A
         < save
         = waiting no_work tasks=0 fuel=0 error",
    );
}

#[test]
fn it_says_whose_work_it_does_even_when_started_again() {
    let mut bench = Bench::new(Config::default());
    for line in JOINED.lines().filter_map(|line| line.trim().strip_prefix("> ")) {
        bench.line(line);
    }
    bench.line("lease A named");
    let shown = |bench: &Bench| {
        let run = &bench.node.status().running[0];
        (run.owner.clone(), run.job.chars().count())
    };
    assert_eq!(shown(&bench), ("harbour".into(), 200), "no longer, and nothing but text");
    bench.line("restart");
    assert_eq!(shown(&bench), ("harbour".into(), 200));
}
