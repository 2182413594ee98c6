//! The command lines of `windlass-node snapshots` and `windlass-node snapshot`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::etcd::Access;
use crate::snapshots::name;

/// What both have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) access: Access,
    pub(crate) directory: PathBuf,
}

/// `windlass-node snapshots`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rolling {
    pub(crate) target: Target,
    pub(crate) every: Duration,
    /// How many periodic snapshots are kept; never zero.
    pub(crate) keep: usize,
    /// Where copies are kept; none where only on the disk.
    pub(crate) copied: Option<Copied>,
}

/// Where copies of snapshots are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copied {
    /// The file that describes the bucket.
    pub(crate) description: PathBuf,
    /// The name of the member that gives the snapshots.
    pub(crate) member: String,
}

/// `windlass-node snapshot`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Once {
    pub(crate) target: Target,
    /// The name of the file.
    pub(crate) name: String,
}

/// What is wrong with a command line.
pub(crate) type Wrong = String;

pub(crate) fn rolling(arguments: &[OsString]) -> Result<Rolling, Wrong> {
    let mut flags = Flags::read(arguments)?;
    let (every, keep) = (flags.take("every")?, flags.take("keep")?);
    let every =
        span(&every).ok_or_else(|| format!("--every={every} is no span of time such as 12h or 90m"))?;
    let keep = match keep.parse() {
        Ok(keep) if keep > 0 => keep,
        _ => return Err(format!("--keep={keep} is no number from 1 on")),
    };
    let copied = match (flags.maybe("bucket"), flags.maybe("member")) {
        (Some(description), Some(member)) => Some(Copied { description: description.into(), member }),
        (None, None) => None,
        (Some(_), None) => return Err("--bucket needs --member".to_owned()),
        (None, Some(_)) => return Err("--member needs --bucket".to_owned()),
    };
    Ok(Rolling { target: flags.target()?, every, keep, copied })
}

pub(crate) fn once(arguments: &[OsString]) -> Result<Once, Wrong> {
    let mut flags = Flags::read(arguments)?;
    let name = name::requested(&flags.take("name")?)?;
    Ok(Once { target: flags.target()?, name })
}

/// Flags of the form `--name=value`.
struct Flags(BTreeMap<String, String>);

impl Flags {
    fn read(arguments: &[OsString]) -> Result<Self, Wrong> {
        let mut flags = BTreeMap::new();
        for argument in arguments {
            let argument = argument.to_string_lossy();
            let (name, value) = argument
                .strip_prefix("--")
                .and_then(|flag| flag.split_once('='))
                .ok_or_else(|| format!("`{argument}` is no flag of the form --name=value"))?;
            if flags.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(format!("--{name} is given twice"));
            }
        }
        Ok(Self(flags))
    }

    fn maybe(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }

    fn take(&mut self, name: &str) -> Result<String, Wrong> {
        let value = self.maybe(name);
        value.ok_or_else(|| format!("--{name} is missing"))
    }

    /// The common flags; there must be no others.
    fn target(mut self) -> Result<Target, Wrong> {
        let endpoints = self.take("endpoints")?;
        let target = Target {
            access: Access {
                endpoints: endpoints.split(',').map(ToOwned::to_owned).collect(),
                authority: self.take("cacert")?.into(),
                certificate: self.take("cert")?.into(),
                key: self.take("key")?.into(),
            },
            directory: self.take("directory")?.into(),
        };
        match self.0.keys().next() {
            Some(unknown) => Err(format!("there is no flag --{unknown}")),
            None => Ok(target),
        }
    }
}

/// `12h`, `90m` or `30s`; never zero.
fn span(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = number.parse::<u64>().ok()?.checked_mul(seconds)?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: [&str; 5] = [
        "--directory=/backup",
        "--endpoints=https://a:2379,https://b:2379",
        "--cacert=ca",
        "--cert=c",
        "--key=k",
    ];

    fn words(own: &[&str], common: &[&str]) -> Vec<OsString> {
        own.iter().chain(common).map(OsString::from).collect()
    }

    #[test]
    fn the_flags_of_the_container_are_understood() {
        let found = rolling(&words(&["--every=12h", "--keep=6"], &COMMON)).unwrap();
        assert_eq!((found.every.as_secs(), found.keep), (43_200, 6));
        assert_eq!(found.target.access.endpoints, ["https://a:2379", "https://b:2379"]);
        assert_eq!(found.target.directory, PathBuf::from("/backup"));
        assert_eq!(found.copied, None);
        let copied = rolling(&words(&["--every=12h", "--keep=6", "--bucket=/s3", "--member=a"], &COMMON));
        let expected = Copied { description: "/s3".into(), member: "a".to_owned() };
        assert_eq!(copied.unwrap().copied, Some(expected));
        assert_eq!(once(&words(&["--name=mine"], &COMMON)).unwrap().name, "mine.db");
    }

    #[test]
    fn what_is_wrong_with_them_is_said() {
        let wrong = [
            rolling(&words(&[], &COMMON)).unwrap_err(),
            rolling(&words(&["--every=12", "--keep=6"], &COMMON)).unwrap_err(),
            rolling(&words(&["--every=0h", "--keep=6"], &COMMON)).unwrap_err(),
            rolling(&words(&["--every=é", "--keep=6"], &COMMON)).unwrap_err(),
            rolling(&words(&["--every=12h", "--keep=0"], &COMMON)).unwrap_err(),
            rolling(&words(&["--every=12h", "--keep=6", "--quiet=1"], &COMMON)).unwrap_err(),
            rolling(&words(&["--every=12h", "--every=12h", "--keep=6"], &COMMON)).unwrap_err(),
            rolling(&words(&["--every=12h", "--keep=6", "--bucket=/s3"], &COMMON)).unwrap_err(),
            rolling(&words(&["--every=12h", "--keep=6"], &COMMON[..4])).unwrap_err(),
            rolling(&words(&["--every", "12h"], &COMMON)).unwrap_err(),
            once(&words(&["--name=../x"], &COMMON)).unwrap_err(),
        ];
        assert_eq!(
            wrong.join("\n"),
            "--every is missing
--every=12 is no span of time such as 12h or 90m
--every=0h is no span of time such as 12h or 90m
--every=é is no span of time such as 12h or 90m
--keep=0 is no number from 1 on
there is no flag --quiet
--every is given twice
--bucket needs --member
--key is missing
`--every` is no flag of the form --name=value
a snapshot's name is made of letters, digits and `-_.+`, and begins with none of `.-`"
        );
    }
}
