use taskcluster::provisioner::{CreateWorkerTypeRequest, WorkerTypeProvider};

use super::*;

fn definition(provider: &Value) -> Definition {
    let sent = json!({
        "description": "", "owner": "o@example.com", "maxCapacity": 1, "scalingRatio": 0,
        "userData": {"a": "general", "b": "general", "c": "general"},
        "secrets": {"s": "general", "t": "general"},
        "scopes": ["general", "both"],
        "provider": provider,
    });
    Definition::new(serde_json::from_value::<CreateWorkerTypeRequest>(sent).unwrap())
}

fn ec2(definition: &Definition) -> &Ec2Provider {
    match definition.provider() {
        WorkerTypeProvider::Ec2(provider) => provider,
        other => panic!("{other:?}"),
    }
}

/// A definition with these fragments of launch specifications.
fn with_specs(general: &Value, region: &Value, own: &Value) -> Definition {
    let mut regional = json!({"ImageId": "ami-1"});
    regional.as_object_mut().unwrap().extend(region.as_object().unwrap().clone());
    definition(&json!({
        "kind": "ec2", "minPrice": 0.1, "maxPrice": 1,
        "launchSpec": general,
        "regions": [{
            "region": "us-west-2", "launchSpec": regional, "userData": {"b": "region", "c": "region"},
            "secrets": {"t": "region"}, "scopes": ["region", "both"],
        }],
        "instanceTypes": [{
            "instanceType": "c5.large", "capacity": 1, "utility": 1, "launchSpec": own, "userData": {"c": {"own": true}},
            "scopes": ["own"],
        }],
    }))
}

fn fault(general: &Value, region: &Value, own: &Value) -> Option<String> {
    let definition = with_specs(general, region, own);
    Entry::all(ec2(&definition)).next().unwrap().fault()
}

#[test]
fn later_fragments_win_property_by_property() {
    let general = json!({"KeyName": "general", "EbsOptimized": false, "SecurityGroupIds": ["sg-1"]});
    let region = json!({"KeyName": "region", "SecurityGroupId": ["sg-2"]});
    let definition = with_specs(&general, &region, &json!({"EbsOptimized": true}));
    let entry = Entry::find(ec2(&definition), "us-west-2", "c5.large").unwrap();
    assert_eq!(
        Value::from(entry.launch_spec()),
        json!({
            "ImageId": "ami-1", "InstanceType": "c5.large", "KeyName": "region", "EbsOptimized": true,
            "SecurityGroupId": ["sg-2"],
        })
    );
    assert_eq!((entry.fault(), entry.zone()), (None, None));
    assert!(Entry::find(ec2(&definition), "us-west-2", "c5.xlarge").is_none());
}

#[test]
fn workers_get_to_know_what_holds_where_they_run() {
    let definition = with_specs(&json!({}), &json!({}), &json!({}));
    let there = fragments(&definition, Entry::all(ec2(&definition)).next());
    assert_eq!(Value::from(there.user_data), json!({"a": "general", "b": "region", "c": {"own": true}}));
    assert_eq!(Value::from(there.secrets.into_exposed()), json!({"s": "general", "t": "region"}));
    assert_eq!(there.scopes, ["both", "general", "own", "region"]);
    assert_eq!(fragments(&definition, None).scopes, ["general", "both"]);
}

#[test]
fn whoever_defines_it_must_have_the_scopes_of_all_fragments() {
    let one = with_specs(&json!({}), &json!({}), &json!({}));
    assert_eq!(scopes(&one, Some(ec2(&one))), ["both", "general", "own", "region"]);
    let mut more = serde_json::to_value(ec2(&one)).unwrap();
    for (list, name) in [("regions", "region"), ("instanceTypes", "instanceType")] {
        let entries = more[list].as_array_mut().unwrap();
        let mut entry = entries[0].clone();
        entry[name] = "another".into();
        entry["scopes"] = json!([format!("another-{name}")]);
        entries.push(entry);
    }
    let two = definition(&more);
    let all = ["another-instanceType", "another-region", "both", "general", "own", "region"];
    assert_eq!(scopes(&two, Some(ec2(&two))), all);
}

#[test]
fn each_property_has_its_place() {
    let none = json!({});
    let told = |general: Value| fault(&general, &none, &none).unwrap_or_default();
    assert_eq!(told(json!({"UserData": "x"})), "the general launchSpec: UserData is said by the provisioner");
    assert_eq!(told(json!({"ImageId": "ami-2"})), "the general launchSpec: ImageId belongs to the region");
    assert_eq!(
        told(json!({"InstanceType": "c5.4xlarge"})),
        "the general launchSpec: InstanceType follows from instanceType"
    );
    assert!(fault(&none, &none, &json!({"ImageId": "ami-2"})).unwrap().starts_with("the instance type's"));
    assert!(fault(&none, &json!({"UserData": ""}), &none).unwrap().starts_with("the region's"));
    assert_eq!(fault(&none, &none, &json!({"InstanceType": "c5.large"})), None);
}

#[test]
fn nobody_starts_more_or_bids_more_through_a_launch_specification() {
    let none = json!({});
    for hostile in [
        json!({"MaxCount": 1000}),
        json!({"mincount": 1000}),
        json!({"Action": "TerminateInstances"}),
        json!({"Version": "2010-01-01"}),
        json!({"InstanceMarketOptions": {"SpotOptions": {"MaxPrice": "100"}}}),
        json!({"InstanceMarketOptions.SpotOptions.MaxPrice": "100"}),
        json!({"Placement": {"X.Y": 1}}),
        json!({"Placement": "us-west-2a"}),
        json!({"BlockDeviceMappings": [{"Ebs": {"a&b": 1}}]}),
        json!({"TagSpecifications": {"1": {}}}),
        json!({"ClientToken": "another"}),
        json!({"": 1}),
    ] {
        assert!(fault(&hostile, &none, &none).is_some(), "{hostile}");
    }
}

#[test]
fn what_is_wrong_with_the_list_is_told() {
    let mut twice = serde_json::to_value(ec2(&with_specs(&json!({}), &json!({}), &json!({})))).unwrap();
    let types = twice["instanceTypes"].as_array_mut().unwrap();
    types.push(types[0].clone());
    let definition = definition(&twice);
    let faults: Vec<_> = Entry::all(ec2(&definition)).map(|entry| entry.fault().unwrap()).collect();
    assert_eq!(faults, ["the instance type c5.large is named twice"; 2]);
    twice["instanceTypes"][1]["instanceType"] = "c5.xlarge".into();
    twice["instanceTypes"][1]["utility"] = 0.into();
    let unworthy = self::definition(&twice);
    let faults: Vec<_> = Entry::all(ec2(&unworthy)).map(|entry| entry.fault()).collect();
    assert_eq!(faults, [None, Some("the utility of c5.xlarge is not above 0".to_owned())]);
}

#[test]
fn our_tags_win() {
    let mut spec = json!({"TagSpecification": [
        {"ResourceType": "instance", "Tags": [
            {"Key": "Name", "Value": "theirs"}, {"Key": "team", "Value": "a"}, {"Key": "taskcluster:other", "Value": "forged"},
        ]},
        {"ResourceType": "volume", "Tags": [{"Key": "team", "Value": "b"}]},
    ]});
    let spec = spec.as_object_mut().unwrap();
    add_tags(spec, &["instance", "spot-instances-request"], &[("Name", "ours")]);
    assert_eq!(
        spec["TagSpecification"],
        json!([
            {"ResourceType": "instance", "Tag": [{"Key": "team", "Value": "a"}, {"Key": "Name", "Value": "ours"}]},
            {"ResourceType": "volume", "Tag": [{"Key": "team", "Value": "b"}]},
            {"ResourceType": "spot-instances-request", "Tag": [{"Key": "Name", "Value": "ours"}]},
        ])
    );
}
