//! Graphics processors, which every container of a worker sees, or none.

use std::str::FromStr;

use bollard::models::DeviceRequest;

/// Graphics processors of the machine. Docker needs a driver for them, such as NVIDIA's container toolkit.
///
/// ```
/// use taskcluster_docker_worker::Gpus;
///
/// assert_eq!("all".parse(), Ok(Gpus::All));
/// assert_eq!("device=0,GPU-3a23c669".parse(), Ok(Gpus::These(vec!["0".to_owned(), "GPU-3a23c669".to_owned()])));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gpus {
    /// All that there are.
    All,
    /// So many.
    Count(u32),
    /// Those with these numbers or identifiers.
    These(Vec<String>),
}

/// A text that says of no graphics processors which they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no graphics processors: all, a number of them, or device=ID,ID")]
pub struct NoGpus(String);

impl FromStr for Gpus {
    type Err = NoGpus;

    /// As `docker run --gpus` has it: `all`, a number, or `device=ID,ID`.
    fn from_str(text: &str) -> Result<Self, NoGpus> {
        if text == "all" {
            return Ok(Self::All);
        }
        if let Some(list) = text.strip_prefix("device=") {
            let ids: Vec<String> = list.split(',').map(str::to_owned).collect();
            return if ids.iter().any(String::is_empty) { Err(NoGpus(text.to_owned())) } else { Ok(Self::These(ids)) };
        }
        match text.parse() {
            Ok(count) if count > 0 => Ok(Self::Count(count)),
            _ => Err(NoGpus(text.to_owned())),
        }
    }
}

impl Gpus {
    /// What stands of them in the description of a container.
    pub(crate) fn request(&self) -> DeviceRequest {
        let (count, device_ids) = match self {
            Self::All => (Some(-1), None),
            Self::Count(count) => (Some(i64::from(*count)), None),
            Self::These(ids) => (None, Some(ids.clone())),
        };
        let capabilities = Some(vec![vec!["gpu".to_owned()]]);
        DeviceRequest { count, device_ids, capabilities, ..DeviceRequest::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_asked_for_as_docker_run_does() {
        let request = |text: &str| text.parse::<Gpus>().unwrap().request();
        assert_eq!((request("all").count, request("2").count), (Some(-1), Some(2)));
        let these = request("device=0,2");
        assert_eq!((these.count, these.device_ids), (None, Some(vec!["0".to_owned(), "2".to_owned()])));
        assert_eq!(these.capabilities, Some(vec![vec!["gpu".to_owned()]]));
        for text in ["", "0", "-1", "some", "device=", "device=0,"] {
            assert!(text.parse::<Gpus>().is_err(), "{text}");
        }
    }
}
