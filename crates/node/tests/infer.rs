//! Runtime `infer`: what is announced, run, passed on and signed.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use grid_node::{Config, Event};
use grid_protocol::{Package, limits};
use support::{Bench, check, check_with, lease};

fn config() -> Config {
    let package = Package::BuiltinOnly;
    Config { slots: 2, arithmetics: vec![1], package, ..Config::default() }
}

const JOINED: &str = "> on
    < connect ws://127.0.0.1:8090/v1/node
    < start
    > ready
    < pace 50
    > opened
    < hello
    > challenge
    < join models=0
    > welcome
    < announce 2
    ";

fn infers(script: &str) {
    check_with(config(), &format!("{JOINED}{script}"));
}

#[test]
fn from_lease_to_signed_check_digest() {
    infers(
        "> infer A draft
         < save A
         < infer A draft
         = working working
         > loading A 5 10
         > finished A fuel=77 infers
         < result A exit code=3 fuel=77
         > ack A
         < keep A fuel=77 model
         < drop A
         < save",
    );
}

#[test]
fn a_package_without_modules_runs_models_and_the_other_way_round() {
    infers("> lease A\n< giveback A unable");
    check("play joined\n> infer A\n< giveback A unable");
    infers("> infer A arithmetic=9\n< giveback A unable");
}

#[test]
fn the_relay_hears_what_is_kept_and_when_it_changes() {
    infers(
        "> models one
         < update 1 models=1
         > models one
         > inference off
         < update 0 models=0
         > infer A
         < giveback A unable
         > inference on
         < update 1 models=1",
    );
}

#[test]
fn switched_off_in_a_run_the_lease_goes_back() {
    infers(
        "> infer A
         < save A
         < infer A
         > inference off
         < giveback A stopped
         < drop A
         < update 0 models=0
         < save",
    );
}

#[test]
fn a_model_that_can_not_be_had_says_why() {
    infers(
        "> infer A
         < save A
         < infer A
         > failed A fetch
         < giveback A fetch
         < drop A
         < save",
    );
}

#[test]
fn text_is_passed_on_at_most_ten_times_a_second() {
    infers(
        "> infer A
         < save A
         < infer A
         > text A 0 one
         < partial A 0 one
         > text A 3 two
         > text A 6 three
         > after 100
         < partial A 3 twothree
         > text A 11 four
         > finished A fuel=7 infers
         < result A exit code=3 fuel=7",
    );
}

#[test]
fn a_gap_in_the_text_ends_what_is_passed_on() {
    infers(
        "> infer A
         < save A
         < infer A
         > text A 0 one
         < partial A 0 one
         > text A 9 two
         > after 200",
    );
}

#[test]
fn a_long_piece_of_text_is_cut_between_characters() {
    let mut bench = Bench::new(config());
    for line in JOINED.lines().filter_map(|line| line.trim().strip_prefix("> ")) {
        bench.line(line);
    }
    bench.line("infer A");
    let text = "é".repeat(limits::MAX_PARTIAL);
    let event = Event::Text { lease: lease("A"), offset: 0, text: text.clone(), pieces: 1 };
    let mut said = String::new();
    let mut actions = bench.tell(event);
    for _ in 0..3 {
        said.extend(actions.iter().filter_map(|action| bench.text(action)));
        actions = bench.after(100);
    }
    let parts: Vec<&str> = said.split("partial A ").skip(1).collect();
    assert_eq!(parts, [format!("0 {}", &text[..4096]), format!("4096 {}", &text[4096..])]);
}
