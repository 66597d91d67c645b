//! `taskcluster up --provider`: tasks come, workers appear elsewhere, do them, and go, also where they are taken away meanwhile.

use crate::bad_input::complaint;
use crate::fixture::Fixture;

#[cfg(feature = "docker")]
mod docker;
#[cfg(feature = "ec2")]
mod ec2;
#[cfg(any(feature = "docker", feature = "ec2"))]
mod gated;

fn refused(provider: &str) -> String {
    let fixture = Fixture::empty();
    let data = fixture.data();
    complaint(&fixture, &["up", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap(), "--provider", provider])
}

#[test]
fn a_provider_that_there_is_none_of_is_one_line() {
    let line = refused("azure");
    assert!(line.contains("there are docker and ec2"), "{line}");
    let line = refused("docker?netwrok=host");
    assert!(line.contains("docker has no option \"netwrok\""), "{line}");
}

#[cfg(not(feature = "docker"))]
#[test]
fn a_build_without_docker_says_which_one_has_it() {
    let line = refused("docker");
    assert!(line.contains("--features docker"), "{line}");
}

#[cfg(not(feature = "ec2"))]
#[test]
fn a_build_without_ec2_says_which_one_has_it() {
    let line = refused("ec2?region=us-west-2");
    assert!(line.contains("--features ec2"), "{line}");
}
