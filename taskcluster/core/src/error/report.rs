//! Errors told with what is behind them.

use std::error::Error;
use std::fmt;

/// An error and all that is behind it, in one line for a log or a terminal. A list of faults that a service gives, as
/// of a task that breaks its schema, keeps its lines.
///
/// The errors of this crate say only their own part; [`source`](Error::source) has the rest. A part that repeats what has
/// just been said, as some libraries have it, is left out.
///
/// ```
/// use taskcluster_core::chain;
/// use taskcluster_core::transport::{TransportError, TransportErrorKind};
///
/// let error = TransportError::new(TransportErrorKind::Connect, "connection refused");
/// assert_eq!(error.to_string(), "cannot connect");
/// assert_eq!(chain(&error).to_string(), "cannot connect: connection refused");
/// ```
pub fn chain<'a>(error: &'a (dyn Error + 'a)) -> Chain<'a> {
    Chain(error)
}

/// What [`chain`] gives: something to be displayed.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(&'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            let part = error.to_string();
            if !said.ends_with(&part) {
                write!(f, ": {part}")?;
                said = part;
            }
            source = error.source();
        }
        Ok(())
    }
}

/// Any error, on its way to whoever runs the program: what `main` gives back.
///
/// Rust prints such an error by its `Debug`, which is here the line that [`chain`] makes.
///
/// ```
/// use taskcluster_core::{Report, TaskId};
///
/// fn main() -> Result<(), Report> {
///     let task_id: TaskId = "fN1SbArXTPSVFNUvaOlinQ".parse()?;
///     println!("{task_id}");
///     Ok(())
/// }
/// ```
///
/// It is no [`Error`] itself, as `anyhow::Error` is none, so between the two `?` needs a word: `.map_err(Report::new)?` makes
/// a report of theirs, `.map_err(anyhow::Error::msg)?` makes one of theirs of a report, in one line. Into a
/// `Box<dyn Error + Send + Sync>` it goes by `?` alone, with all that is behind it.
pub struct Report(Box<dyn Error + Send + Sync>);

impl Report {
    /// Of what `?` does not turn into one by itself: an `anyhow::Error`, an error in a box, or just a text.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Report {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl From<Report> for Box<dyn Error + Send + Sync> {
    fn from(report: Report) -> Self {
        report.0
    }
}

impl From<Report> for Box<dyn Error> {
    fn from(report: Report) -> Self {
        report.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        chain(&*self.0).fmt(f)
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Layer {
        said: &'static str,
        source: Option<Box<dyn Error + Send + Sync>>,
    }

    fn layer(said: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Layer {
        Layer { said, source: Some(source.into()) }
    }

    #[test]
    fn every_part_is_said_once() {
        let inner = layer("connect: refused", layer("refused", Layer { said: "os error 111", source: None }));
        let error = layer("no answer", inner);
        assert_eq!(chain(&error).to_string(), "no answer: connect: refused: os error 111");
        assert_eq!(format!("{:?}", Report::from(error)), "no answer: connect: refused: os error 111");
    }

    #[test]
    fn what_is_behind_an_error_outlives_its_way_through_a_box() {
        let report = Report::from(layer("no answer", layer("refused", Layer { said: "os error 111", source: None })));
        let boxed: Box<dyn Error + Send + Sync> = report.into();
        assert_eq!(boxed.to_string(), "no answer");
        assert_eq!(Report::new(boxed).to_string(), "no answer: refused: os error 111");
        assert_eq!(Report::new("only a text").to_string(), "only a text");
    }
}
