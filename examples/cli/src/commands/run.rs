//! `taskcluster run`: a commit's tasks on this machine, from the first to the last.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use service_kit::bus::BusUrl;
use service_kit::telemetry::{self, LogFormat};
use taskcluster::queue::{self, Queue, TaskStatusResponse};
use taskcluster_core::caller::Caller;
use taskcluster_core::clock::{Clock as _, SystemClock};
use taskcluster_core::ids::{TaskId, TaskQueueId};
use taskcluster_core::request::Request;
use taskcluster_in_tree::{self as in_tree, FirstTask};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::{Stops, exports, runtime};
use crate::args::RunArgs;
use crate::assemble::{Deployment, Parts};
use crate::exit::Outcome;
use crate::group::Groups;
use crate::open_groups::OpenGroups;
use crate::progress::{Member, Progress, Standing, Verdict};
use crate::push_event::Push;
use crate::repository::Repository;
use crate::results::Results;
use crate::view::{self, Begin, End, Failure, View};
use crate::{commit_server, disk, first_run, refusal, state_dir};

/// The queue that is always served.
const NATIVE: (&str, &str) = ("local", "native");

/// What the template is rendered for.
const TASKS_FOR: &str = "github-push";

/// Who the tasks belong to, where a template does not say.
const SCHEDULER: &str = "local";

/// After so long without a change it is said what is being waited for.
const SILENCE: Duration = Duration::from_secs(60);

/// How long the workers may take for the logs of what has ended by itself.
const LAST_UPLOADS: Duration = Duration::from_secs(15);

/// How many tasks of other groups are named.
const OTHERS_AT_MOST: usize = 5;

/// How long the services may take to end when they cannot write any more.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What is to be run, known before anything begins.
struct Plan {
    repository: Repository,
    push: Push,
    in_tree: String,
    served: BTreeSet<TaskQueueId>,
    granted: Vec<String>,
    data: PathBuf,
    wait: bool,
    keep: bool,
}

impl Plan {
    /// Whether the user's "stop" cuts this short. Who kept what was over has only seen enough.
    fn is_interrupted(&self, verdict: &Verdict, stops: &Stops) -> bool {
        stops.politely.is_cancelled() && !(self.keep && verdict.is_over())
    }
}

/// Runs the tasks of a commit.
pub(crate) fn run(args: &RunArgs) -> Result<Outcome> {
    let plan = plan(args)?;
    // The view owns the terminal; what goes wrong beneath it is an error of its own.
    telemetry::init_on(LogFormat::Text, "error", disk::complaints(plan.data.clone()));
    let mut view = view::choose(args.json);
    runtime()?.block_on(async {
        let (stops, listening) = Stops::listen()?;
        tokio::select! {
            outcome = begin(&plan, &mut *view, &stops) => outcome,
            () = listening => Ok(Outcome::Interrupted),
            () = stops.at_once.cancelled() => Ok(Outcome::Interrupted),
        }
    })
}

fn plan(args: &RunArgs) -> Result<Plan> {
    let repository = Repository::discover(&args.repository)?;
    let push = Push::of(&repository, &args.revision, args.base.as_deref())?;
    let short = &push.after[..12];
    let in_tree = repository.file(&push.after, in_tree::FILE)?;
    let in_tree = in_tree
        .with_context(|| format!("commit {short} has no {}{}", in_tree::FILE, advice_for_none(&repository, &push)))?;
    let mut served: BTreeSet<TaskQueueId> = args.serve.iter().cloned().collect();
    served.insert(TaskQueueId::from_parts(NATIVE.0, NATIVE.1)?);
    let data = args.data.clone().map_or_else(|| state_dir::of_repository(repository.root()), Ok)?;
    let data = std::path::absolute(data).context("cannot tell where the data directory is")?;
    Ok(Plan { repository, push, in_tree, served, granted: args.grant.clone(), data, wait: args.wait, keep: args.keep })
}

/// What the author of a commit without tasks may have meant.
fn advice_for_none(repository: &Repository, push: &Push) -> String {
    if repository.root().join(in_tree::FILE).is_file() {
        return ": commit the one that is there".to_owned();
    }
    match repository.file(&push.after, in_tree::OTHER_FILE) {
        Ok(Some(_)) => format!(": rename {} to that", in_tree::OTHER_FILE),
        _ => String::new(),
    }
}

async fn begin(plan: &Plan, view: &mut dyn View, stops: &Stops) -> Result<Outcome> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
    let root_url = format!("http://{}", listener.local_addr()?);
    let clone_url = format!("{root_url}{}", plan.push.clone_path());
    let tasks = in_tree::first_tasks(
        &plan.in_tree,
        &in_tree::Context {
            tasks_for: TASKS_FOR,
            event: &plan.push.event(&clone_url),
            root_url: &root_url,
            scheduler_id: SCHEDULER,
            now: SystemClock.now(),
        },
    )?;
    let mut groups: Vec<TaskId> = tasks.iter().map(|task| task.task_group_id).collect();
    groups.dedup();
    let opening = Opening { plan, root_url, uncommitted: plan.repository.has_uncommitted_changes()? };
    if tasks.is_empty() {
        opening.tell(&[], view);
        let (file, reference) = (in_tree::FILE, &plan.push.reference);
        view.note(&format!("{file} has no task for tasks_for {TASKS_FOR:?} and a push to {reference:?}"));
        view.end(&End { verdict: &Verdict::Green, interrupted: false, counts: Default::default(), results: None });
        return Ok(Outcome::Green);
    }
    let deployment = deploy(plan, listener).await?;
    let outcome = tokio::select! {
        outcome = carry_out(&opening, &deployment, tasks, groups, view, stops) => outcome,
        () = deployment.broke() => Err(anyhow::anyhow!("the deployment broke; its log says why")),
        error = disk::filled_up(&plan.data) => {
            // Nothing can be written about how the tasks ended: they are killed, and the next run cancels the group.
            let _ = tokio::time::timeout(LAST_WORDS, deployment.stop()).await;
            return Err(error);
        }
    };
    deployment.stop().await;
    outcome
}

/// What is said of a run when nothing can refuse it any more.
struct Opening<'a> {
    plan: &'a Plan,
    root_url: String,
    uncommitted: bool,
}

impl Opening<'_> {
    fn tell(&self, groups: &[TaskId], view: &mut dyn View) {
        let push = &self.plan.push;
        view.begin(&Begin {
            root_url: &self.root_url,
            groups,
            revision: &push.after,
            reference: &push.reference,
            subject: subject(push),
        });
        if self.uncommitted {
            view.note("uncommitted changes are not part of this run");
        }
    }
}

async fn deploy(plan: &Plan, listener: TcpListener) -> Result<Deployment> {
    Deployment::start(Parts {
        listener,
        public_url: None,
        data: state_dir::open(&plan.data)?,
        database: None,
        bus: BusUrl::Memory,
        blobs: None,
        providers: Vec::new(),
        beside: commit_server::router(plan.repository.root()),
    })
    .await
}

async fn carry_out(
    opening: &Opening<'_>,
    deployment: &Deployment,
    tasks: Vec<FirstTask>,
    ids: Vec<TaskId>,
    view: &mut dyn View,
    stops: &Stops,
) -> Result<Outcome> {
    let plan = opening.plan;
    let queue = Queue::new(deployment.caller().clone());
    let open = OpenGroups::of(&plan.data);
    open.cancel_former(&queue).await?;
    open.remember(&ids)?;
    let mut groups = Groups::watch(ids.clone(), queue, deployment.bus()).await?;

    let role = plan.push.role();
    first_run::grant(deployment.caller(), &plan.push.roles(), &plan.granted).await?;
    let pusher = deployment.restricted(vec![format!("assume:{role}")])?;
    let watched = match create(&pusher, &tasks, &role).await {
        Ok(()) => {
            opening.tell(&ids, view);
            deployment.work_for(&plan.served).await?;
            watch(plan, deployment, &mut groups, &open, view, stops).await
        }
        Err(error) => Err(error),
    };
    // Whatever the group has not done by now, it shall not do in the next run; and nothing that was made beside it.
    groups.catch_up().await;
    let left = groups.list().await;
    let cancelled = groups.cancel().await;
    if watched.is_err() {
        return watched.map(|_| Outcome::CouldNotBegin);
    }
    let (mut progress, verdict) = watched?;
    let last = if stops.politely.is_cancelled() {
        // The worker learns of it by an event; what it was running then ends without being reported.
        deployment.stop_working().await;
        groups.list().await?
    } else {
        // A run that the queue has ended, as at its deadline, still has its log to leave.
        deployment.finish_working(LAST_UPLOADS).await;
        left?
    };
    let changed = progress.update(last);
    view.progress(&progress, &changed);
    cancelled?;
    tell_others(&groups.list_others().await?, view);
    let interrupted = conclude(plan, deployment, &ids, &progress, &verdict, view, stops).await?;
    open.forget();
    Ok(match verdict {
        _ if interrupted => Outcome::Interrupted,
        Verdict::Green => Outcome::Green,
        Verdict::NotGreen | Verdict::Stranded(_) | Verdict::Busy => Outcome::NotGreen,
    })
}

/// Tasks that are not of the run's groups are named, so that nobody believes that they were part of what is green.
fn tell_others(others: &[Member], view: &mut dyn View) {
    for Member { name, id, state, .. } in others.iter().take(OTHERS_AT_MOST) {
        view.note(&format!("{name} ({id}) is of another group, and not part of this run: it is {state}"));
    }
    if let Some(more) = others.len().checked_sub(OTHERS_AT_MOST).filter(|more| *more > 0) {
        view.note(&format!("{more} more tasks are of other groups"));
    }
}

async fn create(pusher: &Caller, tasks: &[FirstTask], role: &str) -> Result<()> {
    for task in tasks {
        let definition = Value::Object(task.definition.clone());
        let request: Request<TaskStatusResponse> =
            Request::new(pusher, &queue::operations::CREATE_TASK, &[&task.task_id]).with_body(&definition);
        request.await.map_err(|error| match error.api() {
            Some(answer) => {
                anyhow::anyhow!("{}: {}: {}", in_tree::FILE, task.place, refusal::in_words(answer, &definition, role))
            }
            None => error.into(),
        })?;
    }
    Ok(())
}

/// Follows the groups until they are over, nobody takes what is left, or the user says stop.
async fn watch(
    plan: &Plan,
    deployment: &Deployment,
    groups: &mut Groups,
    open: &OpenGroups,
    view: &mut dyn View,
    stops: &Stops,
) -> Result<(Progress, Verdict)> {
    let mut progress = Progress::new(plan.served.clone());
    let (mut waits, mut kept) = (false, false);
    let mut known = groups.all();
    let mut quiet_until = Instant::now() + SILENCE;
    loop {
        let all = groups.all();
        if all != known {
            open.remember(&all)?;
            known = all;
        }
        let changed = progress.update(groups.list().await?);
        view.progress(&progress, &changed);
        if !changed.is_empty() {
            quiet_until = Instant::now() + SILENCE;
        }
        groups.give_up(&progress.given_up()).await?;
        let verdict = progress.verdict();
        match &verdict {
            Verdict::Busy => {}
            Verdict::Stranded(queues) if plan.wait => {
                if !waits {
                    let queues = queues.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                    view.note(&format!("waiting for somebody to serve {queues}"));
                }
                waits = true;
            }
            Verdict::Stranded(_) => {
                let never = progress.close();
                view.progress(&progress, &never);
                return Ok((progress, verdict));
            }
            Verdict::Green | Verdict::NotGreen if plan.keep => {
                if !kept {
                    view.keep(&exports(deployment));
                }
                kept = true;
            }
            Verdict::Green | Verdict::NotGreen => return Ok((progress, verdict)),
        }
        tokio::select! {
            () = groups.changed() => {}
            () = tokio::time::sleep_until(quiet_until) => {
                view.still(&progress);
                quiet_until = Instant::now() + SILENCE;
            }
            () = stops.politely.cancelled() => {
                return Ok((progress, if verdict.is_over() { verdict } else { Verdict::Busy }));
            }
        }
    }
}

/// Saves what the tasks left and tells the stories of those that are not green. Gives whether the user had said stop by the
/// end: what the last event says and the exit code must not differ.
async fn conclude(
    plan: &Plan,
    deployment: &Deployment,
    ids: &[TaskId],
    progress: &Progress,
    verdict: &Verdict,
    view: &mut dyn View,
    stops: &Stops,
) -> Result<bool> {
    let [group, ..] = ids else { return Ok(plan.is_interrupted(verdict, stops)) };
    let members: Vec<&Member> = progress.members().iter().map(|(member, _)| member).collect();
    let results = Results::new(&deployment.data().folder("results")?, *group, &members, deployment.caller())
        .context("cannot save logs and artifacts")?;
    let mut unsaved = 0;
    for member in members {
        unsaved += results.save(member).await;
    }
    // After an interrupt nobody wants to read about what was cancelled.
    let is_told = |standing: &Standing| match standing {
        Standing::Failed => true,
        Standing::Exception(reason) => *verdict != Verdict::Busy || reason != "canceled",
        _ => false,
    };
    for (member, standing) in progress.members() {
        if is_told(standing) {
            let (log, tail) = results.log(member);
            view.failure(&Failure { member, name: &progress.name_of(member), standing, tail, log });
        }
    }
    if unsaved > 0 {
        view.note(&format!("{unsaved} artifacts could not be saved"));
    }
    let interrupted = plan.is_interrupted(verdict, stops);
    let results = results.folder().map(Path::to_owned);
    view.end(&End { verdict, interrupted, counts: progress.counts(), results });
    Ok(interrupted)
}

fn subject(push: &Push) -> &str {
    push.commits.last().and_then(|commit| commit.message.lines().next()).unwrap_or_default()
}
