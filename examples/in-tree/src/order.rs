//! The order in which tasks can be created.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use taskcluster::TaskId;

use crate::{FirstTask, InTreeError};

/// Orders tasks so that each comes after those of the same file that it depends on; otherwise their order stays.
pub(crate) fn by_dependencies(tasks: Vec<FirstTask>) -> Result<Vec<FirstTask>, InTreeError> {
    let mut places = HashMap::with_capacity(tasks.len());
    for (index, task) in tasks.iter().enumerate() {
        let id = task.task_id;
        if places.insert(id, index).is_some() {
            return Err(InTreeError::Task { index, message: format!("taskId {id} is used twice") });
        }
    }
    let needs: Vec<BTreeSet<usize>> = tasks.iter().map(|task| needed(task, &places)).collect();
    let mut dependents = vec![Vec::new(); tasks.len()];
    for (place, needed) in needs.iter().enumerate() {
        needed.iter().for_each(|needed| dependents[*needed].push(place));
    }

    let mut open: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
    let mut ready: BTreeSet<usize> = (0..tasks.len()).filter(|place| open[*place] == 0).collect();
    let mut waiting: Vec<Option<FirstTask>> = tasks.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    while let Some(place) = ready.pop_first() {
        ordered.extend(waiting[place].take());
        for dependent in &dependents[place] {
            open[*dependent] -= 1;
            if open[*dependent] == 0 {
                ready.insert(*dependent);
            }
        }
    }
    let left: Vec<String> = waiting.into_iter().flatten().map(|task| task.place).collect();
    if left.is_empty() { Ok(ordered) } else { Err(InTreeError::Cycle(left.join(", "))) }
}

/// The tasks of the same file that one depends on.
fn needed(task: &FirstTask, places: &HashMap<TaskId, usize>) -> BTreeSet<usize> {
    let ids = task.definition.get("dependencies").and_then(Value::as_array).into_iter().flatten();
    let ids = ids.filter_map(|id| id.as_str()?.parse::<TaskId>().ok());
    ids.filter_map(|id| places.get(&id).copied()).collect()
}
