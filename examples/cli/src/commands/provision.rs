//! `taskcluster provision`: worker types, and the workers that come and go.

use std::path::Path;

use anyhow::Result;
use futures_util::TryStreamExt as _;
use serde_json::{Map, Value};
use taskcluster::provisioner::{
    FleetSample, Provisioner, RollBackRequest, RollOutRequest, WorkerInstance, WorkerTypeResponse, operations,
};
use taskcluster::{Request, Taskcluster, Timestamp};

use super::definition::read;
use super::talk::{BadUse, deployment, talk};
use crate::args::ProvisionCommand;
use crate::exit::Outcome;
use crate::output::Output;

mod record;
mod simulate;

/// Asks the provisioner about a worker type, or to do something with it.
pub(crate) fn provision(command: ProvisionCommand, json: bool) -> Result<Outcome> {
    if json && matches!(command, ProvisionCommand::Simulate(_)) {
        return Err(BadUse("--json: what is simulated is told as a table".to_owned()).into());
    }
    if let ProvisionCommand::Simulate(args) = &command {
        return simulate::simulate(args);
    }
    if let ProvisionCommand::Record(args) = &command {
        return record::record(args);
    }
    let tc = deployment()?;
    talk(carry_out(tc, command, Output::telling(json)))
}

async fn carry_out(tc: Taskcluster, command: ProvisionCommand, mut output: Output) -> Result<()> {
    let provisioner = tc.provisioner();
    match command {
        ProvisionCommand::Define { worker_type, file, share } => {
            tell_version(&mut output, &define(&tc, &worker_type, &file, share).await?)
        }
        ProvisionCommand::List => list(&provisioner, &mut output).await,
        ProvisionCommand::Show { worker_type } => {
            let shown = provisioner.worker_type(&worker_type).await?;
            output.json(serde_json::to_string(&without_secrets(&shown)?)?.as_bytes())
        }
        ProvisionCommand::State { worker_type } => {
            let mut instances = provisioner.state(&worker_type).stream();
            while let Some(instance) = instances.try_next().await? {
                output.tell(&instance, instance_line)?;
            }
            Ok(())
        }
        ProvisionCommand::Explain { worker_type } => {
            let explained = provisioner.explain(&worker_type).await?;
            output.tell(&explained, |explained| explained.lines.join("\n"))
        }
        ProvisionCommand::Fleet { worker_type, since } => fleet(&provisioner, &worker_type, &since, &mut output).await,
        ProvisionCommand::Record(_) | ProvisionCommand::Simulate(_) => Ok(()), // they are commands of their own
        ProvisionCommand::RollOut { worker_type, share } => {
            let rolled = provisioner.roll_out(&worker_type, &RollOutRequest::new(share)).await?;
            tell_version(&mut output, &rolled)
        }
        ProvisionCommand::RollBack { worker_type } => {
            let newest = provisioner.worker_type(&worker_type).await?.version;
            let rolled = provisioner.roll_back(&worker_type, &RollBackRequest::new(newest)).await?;
            tell_version(&mut output, &rolled)
        }
        ProvisionCommand::Terminate { worker_type } => {
            let ended = provisioner.terminate_all_instances_of_worker_type(&worker_type).await?;
            output.tell(&ended, |ended| ended.instances.to_string())
        }
        ProvisionCommand::Remove { worker_type } => Ok(provisioner.remove_worker_type(&worker_type).await?),
    }
}

/// Creates the worker type, or updates the one that there is.
async fn define(tc: &Taskcluster, name: &str, file: &Path, share: Option<f64>) -> Result<WorkerTypeResponse> {
    let definition: Result<Map<String, Value>> = read(file).and_then(|text| Ok(serde_yaml_ng::from_str(&text)?));
    let definition = definition.map_err(|error| BadUse(format!("{}: {error:#}", file.display())))?;
    // Untyped, so that whatever the file says goes there as it is.
    let update = Request::<WorkerTypeResponse>::new(tc.caller(), &operations::UPDATE_WORKER_TYPE, &[&name]);
    let update = match share {
        Some(share) => update.query("share", share),
        None => update,
    };
    match update.with_body(&definition).await {
        Err(error) if error.is_not_found() => {
            let create = Request::<WorkerTypeResponse>::new(tc.caller(), &operations::CREATE_WORKER_TYPE, &[&name]);
            Ok(create.with_body(&definition).await?)
        }
        updated => Ok(updated?),
    }
}

fn tell_version(output: &mut Output, answer: &WorkerTypeResponse) -> Result<()> {
    output.tell(&without_secrets(answer)?, |_| answer.version.to_string())
}

/// Secrets of all fragments are left out: what is printed stands in terminals and logs.
fn without_secrets(shown: &WorkerTypeResponse) -> Result<Value> {
    fn hide(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.remove("secrets");
                object.values_mut().for_each(hide);
            }
            Value::Array(list) => list.iter_mut().for_each(hide),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(shown)?;
    hide(&mut value);
    Ok(value)
}

async fn list(provisioner: &Provisioner, output: &mut Output) -> Result<()> {
    let mut summaries = provisioner.list_worker_type_summaries().stream();
    while let Some(summary) = summaries.try_next().await? {
        output.tell(&summary, |summary| {
            format!(
                "{} running {} pending {} requested {} max {}",
                summary.worker_type,
                summary.running_capacity,
                summary.pending_capacity,
                summary.requested_capacity,
                summary.max_capacity,
            )
        })?;
    }
    Ok(())
}

fn instance_line(instance: &WorkerInstance) -> String {
    let WorkerInstance { instance_id, version, state, capacity, created, .. } = instance;
    let reason = instance.reason.as_deref().unwrap_or_default();
    format!("{instance_id} version {version} {state} capacity {capacity} since {created} {reason}")
        .trim_end()
        .to_owned()
}

async fn fleet(provisioner: &Provisioner, name: &str, since: &str, output: &mut Output) -> Result<()> {
    let since = since.parse::<Timestamp>().or_else(|_| Timestamp::from_now(since));
    let since = since.map_err(|error| BadUse(format!("--since: {error}")))?;
    if !output.is_for_programs() {
        output.line(
            "time seconds pending claimed started wait-p50 wait-p95 requested starting running idle excess dollars",
        )?;
    }
    let mut samples = provisioner.fleet(name).since(since.to_string()).stream();
    while let Some(sample) = samples.try_next().await? {
        output.tell(&sample, sample_line)?;
    }
    Ok(())
}

fn sample_line(sample: &FleetSample) -> String {
    let wait = |wait: Option<f64>| wait.map_or_else(|| "-".to_owned(), |wait| format!("{wait:.1}"));
    format!(
        "{} {} {:.1} {:.1} {} {} {} {:.1} {:.1} {:.1} {:.1} {:.1} {:.4}",
        sample.time,
        sample.seconds,
        sample.pending_tasks,
        sample.claimed_tasks,
        sample.started_tasks,
        wait(sample.wait_p50),
        wait(sample.wait_p95),
        sample.requested_capacity,
        sample.pending_capacity,
        sample.running_capacity,
        sample.idle_capacity,
        sample.excess_capacity,
        sample.cost,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_not_printed_wherever_they_stand() {
        let shown: WorkerTypeResponse = serde_json::from_value(json!({
            "workerType": "w", "description": "", "owner": "", "minCapacity": 0, "maxCapacity": 1, "scalingRatio": 0, "spare": 0,
            "lifecycle": {}, "userData": {}, "secrets": {"password": "hunter2"}, "scopes": [],
            "provider": {"kind": "ec2", "minPrice": 0, "maxPrice": 1, "regions": [
                {"region": "r", "launchSpec": {"ImageId": "i"}, "secrets": {"password": "hunter2"}},
            ], "instanceTypes": []},
            "lastModified": "2026-03-04T05:06:07.008Z", "version": 1,
        }))
        .unwrap();
        let printed = without_secrets(&shown).unwrap().to_string();
        assert!(!printed.contains("hunter2") && printed.contains("ImageId"), "{printed}");
    }
}
