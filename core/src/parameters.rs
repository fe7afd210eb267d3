//! What the operator sets for these rules, by flags of the host that bear the same names.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::Failure;
use crate::quote::quote;

/// Permits loopback addresses when `true`; for tests on one machine.
pub const ALLOW_LOOPBACK: &str = "allow-loopback";
/// Restricts endpoints to addresses inside these CIDRs, separated by commas.
pub const ADDRESS_CIDRS: &str = "address-cidrs";

/// All of them; any other is refused.
pub const NAMES: [&str; 2] = [ALLOW_LOOPBACK, ADDRESS_CIDRS];

/// The parameters, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Whether loopback addresses may become endpoints.
    pub allow_loopback: bool,
    /// Where endpoints may be; empty for anywhere.
    pub address_cidrs: Vec<IpNet>,
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
                _ => {
                    return Err(failure(
                        name,
                        value,
                        "the default rules have no such parameter",
                        "use allow-loopback or address-cidrs, or remove it",
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
        ] {
            let message = read(pairs).unwrap_err();
            for part in parts {
                assert!(message.contains(part), "{message} lacks {part}");
            }
        }
    }
}
