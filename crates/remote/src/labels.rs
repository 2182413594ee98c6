//! The labels of containers for single requests and of windlass' own image; the engine defines those of
//! components.

/// On a container that is removed as soon as it has answered: its run.
pub(crate) const TRANSIENT: &str = "io.windlass.transient";
/// On the container that keeps the lease of a run: which command, process and machine, and since when.
pub(crate) const OPERATOR: &str = "io.windlass.operator";
/// On the image: the digest of the program in it.
pub(crate) const PROGRAM: &str = "io.windlass.program";
/// A file in a container's own layer: the digests of what a reload has read since. Labels cannot be changed,
/// and this file is deleted with the container.
pub(crate) const RELOADED: &str = "/.windlass-reloaded.json";
