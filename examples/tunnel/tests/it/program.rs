//! The program.

use std::process::Command;

fn output(arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taskcluster-tunnel"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TC_TUNNEL_")) {
        command.env_remove(name);
    }
    let output = command.args(arguments).envs(variables.iter().copied()).output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn it_checks_its_configuration() {
    let (fine, text) = output(&["check-config"], &[]);
    assert!(!fine && text.contains("secret is not set"), "{text}");
    let secret = ("TC_TUNNEL_SECRET", "very-secret");
    let (fine, text) = output(&["check-config", "--public-url", "https://tunnel.example"], &[secret]);
    assert!(fine && text.contains("https://tunnel.example") && !text.contains("very-secret"), "{text}");
    let (fine, text) = output(&["check-config"], &[secret, ("TC_TUNNEL_FORMER_SECRE", "x")]);
    assert!(!fine && text.contains("`former_secret`"), "{text}");
}
