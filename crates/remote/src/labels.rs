//! What windlass writes on containers for single requests and on its image; the labels of components are the engine's.

/// On a container that goes as soon as it has answered: the run that it belongs to.
pub(crate) const TRANSIENT: &str = "io.windlass.transient";
/// On the image: the digest of the program in it.
pub(crate) const PROGRAM: &str = "io.windlass.program";
/// A file in a container's own layer: the digests of what a reload has read since. Labels cannot be changed, and
/// this goes with the container.
pub(crate) const RELOADED: &str = "/.windlass-reloaded.json";
