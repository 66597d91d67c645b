//! The program is killed while it works, again and again, and the broker that it publishes to ends and comes back; what
//! was acknowledged stands, and what happened is told. Workers are killed as well, and leave nothing.

#[cfg(feature = "amqp")]
mod broker;
mod chance;
mod graphs;
mod history;
mod provisioner;
mod two_provisioners;
mod under_load;
mod workers;
