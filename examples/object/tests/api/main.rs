//! The methods of the service, by the client of the SDK. What is said of the storage holds for a folder, and for a bucket where
//! `TEST_S3` is the address of a server, as the tests of service-kit describe it.

mod downloads;
mod expiry;
mod tester;
mod uploads;
