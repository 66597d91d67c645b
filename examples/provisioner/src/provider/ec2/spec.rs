//! What is asked of EC2, put together from the fragments of a definition.
//!
//! Fragments are laid over each other, property by property, the later one whole: general, region, instance type. Some properties
//! have one place, and some are ours: what a definition says must not start more, bid more, or carry other marks than we know of.

use serde_json::{Map, Value, json};
use taskcluster::provisioner::{Ec2InstanceType, Ec2Provider, Ec2Region};
use taskcluster_core::secret::SecretObject;

use super::api::query_name;
use crate::provider::Fragments;
use crate::worker_type::Definition;

/// How many bytes of user data EC2 takes, before they are encoded.
pub(super) const MAX_USER_DATA: usize = 16 * 1024;

/// What only we say, in the words of queries and in lower case. With dots nobody gets around it: names have none.
const OURS: [&str; 9] = [
    "action",
    "clienttoken",
    "dryrun",
    "instanceinitiatedshutdownbehavior",
    "instancemarketoptions",
    "maxcount",
    "mincount",
    "userdata",
    "version",
];

/// A region and an instance type of a definition: what all their offers have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) provider: &'a Ec2Provider,
    pub(super) region: &'a Ec2Region,
    pub(super) instance_type: &'a Ec2InstanceType,
}

impl<'a> Entry<'a> {
    /// All of them.
    pub(super) fn all(provider: &'a Ec2Provider) -> impl Iterator<Item = Self> {
        provider.regions.iter().flat_map(move |region| {
            provider.instance_types.iter().map(move |instance_type| Self { provider, region, instance_type })
        })
    }

    /// The one of that region and that instance type.
    pub(super) fn find(provider: &'a Ec2Provider, region: &str, instance_type: &str) -> Option<Self> {
        Self::all(provider)
            .find(|entry| entry.region.region == region && entry.instance_type.instance_type == instance_type)
    }

    /// The launch specification, without what each launch adds.
    pub(super) fn launch_spec(&self) -> Map<String, Value> {
        let mut spec = Map::new();
        for fragment in self.fragments() {
            // By the names of queries, so that `SecurityGroupIds` of one fragment takes the place of `SecurityGroupId` of another.
            spec.extend(fragment.iter().map(|(name, value)| (query_name(name).to_owned(), value.clone())));
        }
        spec.insert("ImageId".to_owned(), self.region.launch_spec.image_id.clone().into());
        spec.insert("InstanceType".to_owned(), self.instance_type.instance_type.clone().into());
        spec
    }

    fn fragments(&self) -> impl Iterator<Item = &'a Map<String, Value>> {
        let general = self.provider.launch_spec.as_ref();
        let region = Some(&self.region.launch_spec.additional);
        [general, region, self.instance_type.launch_spec.as_ref()].into_iter().flatten()
    }

    /// The zone that the definition insists on, such as that of a subnet.
    pub(super) fn zone(&self) -> Option<String> {
        let spec = self.launch_spec();
        spec.get("Placement")?.get("AvailabilityZone")?.as_str().map(str::to_owned)
    }

    /// What is wrong with it, as far as can be said without EC2.
    pub(super) fn fault(&self) -> Option<String> {
        let (region, instance_type) = (&self.region.region, &self.instance_type.instance_type);
        if self.provider.regions.iter().filter(|known| known.region == *region).count() > 1 {
            return Some(format!("the region {region} is named twice"));
        }
        if self.provider.instance_types.iter().filter(|known| known.instance_type == *instance_type).count() > 1 {
            return Some(format!("the instance type {instance_type} is named twice"));
        }
        if self.instance_type.utility <= 0.0 {
            return Some(format!("the utility of {instance_type} is not above 0"));
        }
        if self.provider.min_price > self.provider.max_price {
            return Some("minPrice is above maxPrice".to_owned());
        }
        self.fault_of_fragments()
    }

    fn fault_of_fragments(&self) -> Option<String> {
        let general = self.provider.launch_spec.iter().map(|spec| ("the general", spec));
        let region = [("the region's", &self.region.launch_spec.additional)];
        let own = self.instance_type.launch_spec.iter().map(|spec| ("the instance type's", spec));
        general.chain(region).chain(own).find_map(|(whose, spec)| {
            let fault = spec.iter().find_map(|(name, value)| self.fault_of(name, value));
            fault.or_else(|| bad_name(spec)).map(|fault| format!("{whose} launchSpec: {fault}"))
        })
    }

    /// What is wrong with a property of a fragment.
    fn fault_of(&self, name: &str, value: &Value) -> Option<String> {
        let lower = query_name(name).to_ascii_lowercase();
        if OURS.contains(&&*lower) {
            return Some(format!("{name} is said by the provisioner"));
        }
        match &*lower {
            // The generated type has taken the region's own out.
            "imageid" => Some(format!("{name} belongs to the region")),
            "instancetype" if value.as_str() != Some(&self.instance_type.instance_type) => {
                Some(format!("{name} follows from instanceType"))
            }
            "placement" if !value.is_object() => Some(format!("{name} is not an object")),
            "tagspecification" if tag_specifications(value).is_none() => {
                Some(format!("{name} is not a list of objects with ResourceType and Tags"))
            }
            _ => None,
        }
    }
}

/// A name that would be read as something else in a query.
fn bad_name(object: &Map<String, Value>) -> Option<String> {
    object.iter().find_map(|(name, value)| {
        let good = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
        if good { bad_name_in(value) } else { Some(format!("{name:?} is no name of a parameter")) }
    })
}

fn bad_name_in(value: &Value) -> Option<String> {
    match value {
        Value::Object(object) => bad_name(object),
        Value::Array(values) => values.iter().find_map(bad_name_in),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// A kind of things, and the tags that they get.
type Tagged = (String, Vec<(String, String)>);

/// What kinds of things get which tags, if it is said as EC2 does.
fn tag_specifications(value: &Value) -> Option<Vec<Tagged>> {
    let tag = |tag: &Value| {
        let value = tag.get("Value").map_or(Some(""), Value::as_str)?;
        Some((tag.get("Key")?.as_str()?.to_owned(), value.to_owned()))
    };
    let specification = |specification: &Value| {
        let tags = specification.get("Tags").or_else(|| specification.get("Tag"))?.as_array()?;
        Some((specification.get("ResourceType")?.as_str()?.to_owned(), tags.iter().map(tag).collect::<Option<_>>()?))
    };
    value.as_array()?.iter().map(specification).collect()
}

/// The tags of a launch: those of the definition, and ours, which win and by which we know what is ours.
pub(super) fn add_tags(spec: &mut Map<String, Value>, kinds: &[&str], ours: &[(&str, &str)]) {
    let mut said = spec.get("TagSpecification").and_then(tag_specifications).unwrap_or_default();
    for kind in kinds {
        if !said.iter().any(|(known, _)| known == kind) {
            said.push(((*kind).to_owned(), Vec::new()));
        }
    }
    let specifications: Vec<_> = said
        .into_iter()
        .map(|(kind, mut tags)| {
            let own = if kinds.contains(&&*kind) { ours } else { &[] };
            tags.retain(|(key, _)| !own.iter().any(|(ours, _)| ours == key) && !key.starts_with("taskcluster:"));
            tags.extend(own.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
            let tags: Vec<_> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
            json!({"ResourceType": kind, "Tag": tags})
        })
        .collect();
    spec.insert("TagSpecification".to_owned(), specifications.into());
}

/// What a worker gets to know: general, then the region's, then the instance type's, property by property. Scopes come together.
pub(super) fn fragments(definition: &Definition, entry: Option<Entry<'_>>) -> Fragments {
    let Fragments { mut user_data, secrets, mut scopes } = Fragments::of(definition);
    let mut secrets = secrets.into_exposed();
    if let Some(Entry { region, instance_type, .. }) = entry {
        for said in [&region.user_data, &instance_type.user_data].into_iter().flatten() {
            user_data.extend(said.clone());
        }
        for said in [&region.secrets, &instance_type.secrets].into_iter().flatten() {
            secrets.extend(said.expose().clone());
        }
        for said in [&region.scopes, &instance_type.scopes].into_iter().flatten() {
            scopes.extend(said.iter().cloned());
        }
        scopes.sort_unstable();
        scopes.dedup();
    }
    Fragments { user_data, secrets: SecretObject::from(secrets), scopes }
}

/// All scopes that workers may get, in whatever region and on whatever instance type.
pub(super) fn scopes(definition: &Definition, provider: Option<&Ec2Provider>) -> Vec<String> {
    let regions = provider.iter().flat_map(|provider| &provider.regions).filter_map(|region| region.scopes.as_ref());
    let types = provider.iter().flat_map(|provider| &provider.instance_types);
    let types = types.filter_map(|instance_type| instance_type.scopes.as_ref());
    let mut scopes = [definition.scopes(), &regions.chain(types).flatten().cloned().collect::<Vec<_>>()].concat();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

#[cfg(test)]
mod tests;
