//! The service as a whole: its API, tasks that finish, restarts, the program.

mod api;
mod finished;
mod program;
#[cfg(feature = "amqp")]
mod rabbitmq;
mod tester;
