//! A graph as a picture, for programs that draw.

use std::collections::HashMap;
use std::fmt::Write as _;

use taskcluster::scheduler::TaskGraphTaskState;
use taskcluster_core::ids::TaskId;

use crate::store::Placed;

/// The states, each with the colour of its boxes.
const COLOURS: [(TaskGraphTaskState, &str); 5] = [
    (TaskGraphTaskState::Unscheduled, "#e8e8e8"),
    (TaskGraphTaskState::Scheduled, "#cfe4ff"),
    (TaskGraphTaskState::Completed, "#cfeccf"),
    (TaskGraphTaskState::Failed, "#f7c6c6"),
    (TaskGraphTaskState::Exception, "#f0d0f0"),
];

fn colour(state: &TaskGraphTaskState) -> &'static str {
    COLOURS.iter().find(|(known, _)| known == state).map_or("#ffffff", |(_, colour)| colour)
}

/// As a flowchart of Mermaid. Boxes have short names of their own: ids may begin or hold what the language gives a meaning.
pub(crate) fn mermaid(tasks: &[Placed]) -> String {
    let names: HashMap<TaskId, usize> = tasks.iter().enumerate().map(|(at, task)| (task.task_id, at)).collect();
    let mut text = String::from("flowchart LR\n");
    for (at, task) in tasks.iter().enumerate() {
        let _ = writeln!(text, "    t{at}[\"{}\"]:::{}", entities(&task.name), task.node.shown());
    }
    for (at, task) in tasks.iter().enumerate() {
        for required in task.requires.iter().filter_map(|(required, _)| names.get(required)) {
            let _ = writeln!(text, "    t{required} --> t{at}");
        }
    }
    for (state, colour) in &COLOURS {
        let _ = writeln!(text, "    classDef {state} fill:{colour},color:#000");
    }
    text
}

/// In the language of Graphviz.
pub(crate) fn graphviz(graph_id: TaskId, tasks: &[Placed]) -> String {
    let mut text = format!("digraph \"{graph_id}\" {{\n    rankdir=LR\n    node [shape=box, style=filled]\n");
    for task in tasks {
        let (state, colour) = (task.node.shown(), colour(&task.node.shown()));
        let name = escaped(&task.name);
        let _ =
            writeln!(text, "    \"{}\" [label=\"{name}\", fillcolor=\"{colour}\", tooltip=\"{state}\"]", task.task_id);
    }
    for task in tasks {
        for (required, _) in &task.requires {
            let _ = writeln!(text, "    \"{required}\" -> \"{}\"", task.task_id);
        }
    }
    text.push_str("}\n");
    text
}

/// Text for a label of Mermaid, in which nothing but letters, digits and a few harmless characters stands for itself.
fn entities(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() || " .,:/_+-()".contains(c) {
            written.push(c);
        } else {
            let _ = write!(written, "#{};", u32::from(c));
        }
    }
    written
}

/// Text for a string of Graphviz.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Node, Seen, State};

    fn task(id: &str, name: &str, requires: &[&str], state: State) -> Placed {
        let node = Node::new(0, false).observe(Seen { runs: 1, state, failed: 0 }, true);
        let requires = requires.iter().map(|id| (id.parse().unwrap(), true)).collect();
        Placed { task_id: id.parse().unwrap(), name: name.to_owned(), node, requires, dependents: Vec::new() }
    }

    const BUILD: &str = "fN1SbArXTPSVFNUvaOlinQ";
    const TEST: &str = "d0v6m6yoS-aFqLVbUnNe3A";

    fn tasks() -> [Placed; 2] {
        [task(BUILD, "build \"x\"]; click", &[], State::Completed), task(TEST, "test", &[BUILD], State::Exception)]
    }

    #[test]
    fn mermaid_has_a_box_for_each_task_and_an_arrow_for_each_edge() {
        let drawn = mermaid(&tasks());
        let expected = "flowchart LR\n    t0[\"build #34;x#34;#93;#59; click\"]:::completed\n    t1[\"test\"]:::exception\n    t0 --> t1\n";
        assert!(drawn.starts_with(expected), "{drawn}");
        assert!(drawn.contains("classDef completed fill:#cfeccf"), "{drawn}");
    }

    #[test]
    fn graphviz_has_them_too() {
        let drawn = graphviz(BUILD.parse().unwrap(), &tasks());
        assert!(drawn.starts_with(&format!("digraph \"{BUILD}\" {{\n")), "{drawn}");
        assert!(drawn.contains("label=\"build \\\"x\\\"]; click\""), "{drawn}");
        assert!(drawn.contains(&format!("\"{BUILD}\" -> \"{TEST}\"\n")), "{drawn}");
        assert!(drawn.ends_with("}\n"));
    }
}
