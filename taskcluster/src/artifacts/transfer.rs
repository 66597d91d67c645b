//! Content that arrives in one go, however often it is cut.

use std::io;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;

use super::digest;
use super::download::{Download, Downloaded, Fetched, Source, beginning};
use super::fetch::{Failure, Range, content_range, get, number, strong_tag, text};
use super::hashes::Hashes;
use super::progress::Watcher;
use super::sink::Sink;
use super::split::Large;

/// What is known of the content from the answer that began it.
#[derive(Debug)]
struct ContentFacts {
    total: Option<u64>,
    /// A strong entity tag: two answers that carry it have the same bytes.
    tag: Option<String>,
    /// The hash that its head states.
    sha256: Option<String>,
}

/// How far a download has come.
pub(super) struct Transfer<'a, S> {
    sink: &'a mut S,
    /// What the sink holds.
    received: u64,
    /// The most that `received` has been.
    furthest: u64,
    /// What is yet to be skipped of an answer that began anew, since the sink has it.
    skip: u64,
    content: Option<ContentFacts>,
    /// Of what the sink holds.
    hashes: Hashes,
    watcher: Option<Watcher>,
}

impl<'a, S: Sink> Transfer<'a, S> {
    pub(super) fn new(sink: &'a mut S, watcher: Option<Watcher>) -> Self {
        Self { sink, received: 0, furthest: 0, skip: 0, content: None, hashes: Hashes::of(None), watcher }
    }

    /// The most that ever was there.
    pub(super) fn furthest(&self) -> u64 {
        self.furthest
    }

    /// One request and as much of its answer as comes.
    pub(super) async fn step(
        &mut self,
        download: &Download,
        source: &Source,
        may_split: bool,
    ) -> Result<Fetched, Failure> {
        let range = self.range().await.map_err(Failure::Local)?;
        let (parts, mut body) = get(download, &source.url, range.as_ref()).await?.into_parts();
        match parts.status {
            StatusCode::OK => {
                if let Some(large) = Large::of(&parts.headers, source).filter(|_| may_split) {
                    return Ok(Fetched::Large(large));
                }
                self.begins(&parts.headers).await?;
            }
            StatusCode::PARTIAL_CONTENT if range.is_some() => self.continues(&parts.headers).await?,
            StatusCode::RANGE_NOT_SATISFIABLE if S::RESTARTS && range.is_some() => {
                self.restart().await?;
                return Err(Failure::Cut("the range was refused".into()));
            }
            status => {
                let message = body.collect(4096).await.map(|body| beginning(&body)).unwrap_or_default();
                return Err(Failure::Refused { status, message });
            }
        }
        while let Some(frame) = body.frame().await {
            if let Ok(chunk) = frame.map_err(Failure::Cut)?.into_data() {
                self.receive(chunk).await?;
            }
        }
        self.ends()?;
        self.verify(source, &parts.headers).await.map(Fetched::Whole)
    }

    /// What arrived is what somebody said that it is.
    async fn verify(&mut self, source: &Source, headers: &HeaderMap) -> Result<Downloaded, Failure> {
        let in_head = self.content.as_ref().and_then(|content| content.sha256.as_deref());
        let agree = self.hashes.agree(source.sha256.as_deref(), in_head);
        if agree == Some(false) {
            if S::RESTARTS {
                self.restart().await?;
            }
            return Err(Failure::Corrupt { again: S::RESTARTS });
        }
        Ok(Downloaded {
            length: self.received,
            content_type: text(headers, header::CONTENT_TYPE),
            content_encoding: text(headers, header::CONTENT_ENCODING).filter(|encoding| encoding != "identity"),
            sha256: self.hashes.stored(),
            verified: agree.is_some(),
        })
    }

    /// Which part to ask for next. Where only the beginning can be trusted, that is everything.
    async fn range(&mut self) -> io::Result<Option<Range>> {
        self.skip = 0;
        if self.received == 0 {
            return Ok(None);
        }
        let validator = self.content.as_ref().and_then(|content| content.tag.clone());
        if validator.is_none() && S::RESTARTS {
            self.sink.restart().await?;
            self.received = 0;
            return Ok(None);
        }
        Ok(Some(Range { from: self.received, to: None, validator }))
    }

    /// An answer that starts at the first byte.
    async fn begins(&mut self, headers: &HeaderMap) -> Result<(), Failure> {
        let facts = ContentFacts {
            total: number(headers, header::CONTENT_LENGTH),
            tag: strong_tag(headers),
            sha256: digest::stated(headers),
        };
        if self.received > 0 {
            if S::RESTARTS {
                self.restart().await?;
            } else {
                let before = self.content.take();
                let same = before.is_some_and(|before| before.total == facts.total && before.tag == facts.tag);
                if !same {
                    return Err(Failure::Changed);
                }
                self.skip = self.received;
            }
        }
        if self.received == 0 {
            let encoding = text(headers, header::CONTENT_ENCODING);
            self.hashes = Hashes::of(encoding.as_deref());
            self.sink.begins(encoding.as_deref());
        }
        self.content = Some(facts);
        Ok(())
    }

    /// An answer that starts where the sink ends.
    async fn continues(&mut self, headers: &HeaderMap) -> Result<(), Failure> {
        let part = content_range(headers);
        let known = self.content.as_ref().and_then(|content| content.total);
        let fits = part.is_some_and(|(from, total)| {
            from == self.received && (known.is_none() || total.is_none() || known == total)
        });
        if fits {
            return Ok(());
        }
        if !S::RESTARTS {
            return Err(Failure::Changed);
        }
        self.restart().await?;
        Err(Failure::Cut("another range than the one that was asked for".into()))
    }

    async fn receive(&mut self, mut chunk: Bytes) -> Result<(), Failure> {
        let skipped = self.skip.min(chunk.len() as u64);
        self.skip -= skipped;
        // Never more than the chunk's length, which is a usize.
        let _ = chunk.split_to(skipped as usize);
        let known = self.content.as_ref().and_then(|content| content.total);
        if known.is_some_and(|total| self.received + chunk.len() as u64 > total) {
            return Err(Failure::Changed);
        }
        self.sink.write(&chunk).await.map_err(Failure::Local)?;
        self.hashes.update(&chunk);
        self.received += chunk.len() as u64;
        if let Some(watcher) = &self.watcher {
            watcher.tell(self.received, known);
        }
        self.furthest = self.furthest.max(self.received);
        Ok(())
    }

    /// The answer is over: is that all?
    fn ends(&self) -> Result<(), Failure> {
        match self.content.as_ref().and_then(|content| content.total) {
            Some(total) if self.received < total => {
                Err(Failure::Cut(format!("{} of {total} bytes came", self.received).into()))
            }
            Some(_) | None if self.skip > 0 => Err(Failure::Changed),
            Some(_) | None => Ok(()),
        }
    }

    async fn restart(&mut self) -> Result<(), Failure> {
        self.sink.restart().await.map_err(Failure::Local)?;
        self.received = 0;
        self.content = None;
        Ok(())
    }
}
