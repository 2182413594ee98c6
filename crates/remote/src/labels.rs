//! What windlass writes on the containers and images that it makes.

/// The spec of a container, as JSON: no secret is in it.
pub(crate) const SPEC: &str = "io.windlass.spec";
/// The arguments behind the spec's that counted only at the birth of its data, as JSON.
pub(crate) const BIRTH: &str = "io.windlass.birth";
/// The digests of the files that it read at its start, as JSON.
pub(crate) const LOADED: &str = "io.windlass.loaded";
/// On a container that goes as soon as it has answered: the run that it belongs to.
pub(crate) const TRANSIENT: &str = "io.windlass.transient";
/// On the image: the digest of the program in it.
pub(crate) const PROGRAM: &str = "io.windlass.program";
/// A file in a container's own layer: the digests of what a reload has read since. Labels cannot be changed, and
/// this goes with the container.
pub(crate) const RELOADED: &str = "/.windlass-reloaded.json";
