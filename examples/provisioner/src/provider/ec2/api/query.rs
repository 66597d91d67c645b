//! Parameters of the Query API: names with dots for what is inside, with numbers for members of lists.

use serde_json::{Map, Value};
use url::form_urlencoded::Serializer;

/// The names that lists of `RunInstances` have in documents, and those that they have in queries. All others are the same.
const QUERY_NAMES: [(&str, &str); 14] = [
    ("BlockDeviceMappings", "BlockDeviceMapping"),
    ("ElasticInferenceAccelerators", "ElasticInferenceAccelerator"),
    ("Groups", "SecurityGroupId"),
    ("Ipv4Prefixes", "Ipv4Prefix"),
    ("Ipv6Prefixes", "Ipv6Prefix"),
    ("LicenseSpecifications", "LicenseSpecification"),
    ("MetricCategoryIds", "MetricCategoryId"),
    ("NetworkInterfaces", "NetworkInterface"),
    ("SecondaryInterfaces", "SecondaryInterface"),
    ("SecurityGroupIds", "SecurityGroupId"),
    ("SecurityGroups", "SecurityGroup"),
    ("TagSpecifications", "TagSpecification"),
    ("Tags", "Tag"),
    ("Ipv6Addresses", "Ipv6Address"),
];

/// Parameters of a request, in the order in which they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

/// The name of a parameter as queries have it: `SecurityGroupIds` is `SecurityGroupId`.
#[must_use]
pub fn query_name(name: &str) -> &str {
    QUERY_NAMES.iter().find(|(document, _)| *document == name).map_or(name, |(_, query)| query)
}

impl Query {
    /// One without parameters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this parameter.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// With a list: `Name.1`, `Name.2` and so on.
    #[must_use]
    pub fn with_list<T: Into<String>>(mut self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        self.0.extend(values.into_iter().enumerate().map(|(i, value)| (format!("{name}.{}", i + 1), value.into())));
        self
    }

    /// With a filter: what has one of these values there.
    #[must_use]
    pub fn with_filter<T: Into<String>>(self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        let number =
            1 + self.0.iter().filter(|(name, _)| name.starts_with("Filter.") && name.ends_with(".Name")).count();
        self.with(format!("Filter.{number}.Name"), name).with_list(&format!("Filter.{number}.Value"), values)
    }

    /// With what is said in a document, such as a launch specification. `null` says nothing.
    #[must_use]
    pub fn with_document(mut self, document: &Map<String, Value>) -> Self {
        self.push_object("", document);
        self
    }

    fn push_object(&mut self, prefix: &str, object: &Map<String, Value>) {
        for (name, value) in object {
            let name = query_name(name);
            let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
            self.push_value(path, value);
        }
    }

    fn push_value(&mut self, path: String, value: &Value) {
        match value {
            Value::Null => {}
            Value::Bool(value) => self.0.push((path, value.to_string())),
            Value::Number(value) => self.0.push((path, value.to_string())),
            Value::String(value) => self.0.push((path, value.clone())),
            Value::Array(values) => {
                for (i, value) in values.iter().enumerate() {
                    self.push_value(format!("{path}.{}", i + 1), value);
                }
            }
            Value::Object(object) => self.push_object(&path, object),
        }
    }

    /// As the body of a form.
    pub(crate) fn encoded(&self, action: &str, version: &str) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", version);
        form.extend_pairs(&self.0).finish()
    }

    /// The value of a parameter.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_become_names_with_dots_and_numbers() {
        let document = json!({
            "KeyName": "a key",
            "EbsOptimized": true,
            "Nothing": null,
            "SecurityGroupIds": ["sg-1", "sg-2"],
            "Placement": {"Tenancy": "default"},
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "DeleteOnTermination": false}}],
            "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": ["sg-3"]}],
            "TagSpecifications": [{"ResourceType": "volume", "Tags": [{"Key": "k", "Value": "v"}]}],
        });
        let query = Query::new().with_document(document.as_object().unwrap());
        let mut parameters: Vec<_> = query.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        parameters.sort();
        assert_eq!(
            parameters,
            [
                "BlockDeviceMapping.1.DeviceName=/dev/xvda",
                "BlockDeviceMapping.1.Ebs.DeleteOnTermination=false",
                "BlockDeviceMapping.1.Ebs.VolumeSize=20",
                "EbsOptimized=true",
                "KeyName=a key",
                "NetworkInterface.1.DeviceIndex=0",
                "NetworkInterface.1.SecurityGroupId.1=sg-3",
                "Placement.Tenancy=default",
                "SecurityGroupId.1=sg-1",
                "SecurityGroupId.2=sg-2",
                "TagSpecification.1.ResourceType=volume",
                "TagSpecification.1.Tag.1.Key=k",
                "TagSpecification.1.Tag.1.Value=v",
            ]
        );
    }

    #[test]
    fn filters_are_counted_and_values_are_escaped() {
        let query = Query::new().with_filter("tag:a", ["b&c", "d"]).with_filter("state", ["open"]);
        assert_eq!(
            query.encoded("Describe", "2016-11-15"),
            "Action=Describe&Version=2016-11-15&Filter.1.Name=tag%3Aa&Filter.1.Value.1=b%26c&Filter.1.Value.2=d\
             &Filter.2.Name=state&Filter.2.Value.1=open"
        );
    }
}
