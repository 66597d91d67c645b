//! A decision task that publishes what it decides, and carries out actions on what it has made.

use serde::Deserialize;
use serde_json::json;
use taskcluster::graph::actions::{Action, ActionRequest, Actions};
use taskcluster::graph::{DecisionFiles, Parameters, Task};
use taskcluster::queue::Queue;
use taskcluster::time::minutes;
use taskcluster::{Report, TaskQueueId, Taskcluster, object};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Report> {
    let tc = Taskcluster::from_env()?;
    if let Some(request) = ActionRequest::from_env()? {
        return actions().run(&request, &tc.queue()).await;
    }
    let push = Parameters::from_env(&tc.queue()).await?;
    let own = tc.queue().task(&push.decision_task).await?;
    let in_tree = serde_yaml_ng::from_str(include_str!("in_tree.yml"))?;
    let mut graph = push.graph();
    graph.extend(jobs(&push));
    let all = graph.check()?;
    let files = DecisionFiles::new(&push).with_full_graph(&all);
    let graph = all.only(|task| task.label != "later");
    let actions = actions().to_json_in_tree(&in_tree, &own, tc.root_url())?;
    files.with_target_tasks(&graph).with_graph(&graph).with_actions(&actions).write_to("public")?;
    graph.submit(&tc.queue()).await?;
    Ok(())
}

/// One that nobody works on, one that is not wanted at first, and one that it needs.
fn jobs(push: &Parameters) -> [Task; 3] {
    let job = |label: &str| {
        let payload = object! { "command": [["true"]], "maxRunTime": 600 };
        Task::new(label, push.definition(label, "A job of the tests.", minutes(50), payload))
    };
    let mut parked = job("parked");
    parked.definition.task_queue_id = TaskQueueId::from_parts("test", "nobody").ok();
    [job("build"), parked, job("later").with_needs(["build"])]
}

fn actions() -> Actions {
    let labels = json!({"type": "array", "items": {"type": "string"}, "minItems": 1});
    let schema = json!({
        "type": "object", "properties": {"labels": labels}, "required": ["labels"], "additionalProperties": false,
    });
    let add = Action::new("add-new-jobs", "Add jobs", "Adds jobs that were not wanted at first.", add);
    Actions::standard().with(add.for_group().with_input(schema))
}

#[derive(Deserialize)]
struct Input {
    labels: Vec<String>,
}

async fn add(request: ActionRequest, queue: Queue) -> Result<(), Report> {
    let input: Input = serde_json::from_value(request.input.clone())?;
    let own = queue.task(&request.own_task_id).await?;
    let mut graph = request.graph(&queue).await?;
    let jobs = jobs(&Parameters::of(request.own_task_id, own, "", ""));
    graph.extend(jobs.into_iter().filter(|job| input.labels.contains(&job.label)));
    graph.check()?.submit(&queue).await?;
    Ok(())
}
