//! Actions as others see them: read from `public/actions.json`, rendered, triggered.

use serde_json::{Value, json};
use taskcluster::graph::actions::{Action, ActionError, ActionRequest, Actions, Offer, Rendered};
use taskcluster::hawk::Presented;
use taskcluster::queue::TaskDefinition;
use taskcluster::{Caller, Credentials, TaskId, Taskcluster, Timestamp, object};
use taskcluster_core::transport::testing::{Answer, Call, ScriptedTransport};

use crate::actions::{CHOSEN, OWN, memory, own};
use crate::decision_task;

fn definition() -> TaskDefinition {
    serde_json::from_value(own()).unwrap()
}

fn chosen() -> TaskId {
    CHOSEN.parse().unwrap()
}

/// Actions of which one goes through a hook.
fn actions() -> Actions {
    let schema = json!({"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]});
    let payload = object! {
        "decision": {"action": {"name": "many"}},
        "user": {"taskGroupId": {"$eval": "taskGroupId"}, "taskId": {"$eval": "taskId"}, "input": {"$eval": "input"}},
        "$$literally": "$${x}",
    };
    let many = Action::new("many", "Many", "Many more.", |_, _| async { Ok(()) })
        .with_input(schema)
        .with_extra(object! {"actionPerm": "generic"})
        .through_hook("project-ours", "in-tree-action/generic", payload);
    Actions::standard().with(many)
}

fn offer(json: Value) -> Offer {
    Offer::read(decision_task(), json).unwrap()
}

fn task_of(rendered: Rendered) -> (TaskId, Value) {
    match rendered {
        Rendered::Task { task_id, definition } => (task_id, Value::Object(definition)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_action_is_a_task_in_the_group_with_the_callers_own_credentials() {
    let memory = memory();
    memory.put(&decision_task().to_string(), own());
    // Templates go by the time of the machine.
    let now = Timestamp::now().to_string();
    let tc = Taskcluster::from(memory.client(&now, None).caller().clone());
    let offer = offer(actions().to_json(&definition()).unwrap());
    let made = offer.trigger(&tc, "retrigger", Some(&chosen()), json!({})).await.unwrap().unwrap();
    let task = memory.tasks()[&made.to_string()].clone();
    assert_eq!((&task["taskGroupId"], &task["schedulerId"]), (&json!(decision_task()), &json!("ours")));
    assert_eq!(task["scopes"], own()["scopes"], "no more than the decision task has");
    let env = &task["payload"]["env"];
    assert_eq!((&env["ACTION_TASK_ID"], &env["ACTION_INPUT"]), (&json!(format!("\"{CHOSEN}\"")), &json!("null")));
}

#[tokio::test]
async fn a_hook_is_told_what_was_entered_and_makes_the_task() {
    let offer = offer(actions().to_json(&definition()).unwrap());
    let script = ScriptedTransport::new()
        .on("queue.task", own())
        .on("auth.expandScopes", json!({"scopes": ["in-tree:hook-action:project-ours/in-tree-action/*"]}))
        .on("hooks.triggerHook", json!({"taskId": OWN, "status": {"taskId": OWN}}))
        .on("hooks.triggerHook", json!({}))
        .on("hooks.triggerHook", Answer::error(403, "InsufficientScopes", "you lack scopes"));
    let caller = Caller::builder("https://tc.example.com").transport(script.transport()).build().unwrap();
    let tc = Taskcluster::from(caller);
    let input = json!({"count": 3});
    assert_eq!(offer.trigger(&tc, "many", Some(&chosen()), input.clone()).await.unwrap(), Some(OWN.parse().unwrap()));
    assert_eq!(offer.trigger(&tc, "many", Some(&chosen()), input.clone()).await.unwrap(), None);
    let refused = offer.trigger(&tc, "many", Some(&chosen()), input.clone()).await.unwrap_err();
    assert!(refused.service_error().unwrap().is_forbidden(), "{refused}");

    let calls = script.calls();
    let told = calls.iter().find(|call| call.name() == "hooks.triggerHook").unwrap();
    assert!(told.path.ends_with("/hooks/project-ours/in-tree-action%2Fgeneric/trigger"), "{}", told.path);
    let user = json!({"taskGroupId": decision_task(), "taskId": CHOSEN, "input": input});
    let decision = json!({"action": {"name": "many"}});
    assert_eq!(told.json(), json!({"decision": decision, "user": user, "$literally": "${x}"}));
}

fn status_of(task_id: &str) -> Value {
    json!({
        "taskId": task_id, "provisionerId": "local", "workerType": "native", "taskQueueId": "local/native",
        "schedulerId": "ours", "projectId": "none", "taskGroupId": decision_task(), "priority": "low",
        "deadline": own()["deadline"], "expires": own()["expires"], "retriesLeft": 5, "state": "pending", "runs": [],
    })
}

/// What a call was restricted to.
fn authorized_scopes(call: &Call) -> Vec<String> {
    let header = call.headers["authorization"].to_str().unwrap();
    let presented = Presented::from_header(header).unwrap();
    presented.authorized_scopes.expect("it is restricted")
}

/// Whoever may push says what an action is; whoever triggers it may do more than that.
#[tokio::test]
async fn an_action_gets_no_more_than_the_decision_task_may_do() {
    let offer = offer(actions().to_json(&definition()).unwrap());
    let status = json!({"status": status_of(OWN)});
    let script = ScriptedTransport::new()
        .on("queue.task", own())
        .on("queue.createTask", status)
        .on("auth.expandScopes", json!({"scopes": ["assume:repo:x", "in-tree:hook-action:project-theirs/*"]}));
    let tc = Taskcluster::builder("https://tc.example.com").credentials(Credentials::new("admin", "token"));
    let tc = tc.transport(script.transport()).build().unwrap();
    let refused = offer.trigger(&tc, "many", Some(&chosen()), json!({"count": 3})).await.unwrap_err();
    assert!(
        matches!(&refused, ActionError::HookRefused { hook } if hook == "project-ours/in-tree-action/generic"),
        "{refused}"
    );

    // By what the signature says of the scopes.
    for (own, expected) in [(None, vec!["assume:repo:x"]), (Some("queue:*"), vec![])] {
        let tc = match own {
            Some(own) => tc.to_builder().authorized_scopes([own]).build().unwrap(),
            None => tc.clone(),
        };
        offer.trigger(&tc, "rerun", Some(&chosen()), Value::Null).await.unwrap();
        let calls = script.calls();
        let created = calls.iter().rfind(|call| call.name() == "queue.createTask").unwrap();
        assert_eq!(authorized_scopes(created), expected);
    }
}

#[test]
fn a_hook_is_published_as_one() {
    let json = actions().to_json(&definition()).unwrap();
    let many = json["actions"].as_array().unwrap().last().unwrap();
    assert_eq!((&many["kind"], &many["hookGroupId"]), (&json!("hook"), &json!("project-ours")));
    assert_eq!((&many["hookId"], many.get("task")), (&json!("in-tree-action/generic"), None));
    assert_eq!(
        (&many["extra"], &many["hookPayload"]["user"]["taskId"]),
        (&json!({"actionPerm": "generic"}), &json!({"$eval": "taskId"}))
    );
}

#[test]
fn input_is_checked_before_anything_is_sent() {
    let offer = offer(actions().to_json(&definition()).unwrap());
    let task = definition();
    for (name, input) in [("many", json!({})), ("many", Value::Null), ("rerun", json!({"count": 1}))] {
        let error = offer.render(name, Some((&chosen(), &task)), &input).unwrap_err();
        assert!(matches!(error, ActionError::Input { .. }), "{error}");
    }
    offer.render("many", Some((&chosen(), &task)), &json!({"count": 1})).unwrap();
}

#[test]
fn what_is_offered_depends_on_tags_and_the_first_of_a_name_counts() {
    let action = |title: &str, context: Value| json!({"kind": "task", "name": "x", "title": title, "description": "", "context": context, "task": {}});
    let offer = offer(json!({"version": 1, "actions": [
        action("group", json!([])), action("of b", json!([{"a": "b"}])), action("of c and d", json!([{"a": "c", "d": "d"}, {"e": "e"}])), action("all", json!([{}])),
        {"kind": "relay", "name": "later", "title": "", "description": "", "context": [{}]},
    ]}));
    let offered = |tags: &[(&str, &str)]| {
        let mut task = definition();
        task.tags = tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        offer.actions(Some(&task)).iter().map(|action| action.title.clone()).collect::<Vec<_>>()
    };
    assert_eq!(offered(&[]), ["all"]);
    assert_eq!(offered(&[("a", "b")]), ["of b"]);
    assert_eq!(offered(&[("a", "c")]), ["all"]);
    assert_eq!(offered(&[("a", "c"), ("d", "d")]), ["of c and d"]);
    assert_eq!(offered(&[("e", "e")]), ["of c and d"]);
    assert_eq!(offer.actions(None)[0].title, "group");
    let mut stranger = definition();
    stranger.task_group_id = TaskId::new();
    assert!(offer.actions(Some(&stranger)).is_empty(), "another group's task");
    let error = offer.render("later", Some((&chosen(), &definition())), &Value::Null).unwrap_err();
    assert!(matches!(error, ActionError::Unknown(_)), "{error}");
}

#[test]
fn another_version_and_another_shape_are_refused() {
    for (json, complaint) in [
        (json!({"version": 2, "actions": [], "variables": {}}), "it is of version 2, and only version 1 is known"),
        (json!({"version": 1, "actions": [{"kind": "task", "name": "x"}]}), "missing field `title`"),
        (json!([]), ""),
    ] {
        let error = Offer::read(decision_task(), json).unwrap_err().to_string();
        assert!(error.starts_with("public/actions.json of the decision task cannot be read: "), "{error}");
        assert!(error.contains(complaint), "{error}");
    }
    let hook = json!({
        "kind": "hook", "name": "x", "title": "", "description": "", "context": [],
        "hookGroupId": "a b", "hookId": "c", "hookPayload": {},
    });
    let error = Offer::read(decision_task(), json!({"version": 1, "actions": [hook]})).unwrap_err();
    assert!(matches!(error, ActionError::Hook { .. }), "{error}");
}

#[test]
fn a_template_that_gives_nothing_is_told() {
    let action = |task: Value| json!({"version": 1, "actions": [{"kind": "task", "name": "x", "title": "", "description": "", "context": [], "task": task}]});
    for (task, complaint) in [
        (json!({"$eval": "nothing"}), "the template of the action `x` gives nothing that can be sent: "),
        (json!(["task"]), "the template of the action `x` gives nothing that can be sent: it gives no object"),
    ] {
        let error = offer(action(task)).render("x", None, &Value::Null).unwrap_err().to_string();
        assert!(error.starts_with(complaint), "{error}");
    }
}

#[test]
fn the_repository_may_say_what_carries_an_action_out() {
    let own = definition();
    let root_url = "https://tc.example.com".parse().unwrap();
    let task = json!({
        "taskGroupId": {"$eval": "taskGroupId"},
        "schedulerId": {"$if": "tasks_for == 'action'", "then": {"$eval": "decision.schedulerId"}},
        "scopes": ["assume:action:${action.name}"],
        "metadata": {"source": "${taskcluster_root_url}/${ownTaskId}", "description": {"$eval": "action.description"}},
        "payload": {"env": {
            "ACTION_NAME": {"$eval": "action.name"},
            "ACTION_TASK_GROUP_ID": {"$eval": "taskGroupId"},
            "ACTION_TASK_ID": {"$json": {"$eval": "taskId"}},
            "ACTION_INPUT": {"$json": {"$eval": "input"}},
            "PUSHED": {"$if": "tasks_for == 'github-push'", "then": "${event.after}", "else": "${decision.payload.env.HEAD_REVISION}"},
        }},
    });
    let odd = Action::new("odd", "Odd", "Costs ${5} and $$.", |_, _| async { Ok(()) });
    for tasks in [json!([task.clone()]), json!({"$if": "tasks_for == 'action'", "then": [task.clone()]}), task] {
        let document = json!({"version": 1, "tasks": tasks});
        let json = Actions::standard().with(odd.clone()).to_json_in_tree(&document, &own, &root_url).unwrap();
        let (task_id, made) = task_of(offer(json).render("odd", Some((&chosen(), &own)), &Value::Null).unwrap());
        assert_eq!((&made["scopes"], &made["schedulerId"]), (&json!(["assume:action:odd"]), &json!("ours")));
        assert_eq!(made["metadata"]["source"], format!("https://tc.example.com/{task_id}"));
        assert_eq!(made["metadata"]["description"], "Costs ${5} and $$.");
        let env = &made["payload"]["env"];
        assert_eq!(env["PUSHED"], "abc");
        let variable = |name: &str| match name {
            "TASK_ID" => Some(task_id.to_string()),
            _ => Some(env[name].as_str()?.to_owned()),
        };
        let request = ActionRequest::read(variable).unwrap().unwrap();
        assert_eq!((request.task_group_id, request.task_id), (decision_task(), Some(chosen())));
    }
    let nothing = json!({"version": 1});
    let error = Actions::standard().to_json_in_tree(&nothing, &own, &root_url).unwrap_err();
    assert!(matches!(error, ActionError::NoTemplate), "{error}");
    let none = json!({"version": 1, "tasks": {"$if": "tasks_for == 'github-push'", "then": [{}]}});
    let json = Actions::standard().to_json_in_tree(&none, &own, &root_url).unwrap();
    let error = offer(json).render("rerun", Some((&chosen(), &own)), &Value::Null).unwrap_err();
    assert!(matches!(error, ActionError::Template { .. }), "{error}");
}
