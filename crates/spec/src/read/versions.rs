//! The newest version of each minor version: what to write in the place of one without its last number.

/// The newest of each, oldest minor version first. A test of the blueprint compares them with its catalog.
const NEWEST: [&str; 30] = [
    "v1.8.11-rancher2-1",
    "v1.9.7-rancher2-2",
    "v1.10.12-rancher1-1",
    "v1.11.9-rancher1-3",
    "v1.12.10-rancher1-2",
    "v1.13.12-rancher2-1",
    "v1.14.10-rancher1-1",
    "v1.15.12-rancher2-8",
    "v1.16.15-rancher1-4",
    "v1.17.17-rancher2-4",
    "v1.18.20-rancher1-3",
    "v1.19.16-rancher2-1",
    "v1.20.15-rancher2-2",
    "v1.21.14-rancher1-1",
    "v1.22.17-rancher1-2",
    "v1.23.16-rancher2-3",
    "v1.24.17-rancher1-1",
    "v1.25.16-rancher2-3",
    "v1.26.15-rancher1-1",
    "v1.27.16-rancher1-1",
    "v1.28.15-rancher1-1",
    "v1.29.15-rancher1-1",
    "v1.30.14-rancher1-1",
    "v1.31.14-rancher1-1",
    "v1.32.13-rancher1-2",
    "v1.33.13",
    "v1.34.10",
    "v1.35.9",
    "v1.36.4",
    "v1.37.2",
];

/// The newest version of the minor version that a text begins with, such as `v1.28`, `1.28` or `v1.28.x`.
pub fn newest_version(text: &str) -> Option<&'static str> {
    let mut numbers = text.trim_start_matches(['v', 'V']).split(['.', '-', '+']);
    let minor = format!("v{}.{}.", numbers.next()?, numbers.next()?);
    NEWEST.into_iter().find(|newest| newest.starts_with(&minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_without_its_last_number_has_a_newest_one() {
        for text in ["v1.28", "1.28", "v1.28.x", "v1.28.15+rke2r1", "1.28-latest"] {
            assert_eq!(newest_version(text), Some("v1.28.15-rancher1-1"), "{text}");
        }
        for text in ["", "v1", "latest", "v1.7", "v1.280", "2.1"] {
            assert_eq!(newest_version(text), None, "{text}");
        }
    }
}
