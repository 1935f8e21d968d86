//! Simulates every scenario under every policy and prints the table as one
//! JSON object, the last line of standard output.

use grid_scheduler::sim::{ERROR_PPB, Policy, Row, Size, run, scenarios};
use grid_scheduler::trust::Rules;
use serde_json::{Value, json};

const SIZE: Size = Size { nodes: 1_000, tasks: 2_000_000 };
const SEED: u64 = 20_260_101;

fn row(row: &Row) -> Value {
    json!({
        "scenario": row.scenario,
        "policy": row.policy,
        "wrong_rate": row.wrong_rate,
        "mean_replicas": row.mean_replicas,
        "wasted_share": row.wasted_share,
        "tasks_until_out": row.tasks_until_out,
        "liar_earned_share": row.liar_earned_share,
        "liar_earned_per_work": row.liar_earned_per_work,
        "referee_share": row.referee_share,
        "final_share": row.final_share,
        "honest_shut_out": row.honest_out,
    })
}

fn main() {
    let rules = Rules::default();
    let mut rows = Vec::new();
    let mut steady = 0.0;
    let mut worst = 0.0_f64;
    for scenario in scenarios() {
        for policy in [Policy::Ours(rules), Policy::TwoOfThree, Policy::Boinc] {
            println!("{}, {}", scenario.name, policy.name());
            let found = run(&scenario, policy, SIZE, SEED);
            if matches!(policy, Policy::Ours(_)) {
                if scenario.habits.is_empty() {
                    steady = found.mean_replicas_later;
                }
                if !scenario.name.starts_with("15% colluders") {
                    worst = worst.max(found.wrong_rate);
                }
            }
            rows.push(row(&found));
        }
    }
    let figures = json!({
        "mean_replicas_honest": steady,
        "worst_wrong_rate": worst,
        "threshold": f64::from(ERROR_PPB) / 1e9,
        "assumed_faulty_share": f64::from(rules.faulty_ppm) / 1e6,
        "tasks": SIZE.tasks,
        "nodes": SIZE.nodes,
        "rows": rows,
    });
    println!("{figures}");
}
