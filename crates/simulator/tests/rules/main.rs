//! The rules of the simulated world, one by one, driven through the ports without planner and blueprint.

// Each module is marked as a test, so that its helpers may `unwrap` as its tests may.
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod docker;
#[cfg(test)]
mod etcd;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod files;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod kubernetes;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod worldfile;
