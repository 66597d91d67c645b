//! `cargo bench --bench call`: what a signed call costs above bare reqwest, ours beside the published crate's.
//!
//! Both clients are packages of their own with lock files of their own, so that neither's features leak into the
//! other. Allocations are counted by an allocator, instructions by valgrind (left out where there is none): each
//! the difference of a long and a short run, divided by the calls between them. Both hash the same bytes, for which
//! valgrind's processor has no instructions of its own; so what is left without the hashing is a line as well.
//!
//! What is timed (a service's client, a process's first client, many calls at once) is the best of several turns.

mod program;

use program::{Program, loopback_server};

const SHORT: u64 = 50;
const LONG: u64 = 350;
/// How often each program is timed.
const TURNS: usize = 15;
/// Calls of a round at 64 at a time.
const PARALLEL: u64 = 6_400;

fn main() {
    let root_url = loopback_server();
    let ours = Program::built("client-ours");
    let official = Program::built("client-official");
    let measure = |program: &Program, mode| Cost::of(program, mode, &root_url);
    let (our_bare, our_call) = (measure(&ours, "bare"), measure(&ours, "signed"));
    let (their_bare, their_call) = (measure(&official, "bare"), measure(&official, "signed"));

    println!(
        "per call                 ours: bare   signed    official: bare   signed    ratio above bare (goal <= 0.5)"
    );
    let row = |name: &str, pick: &dyn Fn(&Cost) -> Option<f64>| match [&our_bare, &our_call, &their_bare, &their_call]
        .map(pick)
    {
        [Some(a), Some(b), Some(c), Some(d)] => {
            println!("{name:<22}{a:>13.1}{b:>9.1}{c:>18.1}{d:>9.1}{:>10.2}", (b - a) / (d - c));
        }
        _ => println!("{name:<22} not measured: no valgrind"),
    };
    row("allocations", &|cost| Some(cost.allocations));
    row("instructions (1,000)", &|cost| cost.instructions.map(|(all, _)| all / 1000.0));
    row("… without SHA-256", &|cost| cost.instructions.map(|(all, sha256)| (all - sha256) / 1000.0));
    times(&ours, &official, &root_url);
}

/// What is timed: each in turns, and the best of them, since whatever else the machine does can only add.
fn times(ours: &Program, official: &Program, root_url: &str) {
    let best = |program: &Program, mode: &str, count: u64| {
        let run = || program.run(&[mode, root_url, &count.to_string()]).trim().parse::<u64>().expect("a number");
        (0..TURNS).map(|_| run()).min().expect("there are turns")
    };
    let pair = |mode: &str, our_count: u64, their_count: u64| {
        (
            best(ours, mode, our_count) as f64 / our_count as f64,
            best(official, mode, their_count) as f64 / their_count as f64,
        )
    };
    let (our_handle, their_handle) = pair("handle", 1_000_000, 50);
    println!("client of a service, ns: ours {our_handle:.0} (goal < 100), official {their_handle:.0}");
    let (our_bare, their_bare) = pair("first-bare", 1, 1);
    let (our_first, their_first) = pair("first", 1, 1);
    println!(
        "first client of a process ÷ reqwest's: ours {:.2} of {:.2} ms (goal <= 1.1), official {:.2} of {:.2} ms",
        our_first / our_bare,
        our_bare / 1e6,
        their_first / their_bare,
        their_bare / 1e6,
    );
    let (our_call, their_call) = pair("parallel", PARALLEL, PARALLEL);
    let (our_rate, their_rate) = (1e9 / our_call, 1e9 / their_call);
    println!("calls/s, 64 at a time: ours {our_rate:.0}, official {their_rate:.0}, ratio {:.2}", our_rate / their_rate);
}

/// What one call costs on average.
struct Cost {
    allocations: f64,
    /// All, and those of SHA-256.
    instructions: Option<(f64, f64)>,
}

impl Cost {
    fn of(program: &Program, mode: &str, root_url: &str) -> Self {
        let per_call = |short: u64, long: u64| (long as f64 - short as f64) / (LONG - SHORT) as f64;
        let allocations =
            |calls: u64| program.run(&[mode, root_url, &calls.to_string()]).trim().parse::<u64>().expect("a count");
        let instructions = |calls: u64| program.instructions(&[mode, root_url, &calls.to_string()]);
        Self {
            allocations: per_call(allocations(SHORT), allocations(LONG)),
            instructions: instructions(SHORT)
                .zip(instructions(LONG))
                .map(|(short, long)| (per_call(short.all, long.all), per_call(short.sha256, long.sha256))),
        }
    }
}
