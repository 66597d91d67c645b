//! What every provider has to do.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use http::{Request, Response};
use serde_json::{Value, json};
use taskcluster_core::clock::SystemClock;
use taskcluster_core::transport::{Body, Transport, TransportError, TransportErrorKind};
use taskcluster_provisioner::provider::contract::{Subject, check};
use taskcluster_provisioner::provider::ec2::Ec2;
use taskcluster_provisioner::provider::{Provider, Sighting};
use taskcluster_provisioner::worker_type::Definition;
use tokio::sync::Mutex;
use tower::service_fn;

use crate::moto::{Moto, definition};

struct Machines {
    moto: Moto,
    transport: Transport,
}

/// Moto as EC2 is: a launch with the token of an earlier one is that one.
fn with_tokens(moto: &Transport) -> Transport {
    let (moto, known) = (moto.clone(), Arc::<Mutex<HashMap<String, Vec<u8>>>>::default());
    Transport::new(service_fn(move |request: Request<Body>| {
        let (moto, known) = (moto.clone(), Arc::clone(&known));
        async move {
            let (parts, body) = request.into_parts();
            let body = body.into_bytes().expect("queries are no streams");
            let token = url::form_urlencoded::parse(&body).find(|(name, _)| name == "ClientToken");
            let token = token.map(|(_, token)| token.into_owned());
            let request = Request::from_parts(parts, Body::from(body));
            let Some(token) = token else { return moto.send(request).await };
            let mut known = known.lock().await;
            if let Some(answer) = known.get(&token) {
                return Ok(Response::new(Body::from(answer.clone())));
            }
            let (parts, body) = moto.send(request).await?.into_parts();
            let broken = |error| TransportError::new(TransportErrorKind::Interrupted, error);
            let body = body.collect(1 << 20).await.map_err(broken)?;
            if parts.status.is_success() {
                known.insert(token, body.to_vec());
            }
            Ok(Response::from_parts(parts, Body::from(body)))
        }
    }))
}

impl Machines {
    fn of(&self, provisioner: &str) -> Box<dyn Provider> {
        let config = self.moto.config(|_| {});
        Box::new(Ec2::new(config, provisioner, self.transport.clone(), SystemClock::shared()).unwrap())
    }
}

#[async_trait]
impl Subject for Machines {
    async fn provider(&self) -> Box<dyn Provider> {
        self.of("contract")
    }

    async fn stranger(&self) -> Box<dyn Provider> {
        self.of("stranger")
    }

    fn lasting(&self) -> Definition {
        definition(|_| {})
    }

    /// Machines of moto go on for ever.
    fn passing(&self) -> Option<Definition> {
        None
    }

    fn useless(&self) -> Definition {
        definition(|sent| sent["provider"]["launchSpec"] = json!({"UserData": "x"}))
    }

    /// Moto has none who could be told.
    async fn told(&self, _: &Sighting) -> Option<Value> {
        None
    }
}

#[tokio::test]
async fn ec2_keeps_the_contract() {
    let Some(moto) = Moto::start().await else { return };
    let transport = with_tokens(&moto.transport);
    check(&Machines { moto, transport }).await;
}
