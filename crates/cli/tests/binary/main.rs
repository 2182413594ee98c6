//! The real binary on simulated machines: what it prints and writes, and its exit codes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail where it stands")]

mod documents;
mod etcd;
mod file;
mod formats;
mod includes;
mod input;
mod json;
mod lab;
mod places;
mod story;
