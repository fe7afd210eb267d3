//! Names of the registry as names of Kubernetes and of DNS. A registry takes nearly anything for a name; what is none here is
//! made one, the same way always: lower case, other characters become `-`, and a hash of the original is appended where
//! anything was changed. So what is valid stays as it is, and two names that look alike after the change still differ.

use sha2::{Digest, Sha256};

/// The longest label of a name.
const LABEL: usize = 63;
/// The longest name.
const NAME: usize = 253;
/// Hexadecimal digits of a hash, and the hyphen before it.
const HASH: usize = 10;
const SUFFIX: usize = HASH + 1;
/// How often a part that is too long within its template is made shorter.
const TRIES: usize = 4;

/// A template such as `{service}.{namespace}.polaris` for a service; `None` if what it makes can be no name.
pub fn render(template: &str, service: &str, namespace: &str) -> Option<String> {
    let (mut label, mut name) = (LABEL, NAME);
    for _ in 0..TRIES {
        let parts = [part(service, label, name), part(namespace, label, name)];
        let rendered = fill(template, &parts[0], &parts[1]);
        let labels_over = rendered.split('.').map(|label| label.len().saturating_sub(LABEL)).max().unwrap_or_default();
        let over = rendered.len().saturating_sub(NAME);
        if labels_over == 0 && over == 0 {
            return is_name(&rendered).then_some(rendered);
        }
        // The parts are made shorter; what the template itself says stays.
        let longest = parts.iter().flat_map(|part| part.split('.')).map(str::len).max().unwrap_or_default();
        let longest_part = parts.iter().map(String::len).max().unwrap_or_default();
        (label, name) = (label.min(longest.saturating_sub(labels_over)), name.min(longest_part.saturating_sub(over)));
    }
    None
}

/// Fills in both at once, so that a name which looks like a placeholder is none.
fn fill(template: &str, service: &str, namespace: &str) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some(begin) = rest.find('{') {
        filled.push_str(&rest[..begin]);
        rest = &rest[begin..];
        let (value, length) = if rest.starts_with("{service}") {
            (service, "{service}".len())
        } else if rest.starts_with("{namespace}") {
            (namespace, "{namespace}".len())
        } else {
            ("{", 1)
        };
        filled.push_str(value);
        rest = &rest[length..];
    }
    filled.push_str(rest);
    filled
}

/// A name as a part of another, with labels and as a whole of at most so many characters.
fn part(text: &str, label: usize, name: usize) -> String {
    let fits = text.len() <= name && text.split('.').all(|part| part.len() <= label);
    if fits && is_name(text) { text.into() } else { changed(text, label, name) }
}

/// A valid name for one that is not, or that is too long.
fn changed(text: &str, label: usize, name: usize) -> String {
    let lower = text.to_ascii_lowercase();
    let plain: String = lower.chars().map(|c| if is_plain(c) || c == '.' { c } else { '-' }).collect();
    let cut = |part: &str| {
        let part = part.trim_matches('-');
        part[..part.len().min(label.saturating_sub(SUFFIX))].trim_end_matches('-').to_owned()
    };
    let labels: Vec<_> = plain.split('.').map(cut).filter(|part| !part.is_empty()).collect();
    let joined = labels.join(".");
    let joined = joined[..joined.len().min(name.saturating_sub(SUFFIX))].trim_end_matches(['-', '.']);
    let hash = hash(text);
    if joined.is_empty() { format!("s-{hash}") } else { format!("{joined}-{hash}") }
}

fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(HASH / 2).map(|byte| format!("{byte:02x}")).collect()
}

fn is_plain(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

/// Whether a text is a name of Kubernetes and a host of DNS, but for its length.
fn is_name(text: &str) -> bool {
    text.split('.').all(|label| {
        !label.is_empty() && label.chars().all(is_plain) && !label.starts_with('-') && !label.ends_with('-')
    })
}

/// Whether istiod takes a name for a host: one whose last label is a number would be an address.
pub fn is_host(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|last| !last.chars().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[track_caller]
    fn check(template: &str, service: &str, expected: &str) {
        assert_eq!(render(template, service, "default").as_deref(), Some(expected), "{service}");
    }

    #[test]
    fn valid_names_stay_as_they_are() {
        check("{service}", "reviews", "reviews");
        check("{service}", "com.example.cart", "com.example.cart");
        check("{service}.{namespace}.polaris", "reviews", "reviews.default.polaris");
        check("svc-{service}", "0", "svc-0");
        let longest = "a".repeat(63);
        check("{service}", &longest, &longest);
    }

    #[test]
    fn other_names_get_a_hash() {
        check("{service}", "Reviews", "reviews-84cb7871b7");
        check("{service}.polaris", "a/b:c_d", "a-b-c-d-6f174c01a9.polaris");
        check("{service}", "订单", "s-3d5436ea23");
        check("{service}", "", "s-e3b0c44298");
        check("{service}", "..", "s-5ec1f7e700");
        check("{service}", "{namespace}", "namespace-6336296aba");
        check("{service}", "-a-", "a-a75a468f2c");
    }

    #[test]
    fn long_ones_are_cut_to_fit_their_template() {
        let long = "a".repeat(128);
        for template in ["{service}", "{service}.polaris", "prefix-{service}-suffix.polaris", "{service}.{service}.x"] {
            let made = render(template, &long, "default").unwrap();
            assert!(
                made.len() <= NAME && made.split('.').all(|label| label.len() <= LABEL) && is_name(&made),
                "{made}"
            );
            assert_ne!(Some(made), render(template, &"a".repeat(127), "default"));
        }
        assert_eq!(
            render(&format!("{}{{service}}", "x".repeat(64)), "a", "default"),
            None,
            "its own label is too long"
        );
    }

    #[test]
    fn an_address_is_no_host() {
        assert!(is_host("a.b") && is_host("1.a1") && !is_host("10.0.0.1") && !is_host("a.7"));
    }

    /// Hostile names of a kind that registries hold, all different.
    fn names() -> impl Iterator<Item = String> {
        let alphabet = ["a", "A", "b", "-", ".", "/", ":", "_", "ä", "Ä", "务", "{service}", " ", "0"];
        let of = move |length: u32| {
            (0..alphabet.len().pow(length)).map(move |mut number| {
                (0..length)
                    .map(|_| {
                        let letter = alphabet[number % alphabet.len()];
                        number /= alphabet.len();
                        letter
                    })
                    .collect::<String>()
            })
        };
        let long = (1..100).flat_map(|length| [format!("{}x", "a".repeat(30 + length)), "A".repeat(30 + length)]);
        (0..=4).flat_map(of).chain(long)
    }

    #[test]
    fn is_total_and_no_two_names_become_one() {
        for template in ["{service}", "{service}.{namespace}.polaris", "x-{service}-y.polaris"] {
            let mut made = BTreeMap::new();
            for name in names() {
                let rendered = render(template, &name, "Default").unwrap_or_else(|| panic!("{template}: {name}"));
                assert!(is_name(&rendered) && rendered.len() <= NAME, "{rendered}");
                assert!(rendered.split('.').all(|label| label.len() <= LABEL), "{rendered}");
                assert_eq!(render(template, &name, "Default"), Some(rendered.clone()), "the same always");
                if is_name(&name) && name.len() <= 40 && template == "{service}" {
                    assert_eq!(rendered, name, "valid names stay");
                }
                if let Some(other) = made.insert(rendered, name.clone()) {
                    panic!("{template}: {other:?} and {name:?} become one");
                }
            }
        }
    }
}
