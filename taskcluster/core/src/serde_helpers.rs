//! Help for the serde attributes of generated code.

/// For `Option<Option<T>>` with `#[serde(default, with = "double_option")]`: absent is `None`, `null` is `Some(None)`.
pub mod double_option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Reads a field that is there.
    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
    where
        T: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Option::<T>::deserialize(deserializer).map(Some)
    }

    /// Writes the inner option; skip the field itself with `skip_serializing_if = "Option::is_none"`.
    pub fn serialize<T, S>(value: &Option<Option<T>>, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: Serialize,
        S: Serializer,
    {
        value.as_ref().and_then(Option::as_ref).serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder {
        #[serde(default, with = "super::double_option", skip_serializing_if = "Option::is_none")]
        field: Option<Option<u8>>,
    }

    #[test]
    fn absent_null_and_a_value_are_told_apart() {
        for (text, field) in [("{}", None), (r#"{"field":null}"#, Some(None)), (r#"{"field":3}"#, Some(Some(3)))] {
            let holder: Holder = serde_json::from_str(text).unwrap();
            assert_eq!(holder, Holder { field });
            assert_eq!(serde_json::to_string(&holder).unwrap(), text);
        }
    }
}
