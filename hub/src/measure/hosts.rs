//! Which hosts the hub asks for samples.
//!
//! Pure. Whoever writes a set names URLs, and the hub stands where they may not reach: an
//! installation can say which hosts are meant. Never resolves a name.

use std::str::FromStr;

use reqwest::Url;

/// One entry: `host`, `host:port` or `*.domain`, which is every name below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    name: String,
    port: Option<u16>,
}

/// Why a text is no entry.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no host; write a name, an address, host:port or *.domain, without http://")]
pub struct ParseHostError(String);

impl FromStr for Host {
    type Err = ParseHostError;

    fn from_str(text: &str) -> Result<Self, ParseHostError> {
        let wrong = || ParseHostError(text.to_owned());
        let bare = text.strip_prefix("*.").unwrap_or(text);
        // A URL's own rules make the name that URLs are compared by: case, IDNA, IPv6.
        let url = Url::parse(&format!("http://{bare}/")).map_err(|_| wrong())?;
        let rest = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
        if rest || !url.username().is_empty() || bare.ends_with('/') || bare.contains('*') {
            return Err(wrong());
        }
        let name = url.host_str().ok_or_else(wrong)?;
        let star = if bare.len() == text.len() { "" } else { "*." };
        // The port that http means stands in no URL, and an entry may name it all the same.
        let port = bare.rsplit_once(':').map(|(_, port)| port.parse());
        let port = port.and_then(Result::ok).or(url.port());
        Ok(Self {
            name: format!("{star}{name}"),
            port: port.filter(|_| !bare.ends_with(']')),
        })
    }
}

impl Host {
    fn is_of(&self, url: &Url) -> bool {
        let name = url.host_str().unwrap_or_default();
        let named = match self.name.strip_prefix('*') {
            Some(domain) => name.len() > domain.len() && name.ends_with(domain),
            None => name == self.name,
        };
        named
            && self
                .port
                .is_none_or(|port| url.port_or_known_default() == Some(port))
    }
}

/// Refuses a URL whose host is in no entry; without entries every host is asked.
pub(super) fn check(hosts: &[Host], url: &Url) -> Result<(), String> {
    if hosts.is_empty() || hosts.iter().any(|host| host.is_of(url)) {
        return Ok(());
    }
    Err(format!(
        "this hub does not ask {}: whoever operates it has to add the host to --analysis-hosts",
        url.host_str().unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entry: &str, url: &str) -> bool {
        let hosts = [entry.parse().unwrap()];
        check(&hosts, &Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn an_entry_is_a_host_a_port_of_one_or_all_below_a_domain() {
        for (entry, url, wanted) in [
            ("prom.example.com", "http://prom.example.com/api", true),
            ("prom.example.com", "https://PROM.example.com:9090/", true),
            (
                "prom.example.com",
                "http://prom.example.com.evil.org/",
                false,
            ),
            ("prom.example.com", "http://a.prom.example.com/", false),
            ("prom.example.com", "http://other/?prom.example.com", false),
            ("prom:9090", "http://prom:9090/", true),
            ("prom:9090", "http://prom/", false),
            ("prom:80", "http://prom/", true),
            ("prom:80", "https://prom/", false),
            ("prom:443", "https://prom/", true),
            ("*.example.com", "http://a.b.example.com/", true),
            ("*.example.com", "http://example.com/", false),
            ("*.example.com", "http://evil-example.com/", false),
            ("127.0.0.1", "http://127.1/", true),
            ("127.0.0.1", "http://169.254.169.254/", false),
            ("[::1]", "http://[::1]:9090/", true),
            ("[::1]:9090", "http://[::1]:9090/", true),
            ("[::1]:9090", "http://[::1]/", false),
        ] {
            assert_eq!(allowed(entry, url), wanted, "{entry} for {url}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "http://prom",
            "prom/",
            "prom/path",
            "a b",
            "me@prom",
            "*",
            "a.*.b",
            "prom:x",
            "prom?",
        ] {
            let error = text.parse::<Host>().unwrap_err();
            assert_eq!(error, ParseHostError(text.to_owned()));
        }
    }

    #[test]
    fn without_an_entry_every_host_is_asked() {
        assert_eq!(check(&[], &Url::parse("http://any/").unwrap()), Ok(()));
    }
}
