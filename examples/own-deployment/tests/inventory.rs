//! The generated client, against a script.

use futures_util::TryStreamExt;
use serde_json::json;
use taskcluster_core::transport::testing::{Answer, ScriptedTransport};
use taskcluster_core::{Caller, Timestamp};
use taskcluster_own_deployment::inventory::{BorrowMachineRequest, Inventory, Place};

fn inventory(script: &ScriptedTransport) -> Inventory {
    Inventory::new(Caller::builder("https://tc.example.com").transport(script.transport()).build().unwrap())
}

#[tokio::test]
async fn lists_go_on_over_pages() {
    let script = ScriptedTransport::new()
        .on(
            "inventory.listMachines",
            Answer::json(
                200,
                &json!({
                    "machines": [{ "name": "anvil", "place": "desk", "cores": 8 }],
                    "continuationToken": "next",
                }),
            ),
        )
        .on(
            "inventory.listMachines",
            Answer::json(
                200,
                &json!({
                    "machines": [{ "name": "bellows", "place": "attic", "cores": 2 }],
                }),
            ),
        );
    let machines: Vec<_> = inventory(&script).list_machines().stream().try_collect().await.unwrap();
    assert_eq!(machines.iter().map(|machine| machine.name.as_str()).collect::<Vec<_>>(), ["anvil", "bellows"]);
    assert_eq!(machines[0].place, Place::Desk);
    // The deployment has learned a new place since this client was built.
    assert_eq!(machines[1].place, Place::Unknown("attic".to_owned()));
    assert_eq!(script.calls()[1].query_value("continuationToken").as_deref(), Some("next"));
}

#[tokio::test]
async fn bodies_and_arguments_are_typed() {
    let answer = json!({ "name": "an vil", "place": "rack", "cores": 8, "borrower": "ada" });
    let script = ScriptedTransport::new().on("inventory.borrowMachine", Answer::json(200, &answer));
    let until: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
    let machine = inventory(&script).borrow_machine("an vil", &BorrowMachineRequest::new("ada", until)).await.unwrap();
    assert_eq!(machine.borrower.as_deref(), Some("ada"));
    let call = &script.calls()[0];
    assert_eq!(call.path, "/api/inventory/v1/machines/an%20vil/borrower");
    assert_eq!(call.json(), json!({ "borrower": "ada", "until": "2026-12-01T12:00:00.000Z" }));
}
