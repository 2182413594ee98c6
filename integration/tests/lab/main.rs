//! The binary on real hosts: what is claimed of windlass, each claim in a lab of its own.
//!
//! One program for all of them, so that two labs may run at once: a test mostly waits for leases, boots and
//! elections. Those that measure how soon something answers have the machine for themselves.
#![expect(clippy::print_stderr, reason = "a test of minutes tells how far it is")]

mod access;
mod addons;
mod available;
mod bad_worlds;
mod bucket;
mod cluster;
mod disks;
mod dockershim;
mod etcd_care;
mod etcd_user;
mod external_etcd;
mod hosts;
mod interrupted;
mod ledger;
mod members;
mod ports;
mod restore;
mod s3_server;
mod upgrade;
mod zero_downtime;
