//! Shows what breaks when a rule is off: `rules [SEEDS]` counts the first complaint of each broken seed by kind.
#![expect(clippy::print_stdout, reason = "a command that tells people what it found")]

use std::collections::BTreeMap;

use windlass_blueprint::Catalog;
use windlass_engine::GuardSwitch;
use windlass_integration::drive::Guardrails;
use windlass_integration::properties::{Property, check_with};
use windlass_planner::Rules;

type Switch = (&'static str, fn(&mut Rules));

const SWITCHES: [Switch; 10] = [
    ("none", |_| ()),
    ("heal_first", |rules| rules.heal_first = false),
    ("hold_while_blind", |rules| rules.hold_while_blind = false),
    ("one_at_a_time", |rules| rules.one_at_a_time = false),
    ("window", |rules| rules.window = false),
    ("durable_first", |rules| rules.durable_first = false),
    ("refuse", |rules| rules.refuse = false),
    ("remove_last", |rules| rules.remove_last = false),
    ("majority_stands", |rules| rules.majority_stands = false),
    ("respect_cordons", |rules| rules.respect_cordons = false),
];

fn main() {
    let seeds: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(200);
    for (name, switch) in SWITCHES {
        for guards in [GuardSwitch::On, GuardSwitch::Off] {
            for property in
                [Property::Converges, Property::NeverUnsafe, Property::CrashProof, Property::Honest]
            {
                let mut kinds: BTreeMap<String, (u64, u64)> = BTreeMap::new();
                for seed in 0..seeds {
                    let mut guardrails = Guardrails { guards, audited: false, ..Guardrails::default() };
                    switch(&mut guardrails.rules);
                    if let Err(what) = check_with(property, seed, Catalog::builtin(), guardrails) {
                        let words: Vec<&str> = what.split_whitespace().skip(3).take(4).collect();
                        let kind = words.join(" ");
                        let kind = kind.split("broke ").last().unwrap_or_default().to_owned();
                        let entry = kinds.entry(kind).or_insert((0, seed));
                        entry.0 += 1;
                    }
                }
                println!("{name} guards {guards:?} {}: {kinds:?}", property.label());
            }
        }
    }
}
