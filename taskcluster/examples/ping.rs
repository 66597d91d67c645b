//! The smallest program: is a deployment there, and who am I?
//!
//! ```sh
//! TASKCLUSTER_ROOT_URL=https://tc.example.com cargo run -p taskcluster --example ping
//! ```

use taskcluster::{Report, Taskcluster};

#[tokio::main]
async fn main() -> Result<(), Report> {
    let tc = Taskcluster::from_env()?;
    tc.queue().ping().await?;
    println!("{} is there", tc.root_url());
    match tc.caller().credentials() {
        Some(credentials) => println!("I am {}, with the scopes", credentials.client_id),
        None => println!("I am nobody, with the scopes"),
    }
    for scope in tc.auth().current_scopes().await?.scopes {
        println!("  {scope}");
    }
    Ok(())
}
