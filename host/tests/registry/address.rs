//! Addresses as operators write them.

use polaris2istio::registry::{Addresses, RegistryError};

fn check(text: &str, expected: Result<&str, &[&str]>) {
    match (text.parse::<Addresses>(), expected) {
        (Ok(addresses), Ok(shown)) => assert_eq!(addresses.to_string(), shown, "{text}"),
        (Err(error), Err(words)) => {
            let error = error.to_string();
            words.iter().for_each(|word| assert!(error.contains(word), "{text}: no `{word}` in: {error}"));
        }
        (parsed, expected) => panic!("{text}: {parsed:?} instead of {expected:?}"),
    }
}

#[test]
fn are_read() {
    check("polaris:8090", Ok("polaris:8090"));
    check("polaris", Ok("polaris:8091"));
    check(" http://polaris:18090/ ", Ok("http://polaris:18090"));
    check("10.0.0.1:8090,10.0.0.2:8091", Ok("10.0.0.1:8090,10.0.0.2:8091"));
    check("a:8090, b,,a:8090", Ok("a:8090,b:8091"));
    check("[2001:db8::1]:9", Ok("[2001:db8::1]:9"));
    check("[::1]", Ok("[::1]:8091"));
    check("https://polaris", Ok("https://polaris:443"));
    check("HTTPS://polaris:8090/,http://polaris", Ok("https://polaris:8090,http://polaris:8090"));
    check("grpc://polaris,grpcs://[::1]", Ok("grpc://polaris:8091,grpcs://[::1]:8091"));
}

#[test]
fn are_refused_with_the_remedy() {
    check("", Err(&["names no server", "polaris:8091"]));
    check("ftp://polaris:8090", Err(&["another scheme", "grpcs://"]));
    check("polaris:8090/naming", Err(&["path"]));
    check("polaris:port", Err(&["`port`", "1 to 65535"]));
    check("polaris:0", Err(&["`0`"]));
    check(":8090", Err(&["no host"]));
    check("::1", Err(&["brackets"]));
    check("[::1", Err(&["no `]`"]));
    check("[nonsense]:1", Err(&["no IPv6 address"]));
    check("[::1]8090", Err(&["follows the `]`"]));
    check("po laris:8090", Err(&["no host"]));
}

#[test]
fn never_repeat_a_password() {
    let error = "polaris:s3cret@host:8090".parse::<Addresses>().unwrap_err();
    assert!(matches!(error, RegistryError::Address { .. }));
    assert!(!error.to_string().contains("s3cret"), "{error}");
}
