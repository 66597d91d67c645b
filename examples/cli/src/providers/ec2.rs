//! Machines of Amazon EC2. As with artifacts in S3, options say where, and the environment as whom.

use anyhow::{Context as _, Result, bail};
use taskcluster_core::clock::SystemClock;
use taskcluster_core::transport::http::HttpTransport;
use taskcluster_provisioner::provider::ec2::{Ec2, Ec2Config};

use super::Asked;

/// The provider. Nobody is asked for anything yet.
pub(super) fn open(asked: &Asked, owner: &str) -> Result<Ec2> {
    let config = config(asked, |name| std::env::var(name).ok())?;
    let transport = HttpTransport::new().context("no requests can be sent to EC2")?;
    Ok(Ec2::new(config, owner, transport.into_transport(), SystemClock::shared())?)
}

/// What is asked for, and what the variables that all tools for AWS read say besides. Credentials are not in it: the provider takes
/// those of the environment, or those of the machine's role.
fn config(asked: &Asked, variable: impl Fn(&str) -> Option<String>) -> Result<Ec2Config> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let first = |names: [&str; 2]| names.into_iter().find_map(variable);
    let mut config = Ec2Config::default();
    config.regions = asked.all("region");
    if config.regions.is_empty() {
        config.regions.extend(first(["AWS_REGION", "AWS_DEFAULT_REGION"]));
    }
    if config.regions.is_empty() || config.regions.iter().any(String::is_empty) {
        bail!("ec2 needs a region: --provider ec2?region=us-west-2, or AWS_REGION");
    }
    let endpoint = asked.one("endpoint").map(str::to_owned);
    config.endpoint = endpoint.or_else(|| first(["AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL"]));
    if let Some(metadata) = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT") {
        metadata.trim_end_matches('/').clone_into(&mut config.metadata);
    }
    if let Some(dry_run) = asked.one("dry_run") {
        config.dry_run = dry_run.parse().context("dry_run of ec2 is true or false")?;
    }
    for text in asked.all("on_demand") {
        let (region, instance_type, price) = on_demand(&text)?;
        config.on_demand_prices.entry(region).or_default().insert(instance_type, price);
    }
    Ok(config)
}

/// What an hour of a machine on demand costs: `us-west-2/c5.large/0.085`.
fn on_demand(text: &str) -> Result<(String, String, f64)> {
    let read = || {
        let [region, instance_type, price]: [&str; 3] = text.split('/').collect::<Vec<_>>().try_into().ok()?;
        let price = price.parse::<f64>().ok().filter(|price| price.is_finite() && *price >= 0.0)?;
        Some((region.to_owned(), instance_type.to_owned(), price))
    };
    read().with_context(|| format!("{text:?} is no price on demand, such as us-west-2/c5.large/0.085"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Ec2Config> {
        config(&text.parse().unwrap(), |wanted| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn options_win_over_the_environment() {
        let variables = [("AWS_REGION", "eu-north-1"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:5000")];
        let plain = read("ec2", &variables).unwrap();
        assert_eq!(
            (plain.regions, plain.endpoint.as_deref()),
            (vec!["eu-north-1".to_owned()], Some("http://127.0.0.1:5000"))
        );
        assert!(plain.dry_run);
        let said = "ec2?region=us-west-2&region=us-east-1&endpoint=https://ec2.example&dry_run=false";
        let said = read(said, &variables).unwrap();
        assert_eq!(
            (&*said.regions, said.endpoint.as_deref()),
            (&["us-west-2", "us-east-1"].map(str::to_owned)[..], Some("https://ec2.example"))
        );
        assert!(!said.dry_run);
    }

    #[test]
    fn machines_on_demand_have_the_price_that_is_said() {
        let said = read("ec2?region=r&on_demand=r/c5.large/0.085&on_demand=r/m5.large/0.1", &[]).unwrap();
        assert_eq!(said.on_demand_prices["r"], [("c5.large".to_owned(), 0.085), ("m5.large".to_owned(), 0.1)].into());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("ec2", "needs a region"),
            ("ec2?region=", "needs a region"),
            ("ec2?region=r&dry_run=no", "dry_run"),
            ("ec2?region=r&on_demand=r/c5.large", "no price"),
            ("ec2?region=r&on_demand=r/c5.large/-1", "no price"),
        ] {
            let error = read(text, &[]).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
