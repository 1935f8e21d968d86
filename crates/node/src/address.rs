//! A relay's address: an origin as people type it, made one way to write it.

/// A relay's origin, normalised: scheme and host in lower case, no default
/// port, no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    origin: String,
}

impl Address {
    /// The origin in `text`: `http://` or `https://`, a host (a name in ASCII,
    /// an IPv4 address or an IPv6 address in brackets), perhaps a port, perhaps
    /// one final slash. Anything more (user, path, query) is refused.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://")?;
        let default_port = match scheme {
            "http" => 80,
            "https" => 443u16,
            _ => return None,
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (host, after) = v6.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                match after {
                    "" => (&authority[..host.len() + 2], None),
                    _ => (&authority[..host.len() + 2], Some(after.strip_prefix(':')?)),
                }
            }
            None => {
                let (host, port) = match authority.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (authority, None),
                };
                (is_host(host).then_some(host)?, port)
            }
        };
        let port = match port {
            None => default_port,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse::<u16>().ok()?
            }
            Some(_) => return None,
        };
        let origin = match port {
            0 => return None,
            port if port == default_port => format!("{scheme}://{host}"),
            port => format!("{scheme}://{host}:{port}"),
        };
        Some(Self { origin })
    }

    /// Where nodes connect: `http` becomes `ws`, `https` becomes `wss`.
    pub(crate) fn socket_url(&self) -> String {
        let (scheme, rest) = self.origin.split_at(4);
        debug_assert_eq!(scheme, "http");
        format!("ws{rest}/v1/node")
    }

    /// The origin.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253 && host.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |text, origin, socket| {
            let address = Address::parse(text).expect(text);
            assert_eq!((address.origin(), address.socket_url().as_str()), (origin, socket));
        };
        check("http://127.0.0.1:8090", "http://127.0.0.1:8090", "ws://127.0.0.1:8090/v1/node");
        check(" HTTPS://Grid.Example/ ", "https://grid.example", "wss://grid.example/v1/node");
        check("https://grid.example:443", "https://grid.example", "wss://grid.example/v1/node");
        check(
            "http://grid.example:443",
            "http://grid.example:443",
            "ws://grid.example:443/v1/node",
        );
        check("http://[::1]:80/", "http://[::1]", "ws://[::1]/v1/node");
        check("http://[::1]:81", "http://[::1]:81", "ws://[::1]:81/v1/node");
    }

    #[test]
    fn no_addresses() {
        for text in [
            "",
            "grid.example",
            "ftp://grid.example",
            "http://",
            "http:///",
            "http://a..b",
            "http://a b",
            "http://user@host",
            "http://user:pass@host",
            "http://host/path",
            "http://host?query",
            "http://host#part",
            "http://host:0",
            "http://host:65536",
            "http://host:+80",
            "http://host:",
            "http://[::1",
            "http://[::1]80",
            "http://[zz]",
            "http://münchen.example",
            "http://host//",
        ] {
            assert_eq!(Address::parse(text), None, "{text:?}");
        }
    }
}
