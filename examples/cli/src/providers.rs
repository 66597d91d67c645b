//! `up --provider`: where workers of worker types come from, besides processes of this machine.
//!
//! What is asked for is read in every build, so that one without the provider can say which one has it: few people who try a deployment
//! need what speaks to Docker or to Amazon. Nothing of it can be said by definitions of worker types.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use service_kit::data_dir::DataDir;
use taskcluster_provisioner::provider::Providers;
use url::{Host, Url, form_urlencoded};

#[cfg(feature = "docker")]
mod docker;
#[cfg(feature = "ec2")]
mod ec2;
mod owner;

pub(crate) use owner::of as owner;

/// A kind of provider that is not always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Docker,
    Ec2,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Docker, Self::Ec2];

    /// As definitions name it, and the feature that has it.
    fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Ec2 => "ec2",
        }
    }

    /// What can be said of it.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["host", "network", "volume"],
            Self::Ec2 => &["dry_run", "endpoint", "on_demand", "region"],
        }
    }

    /// What helps where its workers do not find a deployment on loopback.
    fn way_out(self) -> &'static str {
        match self {
            Self::Docker => "`--public-url` with an address that they reach, or `--provider docker?network=host`",
            Self::Ec2 => "`--public-url` with an address that they reach",
        }
    }

    fn is_built(self) -> bool {
        match self {
            Self::Docker => cfg!(feature = "docker"),
            Self::Ec2 => cfg!(feature = "ec2"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A provider that is asked for: `docker`, or with options as the query of a URL has them, `docker?network=host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    kind: Kind,
    options: Vec<(String, String)>,
}

impl Asked {
    /// Everything that is said by this name, in its order.
    #[cfg(any(test, feature = "docker", feature = "ec2"))]
    fn all(&self, option: &str) -> Vec<String> {
        self.options.iter().filter(|(name, _)| name == option).map(|(_, value)| value.clone()).collect()
    }

    /// What is said by this name; of several, the last.
    fn one(&self, option: &str) -> Option<&str> {
        self.options.iter().rev().find(|(name, _)| name == option).map(|(_, value)| &**value)
    }

    /// Whether its workers see the network as this program does. Where the engine is another machine's it is that one's network.
    fn is_at_home(&self) -> bool {
        self.kind == Kind::Docker && self.one("network") == Some("host")
    }

    /// With this provider as well.
    fn add_to(&self, providers: Providers, data: &DataDir) -> Result<Providers> {
        let _ = data;
        match self.kind {
            #[cfg(feature = "docker")]
            Kind::Docker => Ok(providers.with(docker::open(self, &owner(data)?)?)),
            #[cfg(not(feature = "docker"))]
            Kind::Docker => Ok(providers),
            #[cfg(feature = "ec2")]
            Kind::Ec2 => Ok(providers.with(ec2::open(self, &owner(data)?)?)),
            #[cfg(not(feature = "ec2"))]
            Kind::Ec2 => Ok(providers),
        }
    }
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, query) = text.split_once('?').unwrap_or((text, ""));
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == name) else {
            return Err(format!("there are docker and ec2; {name:?} is neither"));
        };
        let options: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        match options.iter().find(|(name, _)| !kind.options().contains(&&**name)) {
            Some((name, _)) => Err(format!("{kind} has no option {name:?}, only {}", kind.options().join(", "))),
            None => Ok(Self { kind, options }),
        }
    }
}

/// Refuse what cannot be had, before anything is started.
///
/// # Errors
/// A provider is asked for twice, or this build does not have it.
pub(crate) fn check(asked: &[Asked]) -> Result<()> {
    for (index, Asked { kind, .. }) in asked.iter().enumerate() {
        if asked[..index].iter().any(|before| before.kind == *kind) {
            bail!("--provider {kind} is said twice; say all its options at once");
        }
        if !kind.is_built() {
            bail!(
                "this build has no provider {kind}: cargo run --features {kind} --bin taskcluster -- up --provider {kind}"
            );
        }
    }
    Ok(())
}

/// These providers and those that are asked for. What they need of their own is kept in the data folder.
///
/// # Errors
/// What is said of one of them is of no use.
pub(crate) fn open(asked: &[Asked], providers: Providers, data: &DataDir) -> Result<Providers> {
    asked.iter().try_fold(providers, |providers, asked| asked.add_to(providers, data))
}

/// A line for each kind whose workers will not find the deployment at this root URL, which is one of this machine alone.
pub(crate) fn out_of_reach(asked: &[Asked], root_url: &str) -> Vec<String> {
    let away = asked.iter().filter(|asked| is_local(root_url) && !asked.is_at_home());
    away.map(|Asked { kind, .. }| {
        format!("Workers of the kind {kind} do not find {root_url} from where they are; they do by {}.", kind.way_out())
    })
    .collect()
}

fn is_local(root_url: &str) -> bool {
    let Ok(url) = Url::parse(root_url) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Asked {
        text.parse().expect("it can be asked for")
    }

    #[test]
    fn a_provider_is_said_with_its_options() {
        let docker = asked("docker?network=host&volume=/srv/a%26b&volume=/srv/c");
        assert_eq!((docker.kind, docker.one("network"), docker.one("host")), (Kind::Docker, Some("host"), None));
        assert_eq!(docker.all("volume"), ["/srv/a&b", "/srv/c"]);
        assert_eq!(asked("ec2"), Asked { kind: Kind::Ec2, options: Vec::new() });
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("", "there are docker and ec2"),
            ("gcp?zone=a", "\"gcp\" is neither"),
            ("docker?region=us-west-2", "docker has no option \"region\", only host, network, volume"),
            ("ec2?=x", "ec2 has no option \"\""),
        ] {
            let error = text.parse::<Asked>().expect_err(text);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_kind_is_asked_for_once_and_a_build_without_it_says_which_one_has_it() {
        assert!(check(&[]).is_ok());
        for kind in Kind::ALL {
            let one = asked(kind.name());
            let checked = check(std::slice::from_ref(&one));
            assert_eq!(checked.is_ok(), kind.is_built());
            if let Err(error) = checked {
                assert!(error.to_string().contains(&format!("--features {kind}")), "{error}");
            } else {
                let error = check(&[one.clone(), one]).expect_err("it is said twice").to_string();
                assert!(error.contains("twice"), "{error}");
            }
        }
    }

    #[test]
    fn loopback_is_reached_by_what_shares_it() {
        let lines = |asked: &[Asked], url: &str| out_of_reach(asked, url).len();
        let all = [asked("docker"), asked("ec2?region=us-west-2")];
        for local in ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080", "http://0.0.0.0:8080"] {
            assert_eq!(lines(&all, local), 2, "{local}");
        }
        assert_eq!(lines(&all, "https://ci.example.com"), 0);
        assert_eq!(lines(&[asked("docker?network=host")], "http://127.0.0.1:8080"), 0);
    }
}
