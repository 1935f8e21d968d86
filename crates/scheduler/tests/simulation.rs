//! The benchmark's claims, on fewer nodes and tasks: `cargo xtask bench trust`
//! has the whole table.

use grid_scheduler::sim::{ERROR_PPB, Habit, Policy, Row, Scenario, Size, run};
use grid_scheduler::trust::Rules;

/// 250 tasks a node: enough for a class to be proven.
const SIZE: Size = Size { nodes: 200, tasks: 50_000 };

fn simulate(habits: Vec<(f64, Habit)>) -> Row {
    run(&Scenario { name: "test", habits }, Policy::Ours(Rules::default()), SIZE, 7)
}

/// What holds in every network: hardly a wrong result, no honest node shut
/// out, nothing stuck, nothing to be gained.
fn check(habits: Vec<(f64, Habit)>) -> Row {
    let row = simulate(habits);
    assert!(row.wrong_rate <= f64::from(ERROR_PPB) / 1e9, "{row:?}");
    assert_eq!(row.honest_out, 0, "{row:?}");
    assert!(row.final_share > 0.75, "{row:?}");
    assert!(row.liar_earned_share.is_none_or(|share| share <= 1.0), "{row:?}");
    row
}

fn sleepers(rate: f64) -> Vec<(f64, Habit)> {
    vec![(0.2, Habit::Lies { rate, after: 300, returns: false })]
}

#[test]
fn honest_nodes_are_hardly_replicated() {
    let row = check(Vec::new());
    assert!(row.mean_replicas_later < 1.10, "{row:?}");
    assert!(row.mean_replicas_later > 1.05, "the floor of checks is gone: {row:?}");
    assert_eq!((row.wrong_rate, row.referee_share), (0.0, 0.0));
}

#[test]
fn liars_are_shut_out() {
    for rate in [0.05, 1.0] {
        let row = check(vec![(0.3, Habit::Lies { rate, after: 0, returns: false })]);
        assert!(row.tasks_until_out.is_some_and(|out| out < 100), "{row:?}");
    }
}

#[test]
fn colluders_gain_nothing() {
    for rate in [0.1, 1.0] {
        check(vec![(0.15, Habit::Colludes { rate, after: 0, returns: false })]);
    }
    check(vec![
        (0.03, Habit::Colludes { rate: 1.0, after: 0, returns: true }),
        (0.10, Habit::Backs),
    ]);
}

#[test]
fn sleepers_are_caught_before_their_lies_count() {
    check(sleepers(0.2));
    // Who lies always passes no later check, so none of its lies is accepted.
    assert_eq!(check(sleepers(1.0)).wrong_rate, 0.0);
}

#[test]
fn coming_back_under_a_new_key_brings_nothing() {
    let row = check(vec![(0.1, Habit::Lies { rate: 1.0, after: 0, returns: true })]);
    assert!(row.liar_earned_share.is_some_and(|share| share < 0.01), "{row:?}");
}

#[test]
fn a_run_can_be_repeated() {
    assert_eq!(simulate(sleepers(1.0)), simulate(sleepers(1.0)));
}
