/// Builds a `serde_json::Map`, for the fields of an API that are free objects.
///
/// ```
/// let payload = taskcluster_core::object! { "command": ["true"], "maxRunTime": 60 };
/// assert_eq!(payload["maxRunTime"], 60);
/// ```
#[macro_export]
macro_rules! object {
    ($($content:tt)*) => {
        match $crate::__private::serde_json::json!({ $($content)* }) {
            $crate::__private::serde_json::Value::Object(map) => map,
            _ => ::core::unreachable!("braces make an object"),
        }
    };
}
