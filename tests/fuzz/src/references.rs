//! References: any JSON becomes code that parses, or is refused with a place that exists.
//!
//! An input is a bundle, a list of `{"filename": …, "content": …}`.

use serde_json::Value;
use taskcluster_codegen::{Error, Generator};

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let generator = Generator::new().texts([("references.json", text)]).server("crate");
    match generator.generate_formatted() {
        Ok(output) => {
            assert!(!output.files.is_empty(), "a service has at least its types");
            let again = generator.generate_formatted().expect("it could be made before");
            assert_eq!(output.files, again.files, "the same references are the same code");
            assert!(generator.faults().is_empty(), "{:?}", generator.faults());
            assert_eq!(serde_json::to_value(&output.model).ok(), serde_json::to_value(&again.model).ok());
        }
        Err(Error::Generated { service, message }) => panic!("the code of {service} does not parse: {message}"),
        Err(error) => {
            is_told_with_its_place(&error, text);
            assert!(!generator.faults().is_empty(), "{error} is no fault");
        }
    }
}

fn is_told_with_its_place(error: &Error, text: &str) {
    let Error::Invalid { file, pointer, .. } = error else { return };
    // Where a key is there twice, serde_json finds the last: perhaps not that within which the other one is.
    if error.to_string().ends_with("the key is there twice") {
        return;
    }
    let bundle: Value = serde_json::from_str(text).expect("only JSON can be invalid");
    let document = match file.split_once('!') {
        None => Some(&bundle),
        // Several parts may have one name.
        Some((_, name)) => bundle
            .as_array()
            .into_iter()
            .flatten()
            .filter(|part| part.get("filename").and_then(Value::as_str).unwrap_or_default() == name)
            .filter_map(|part| part.get("content"))
            .find(|content| content.pointer(pointer).is_some()),
    };
    let found = document.and_then(|document| document.pointer(pointer));
    assert!(found.is_some(), "{error}: there is no such place");
}
