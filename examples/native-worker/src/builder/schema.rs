//! The schema of payloads, which no option changes.

use serde_json::Value;
use taskcluster_worker::plugins::{
    Artifacts, ChainOfTrust, Env, ExitStatus, Interactive, MaxRunTime, MaxSilence, Mounts, Proxy,
};
use taskcluster_worker::{Engine, PayloadPart, PayloadSchema, Plugin};

use super::NativeWorker;
use crate::engine::NativeEngine;
use crate::isolation::Isolation;
use crate::payload::{KeptLog, ReadableLog};

impl NativeWorker {
    /// The schema of the payloads that native workers take.
    ///
    /// # Panics
    /// Never: the parts are known to fit together.
    #[must_use]
    pub fn payload_schema() -> Value {
        let engine = NativeEngine::new("/", Isolation::None);
        let parts: [(&str, PayloadPart); 12] = [
            (engine.name(), engine.payload()),
            (Env::default().name(), Env::default().payload()),
            (MaxRunTime::default().name(), MaxRunTime::default().payload()),
            (ExitStatus::default().name(), ExitStatus::default().payload()),
            ("mounts", Mounts::payload_part()),
            (Artifacts::default().name(), Artifacts::default().payload()),
            (Proxy::default().name(), Proxy::default().payload()),
            (MaxSilence::default().name(), MaxSilence::default().payload()),
            ("task-log", PayloadPart::of::<KeptLog>()),
            ("live-log", PayloadPart::of::<ReadableLog>()),
            ("interactive", Interactive::payload_part()),
            ("chain-of-trust", ChainOfTrust::new(None).payload()),
        ];
        PayloadSchema::compose(parts).expect("the parts fit together").as_value().clone()
    }
}
