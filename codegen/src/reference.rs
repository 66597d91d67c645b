//! The references of methods and of exchanges, as they are written.
//!
//! Two generations are read: today's, and that of 2015, which names the service by its URL, lists
//! scopes in lists of lists, and spells schema ids as absolute URLs.

pub(crate) mod schema;

use crate::error::Result;
use crate::load::At;
use crate::model::{Method, Scopes, Stability, Word};

/// What `api.json` says.
#[derive(Debug)]
pub(crate) struct Api<'a> {
    pub(crate) service: String,
    pub(crate) version: String,
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    pub(crate) entries: Vec<Entry<'a>>,
}

/// One method of an API.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) at: At<'a>,
    pub(crate) name: &'a str,
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    pub(crate) category: Option<&'a str>,
    pub(crate) method: Method,
    pub(crate) route: &'a str,
    pub(crate) args: Vec<&'a str>,
    pub(crate) query: Vec<&'a str>,
    pub(crate) input: Option<At<'a>>,
    pub(crate) output: Option<At<'a>>,
    /// Whether it answers with content of any kind instead of JSON.
    pub(crate) blob: bool,
    pub(crate) scopes: Option<Scopes>,
    pub(crate) stability: Stability,
}

/// What `exchanges.json` says.
#[derive(Debug)]
pub(crate) struct Exchanges<'a> {
    pub(crate) service: String,
    pub(crate) version: String,
    pub(crate) prefix: &'a str,
    pub(crate) description: &'a str,
    pub(crate) entries: Vec<ExchangeEntry<'a>>,
}

/// One exchange.
#[derive(Debug)]
pub(crate) struct ExchangeEntry<'a> {
    pub(crate) at: At<'a>,
    pub(crate) name: &'a str,
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    pub(crate) exchange: &'a str,
    pub(crate) schema: At<'a>,
    pub(crate) words: Vec<Word>,
}

impl<'a> Api<'a> {
    pub(crate) fn parse(at: &At<'a>) -> Result<Self> {
        let (service, version) = identity(at)?;
        let entries = at.required("entries")?.items()?;
        Ok(Self {
            service,
            version,
            title: at.text("title")?.unwrap_or_default(),
            description: at.text("description")?.unwrap_or_default(),
            entries: entries
                .into_iter()
                .filter(|entry| is_kind(entry, "function"))
                .map(Entry::parse)
                .collect::<Result<_>>()?,
        })
    }
}

impl<'a> Entry<'a> {
    fn parse(at: At<'a>) -> Result<Self> {
        at.object()?;
        let strings = |key: &str| at.get(key).map_or(Ok(Vec::new()), |list| list.strings());
        let method = at.required("method")?;
        let stability = match at.get("stability") {
            Some(stability) => match stability.string()? {
                "stable" => Stability::Stable,
                "experimental" => Stability::Experimental,
                "deprecated" => Stability::Deprecated,
                other => return Err(stability.error(format!("unknown stability {other:?}"))),
            },
            None => Stability::Stable,
        };
        // `blob` stands for a body that no schema describes: today a stream or a file, in 2015 often JSON.
        let schema = |key: &str| -> Result<Option<At<'a>>> {
            match at.get(key) {
                Some(schema) => Ok(Some(schema).filter(|_| at.text(key).is_ok_and(|text| text != Some("blob")))),
                None => Ok(None),
            }
        };
        for key in ["input", "output"] {
            at.text(key)?;
        }
        Ok(Self {
            name: name(&at)?,
            title: at.text("title")?.unwrap_or_default(),
            description: at.text("description")?.unwrap_or_default(),
            category: at.text("category")?,
            method: match method.string()?.to_ascii_lowercase().as_str() {
                "get" => Method::Get,
                "head" => Method::Head,
                "post" => Method::Post,
                "put" => Method::Put,
                "delete" => Method::Delete,
                "patch" => Method::Patch,
                other => return Err(method.error(format!("unknown method {other:?}"))),
            },
            route: at.required("route")?.string()?,
            args: strings("args")?,
            query: strings("query")?,
            input: schema("input")?,
            output: schema("output")?,
            blob: at.text("output")? == Some("blob"),
            scopes: at.get("scopes").map(|scopes| crate::resolve::scopes::parse(&scopes)).transpose()?,
            stability,
            at,
        })
    }
}

impl<'a> Exchanges<'a> {
    pub(crate) fn parse(at: &At<'a>) -> Result<Self> {
        let (service, version) = identity(at)?;
        let entries = at.required("entries")?.items()?;
        Ok(Self {
            service,
            version,
            prefix: at.text("exchangePrefix")?.unwrap_or_default(),
            description: at.text("description")?.unwrap_or_default(),
            entries: entries.into_iter().map(ExchangeEntry::parse).collect::<Result<_>>()?,
        })
    }
}

impl<'a> ExchangeEntry<'a> {
    fn parse(at: At<'a>) -> Result<Self> {
        at.object()?;
        let words = at.required("routingKey")?.items()?.iter().map(word).collect::<Result<_>>()?;
        Ok(Self {
            name: name(&at)?,
            title: at.text("title")?.unwrap_or_default(),
            description: at.text("description")?.unwrap_or_default(),
            exchange: at.required("exchange")?.string()?,
            schema: at.required("schema")?,
            words,
            at,
        })
    }
}

fn word(at: &At<'_>) -> Result<Word> {
    let flag = |key: &str| at.get(key).map_or(Ok(false), |flag| flag.boolean());
    Ok(Word {
        name: name(at)?.to_owned(),
        summary: at.text("summary")?.unwrap_or_default().to_owned(),
        constant: at.text("constant")?.map(str::to_owned),
        required: flag("required")?,
        multiple_words: flag("multipleWords")?,
    })
}

fn name<'a>(at: &At<'a>) -> Result<&'a str> {
    let name = at.required("name")?;
    let text = name.string()?;
    if text.chars().any(|c| c.is_ascii_alphanumeric()) {
        Ok(text)
    } else {
        Err(name.error("a name needs a letter or a digit"))
    }
}

fn is_kind(entry: &At<'_>, kind: &str) -> bool {
    entry.value.get("type").is_none_or(|value| value == kind)
}

/// Name and version of the service; older references tell them by their URL or by where they stand.
fn identity(at: &At<'_>) -> Result<(String, String)> {
    let version = at.text("apiVersion")?;
    if let Some(service) = at.get("serviceName") {
        let text = service.string()?;
        if !text.chars().any(|c| c.is_ascii_alphanumeric()) {
            return Err(service.error("a name needs a letter or a digit"));
        }
        return Ok((text.to_owned(), version.unwrap_or("v1").to_owned()));
    }
    let url = at.text("baseUrl")?.and_then(|url| {
        let (host, path) = url.split_once("://")?.1.split_once('/')?;
        Some((host.split('.').next()?, path.trim_matches('/')))
    });
    if let Some((service, path)) = url.filter(|(service, _)| !service.is_empty()) {
        let version = path.rsplit('/').next().filter(|version| version.starts_with('v')).unwrap_or("v1");
        return Ok((service.to_owned(), version.to_owned()));
    }
    // `exchange/taskcluster-queue/v1/`
    let prefix = at.text("exchangePrefix")?.and_then(|prefix| {
        let mut steps = prefix.split('/').skip(1);
        Some((steps.next()?.trim_start_matches("taskcluster-"), steps.next()?))
    });
    match prefix.filter(|(service, _)| !service.is_empty()) {
        Some((service, "")) => Ok((service.to_owned(), "v1".to_owned())),
        Some((service, version)) => Ok((service.to_owned(), version.to_owned())),
        None => Err(at.error("\"serviceName\" is missing")),
    }
}
