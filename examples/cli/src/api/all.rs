//! A list that comes in pages, printed item by item as they come.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use taskcluster::{Page, Paged, Taskcluster};

use super::Invocation;

/// A page of any list.
#[derive(Debug, Deserialize)]
#[serde(try_from = "BTreeMap<String, Box<RawValue>>")]
struct AnyPage {
    token: Option<String>,
    properties: BTreeMap<String, Box<RawValue>>,
}

impl TryFrom<BTreeMap<String, Box<RawValue>>> for AnyPage {
    type Error = serde_json::Error;

    fn try_from(properties: BTreeMap<String, Box<RawValue>>) -> Result<Self, serde_json::Error> {
        let token = properties.get("continuationToken").map(|token| serde_json::from_str(token.get())).transpose()?;
        Ok(Self { token: token.flatten(), properties })
    }
}

/// Its item is the page itself: which of its properties is the list, the table says.
impl Page for AnyPage {
    type Item = Self;

    fn continuation_token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    fn into_items(self) -> Vec<Self> {
        vec![self]
    }
}

/// Prints the items of all pages, which stand in the property `items`.
pub(super) async fn print(
    invocation: &Invocation,
    tc: &Taskcluster,
    body: Option<&RawValue>,
    items: &str,
) -> Result<()> {
    let operation = invocation.method.operation;
    let mut paged = Paged::<AnyPage>::new(tc.caller(), operation, &invocation.path());
    for (name, value) in &invocation.query {
        paged = if *name == "continuationToken" { paged.continuation_token(value) } else { paged.query(name, value) };
    }
    if let Some(body) = body {
        paged = paged.with_body(body);
    }
    let mut pages = paged.pages();
    let mut output = None;
    while let Some(page) = pages.try_next().await? {
        let list = page.properties.get(items).with_context(|| format!("{operation}: an answer without {items:?}"))?;
        let list: Vec<&RawValue> = serde_json::from_str(list.get())
            .with_context(|| format!("{operation}: an answer whose {items:?} is no list"))?;
        let output = match &mut output {
            Some(output) => output,
            none => none.insert(invocation.output()?),
        };
        output.documents(list.iter().map(|item| item.get().as_bytes()))?;
    }
    Ok(())
}
