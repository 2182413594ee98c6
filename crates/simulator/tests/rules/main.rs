//! The rules of the simulated world, one by one, driven through the ports without planner and blueprint.

mod cluster;
#[cfg(test)]
mod lab;
