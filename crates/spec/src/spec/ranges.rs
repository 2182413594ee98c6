//! Ranges of addresses and of ports.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A range of addresses such as `10.43.0.0/16`, kept with the address as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    /// The address before the slash.
    pub address: IpAddr,
    /// How many leading bits all addresses of the range share.
    pub prefix: u8,
}

/// Why a text is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACidr {
    /// There is no slash in it.
    #[error("it has no `/` with a prefix length")]
    NoPrefix,
    /// What stands before the slash is no address.
    #[error("`{0}` is no IP address")]
    NoAddress(String),
    /// What follows the slash is no number, or more than the address has bits.
    #[error("`{0}` is no prefix length from 0 to {1}")]
    BadPrefix(String, u8),
}

impl Cidr {
    /// Whether the address is in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && {
            let shift = self.bits() - u32::from(self.prefix);
            let cut = |address| number(address).checked_shr(shift).unwrap_or(0);
            cut(self.address) == cut(address)
        }
    }

    /// Whether an address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.prefix <= other.prefix { self.contains(other.address) } else { other.contains(self.address) }
    }

    /// The address at this distance from the range's first, if it is in the range; 1 gives `10.43.0.1`.
    pub fn nth(&self, distance: u32) -> Option<IpAddr> {
        let shift = self.bits() - u32::from(self.prefix);
        let first = number(self.address).checked_shr(shift).unwrap_or(0).checked_shl(shift).unwrap_or(0);
        let found = first.checked_add(u128::from(distance))?;
        let found = match self.address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(found).ok()?.into()),
            IpAddr::V6(_) => IpAddr::V6(found.into()),
        };
        self.contains(found).then_some(found)
    }

    /// How many bits an address of its family has.
    pub fn bits(&self) -> u32 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

impl FromStr for Cidr {
    type Err = NotACidr;

    fn from_str(text: &str) -> Result<Self, NotACidr> {
        let (address, prefix) = text.split_once('/').ok_or(NotACidr::NoPrefix)?;
        let address: IpAddr = address.parse().map_err(|_| NotACidr::NoAddress(address.to_owned()))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        match prefix.parse::<u8>() {
            Ok(prefix) if digits && prefix <= most => Ok(Self { address, prefix }),
            _ => Err(NotACidr::BadPrefix(prefix.to_owned(), most)),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A range of ports, both ends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// The first port; never zero.
    pub first: u16,
    /// The last port; never below the first.
    pub last: u16,
}

/// The text is no range of ports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no range of ports; the form is `30000-32767`")]
pub struct NotAPortRange(pub String);

impl FromStr for PortRange {
    type Err = NotAPortRange;

    /// Reads the forms of Kubernetes' port-range flags: `first-last`, `first+count` and a single port.
    fn from_str(text: &str) -> Result<Self, NotAPortRange> {
        let port = |text: &str| text.trim().parse::<u16>().ok();
        let ends = || {
            if let Some((first, last)) = text.split_once('-') {
                Some((port(first)?, port(last)?))
            } else if let Some((first, count)) = text.split_once('+') {
                let first = port(first)?;
                Some((first, first.checked_add(port(count)?)?))
            } else {
                Some((port(text)?, port(text)?))
            }
        };
        match ends() {
            Some((first, last)) if first > 0 && first <= last => Ok(Self { first, last }),
            _ => Err(NotAPortRange(text.to_owned())),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_knows_its_addresses() {
        let range: Cidr = "10.43.0.0/16".parse().unwrap();
        assert_eq!(range.nth(1).unwrap().to_string(), "10.43.0.1");
        assert_eq!(range.nth(65_536), None);
        assert!(range.contains("10.43.255.255".parse().unwrap()));
        assert!(!range.contains("10.44.0.0".parse().unwrap()));
        assert!(range.overlaps(&"10.43.7.0/24".parse().unwrap()));
        assert!(!range.overlaps(&"10.42.0.0/16".parse().unwrap()));
        let all: Cidr = "::/0".parse().unwrap();
        assert!(all.contains("fd00::1".parse().unwrap()));
        assert!(!all.contains("10.0.0.1".parse().unwrap()));
        assert_eq!(all.nth(1).unwrap().to_string(), "::1");
        assert_eq!("0.0.0.0/0".parse::<Cidr>().unwrap().nth(1).unwrap().to_string(), "0.0.0.1");
    }

    #[test]
    fn a_text_that_is_no_range_says_why() {
        let why = |text: &str| text.parse::<Cidr>().unwrap_err().to_string();
        assert_eq!(why("10.43.0.0"), "it has no `/` with a prefix length");
        assert_eq!(why("10.43.0/16"), "`10.43.0` is no IP address");
        assert_eq!(why("10.43.0.0/33"), "`33` is no prefix length from 0 to 32");
        assert_eq!(why("10.43.0.0/+8"), "`+8` is no prefix length from 0 to 32");
        assert_eq!(why("fd00::/129"), "`129` is no prefix length from 0 to 128");
    }

    #[test]
    fn port_ranges_come_in_three_forms() {
        let read = |text: &str| text.parse::<PortRange>().ok().map(|range| range.to_string());
        assert_eq!(read("30000-32767").unwrap(), "30000-32767");
        assert_eq!(read("30000+2767").unwrap(), "30000-32767");
        assert_eq!(read("30000").unwrap(), "30000-30000");
        for wrong in ["", "0-10", "10-5", "1-70000", "65535+1", "a-b", "1-2-3"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
