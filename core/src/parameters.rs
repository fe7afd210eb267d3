//! Parameters that the operator sets for these rules: by flags of the host that bear the same names where the host follows
//! the rule too, else as parameters of the module.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::Failure;
use crate::quote::quote;

/// Permits loopback addresses when `true`; for tests on one machine.
pub const ALLOW_LOOPBACK: &str = "allow-loopback";
/// Restricts endpoints to addresses inside these CIDRs, separated by commas.
pub const ADDRESS_CIDRS: &str = "address-cidrs";
/// Leaves instances with this metadata out: `KEY=VALUE`, several separated by commas.
pub const EXCLUDE_METADATA: &str = "exclude-metadata";
/// The metadata that names an instance's service account.
pub const SERVICE_ACCOUNT_METADATA: &str = "service-account-metadata";
/// The metadata that names an instance's network.
pub const NETWORK_METADATA: &str = "network-metadata";

/// All of them; any other is refused.
pub const NAMES: [&str; 5] =
    [ALLOW_LOOPBACK, ADDRESS_CIDRS, EXCLUDE_METADATA, SERVICE_ACCOUNT_METADATA, NETWORK_METADATA];

/// The parameters, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Whether loopback addresses may become endpoints.
    pub allow_loopback: bool,
    /// Where endpoints may be; empty for anywhere.
    pub address_cidrs: Vec<IpNet>,
    /// Instances with one of these are left out.
    pub exclude_metadata: Vec<(String, String)>,
    /// The metadata that names an instance's service account.
    pub service_account_metadata: Option<String>,
    /// The metadata that names an instance's network.
    pub network_metadata: Option<String>,
}

impl Parameters {
    /// Reads the parameters of a request.
    ///
    /// # Errors
    /// A failure that names the parameter, its value and the remedy, where one is unknown (it may be a typo, which must
    /// not pass in silence), given twice, or unreadable.
    pub fn read(pairs: &[(String, String)]) -> Result<Self, Failure> {
        let mut parameters = Self::default();
        for (position, (name, value)) in pairs.iter().enumerate() {
            if pairs[..position].iter().any(|(earlier, _)| earlier == name) {
                return Err(failure(name, value, "it is given twice", "give it once"));
            }
            match name.as_str() {
                ALLOW_LOOPBACK => {
                    parameters.allow_loopback = value.parse().map_err(|_| {
                        failure(name, value, "it is neither true nor false", "set it to true or false, or leave it out")
                    })?;
                }
                ADDRESS_CIDRS => parameters.address_cidrs = cidrs(name, value)?,
                EXCLUDE_METADATA => parameters.exclude_metadata = excluded(name, value)?,
                SERVICE_ACCOUNT_METADATA => parameters.service_account_metadata = Some(key(name, value)?),
                NETWORK_METADATA => parameters.network_metadata = Some(key(name, value)?),
                _ => {
                    return Err(failure(
                        name,
                        value,
                        "the default rules have no such parameter",
                        &format!("use one of {}, or remove it", NAMES.join(", ")),
                    ));
                }
            }
        }
        Ok(parameters)
    }

    /// Whether the CIDRs, if there are any, contain this address.
    pub fn permits(&self, address: IpAddr) -> bool {
        self.address_cidrs.is_empty() || self.address_cidrs.iter().any(|cidr| cidr.contains(&address))
    }

    /// The pair among an instance's metadata that keeps it out, if there is one.
    pub(crate) fn excludes<'a>(&self, metadata: &'a [(String, String)]) -> Option<&'a (String, String)> {
        if self.exclude_metadata.is_empty() {
            return None;
        }
        metadata.iter().find(|pair| self.exclude_metadata.contains(pair))
    }
}

fn excluded(name: &str, value: &str) -> Result<Vec<(String, String)>, Failure> {
    value
        .split(',')
        .map(|pair| match pair.trim().split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(failure(
                name,
                value,
                &format!("{} is not KEY=VALUE", quote(pair.trim())),
                "write pairs separated by commas, such as cluster=blue,stage=test, or leave it out",
            )),
        })
        .collect()
}

fn key(name: &str, value: &str) -> Result<String, Failure> {
    if value.trim().is_empty() {
        return Err(failure(name, value, "it names no metadata", "set it to the key of the metadata, or leave it out"));
    }
    Ok(value.trim().to_owned())
}

fn cidrs(name: &str, value: &str) -> Result<Vec<IpNet>, Failure> {
    value
        .split(',')
        .map(|cidr| {
            cidr.trim().parse().map_err(|_| {
                failure(
                    name,
                    value,
                    &format!("{} is not a CIDR", quote(cidr.trim())),
                    "write CIDRs separated by commas, such as 10.0.0.0/8,fd00::/8, or leave it out",
                )
            })
        })
        .collect()
}

fn failure(name: &str, value: &str, what: &str, remedy: &str) -> Failure {
    Failure { message: format!("parameter {} with value {}: {what}; {remedy}", quote(name), quote(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Parameters, String> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Parameters::read(&pairs).map_err(|failure| failure.message)
    }

    #[test]
    fn reads_what_it_knows() {
        assert_eq!(read(&[]), Ok(Parameters::default()));
        let parameters = read(&[("address-cidrs", "10.0.0.0/8, fd00::/8"), ("allow-loopback", "true")]).unwrap();
        assert!(parameters.allow_loopback);
        for (address, permitted) in [("10.1.2.3", true), ("11.1.2.3", false), ("fd00::1", true), ("fe00::1", false)] {
            assert_eq!(parameters.permits(address.parse().unwrap()), permitted, "{address}");
        }
    }

    #[test]
    fn reads_what_is_about_metadata() {
        let parameters = read(&[
            ("exclude-metadata", "cluster=blue, stage=a=b,empty="),
            ("service-account-metadata", "sa"),
            ("network-metadata", " net "),
        ])
        .unwrap();
        assert_eq!(parameters.service_account_metadata.as_deref(), Some("sa"));
        assert_eq!(parameters.network_metadata.as_deref(), Some("net"));
        for (key, value, excluded) in [
            ("cluster", "blue", true),
            ("cluster", "green", false),
            ("stage", "a=b", true),
            ("empty", "", true),
            ("other", "", false),
        ] {
            let metadata = [("first".to_owned(), String::new()), (key.to_owned(), value.to_owned())];
            assert_eq!(parameters.excludes(&metadata).is_some(), excluded, "{key}={value}");
        }
    }

    #[test]
    fn refuses_the_rest_by_name_value_and_remedy() {
        for (pairs, parts) in [
            (&[("allow-lopback", "true")][..], ["\"allow-lopback\"", "\"true\"", "no such parameter"]),
            (&[("allow-loopback", "yes")], ["\"allow-loopback\"", "\"yes\"", "neither true nor false"]),
            (&[("address-cidrs", "")], ["\"address-cidrs\"", "\"\"", "is not a CIDR"]),
            (
                &[("address-cidrs", "10.0.0.0/8,10.0.0.1")],
                ["\"address-cidrs\"", "\"10.0.0.1\" is not", "10.0.0.0/8,fd00::/8"],
            ),
            (&[("allow-loopback", "true"), ("allow-loopback", "false")], ["\"allow-loopback\"", "\"false\"", "twice"]),
            (&[("exclude-metadata", "a=b,c")], ["\"exclude-metadata\"", "\"c\" is not", "cluster=blue,stage=test"]),
            (&[("exclude-metadata", "=b")], ["\"exclude-metadata\"", "\"=b\" is not", "cluster=blue,stage=test"]),
            (&[("service-account-metadata", " ")], ["\"service-account-metadata\"", "\" \"", "names no metadata"]),
            (&[("network-metadata", "")], ["\"network-metadata\"", "\"\"", "names no metadata"]),
        ] {
            let message = read(pairs).unwrap_err();
            for part in parts {
                assert!(message.contains(part), "{message} lacks {part}");
            }
        }
    }
}
