//! Where Zoom is: one place for each of its clouds, and which other host may be given a bearer token.

use engine_api::Cloud;
use url::Url;

/// One of Zoom's clouds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where the API is.
    pub api: Url,
    /// Where people consent, and tokens are handed out.
    pub oauth: Url,
}

/// All of Zoom's clouds.
#[derive(Debug, Clone)]
pub struct Places {
    /// `zoom.us`, or what the operator set in its place.
    pub commercial: Place,
    /// `zoomgov.com`, or what the operator set in its place.
    pub government: Place,
}

/// The domains below which all hosts are Zoom's own.
const OWN_DOMAINS: [&str; 2] = ["zoom.us", "zoomgov.com"];

impl Places {
    pub(super) fn of(&self, cloud: Cloud) -> &Place {
        match cloud {
            Cloud::Commercial => &self.commercial,
            Cloud::Government => &self.government,
        }
    }
}

impl Place {
    /// Where the API is for an account whose token answer names the host `told`.
    ///
    /// The bearer token goes to Zoom's own hosts or to what the operator set, and nowhere else: an answer that was
    /// tampered with must not lead it away. An operator who set another address, a proxy for one, keeps it.
    ///
    /// # Errors
    ///
    /// The host that was told, where it is not followed although it is another one.
    pub(super) fn api_for(&self, told: Option<&str>) -> Result<Url, Refused> {
        let Some(told) = told.filter(|told| !told.is_empty()) else {
            return Ok(self.api.clone());
        };
        let Ok(told) = Url::parse(told) else {
            return Err(Refused("no URL".to_owned()));
        };
        if told.origin() == self.api.origin() {
            return Ok(self.api.clone());
        }
        if is_own(&told) && is_own(&self.api) {
            // The host alone: what stands behind it is not ours to follow.
            let mut api = told;
            api.set_path("");
            api.set_query(None);
            api.set_fragment(None);
            return Ok(api);
        }
        Err(Refused(told.host_str().unwrap_or("no host").to_owned()))
    }
}

/// A host that a token answer names and that is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused(pub(super) String);

fn is_own(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let below = |domain: &str| {
        host.strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    url.scheme() == "https"
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && OWN_DOMAINS.iter().any(|domain| below(domain))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(api: &str) -> Place {
        Place {
            api: api.parse().unwrap(),
            oauth: "https://zoom.us".parse().unwrap(),
        }
    }

    fn followed(api: &str, told: &str) -> Result<String, String> {
        let api = place(api).api_for(Some(told));
        api.map(|url| url.to_string()).map_err(|Refused(host)| host)
    }

    #[test]
    fn regional_and_government_hosts_of_zooms_own_are_followed() {
        let zoom = "https://api.zoom.us";
        for host in ["api-eu.zoom.us", "api-au.zoom.us", "api.zoomgov.com", "zoom.us"] {
            let told = format!("https://{host}");
            assert_eq!(followed(zoom, &told), Ok(format!("{told}/")));
        }
        assert_eq!(
            followed(zoom, "https://api-eu.zoom.us/v2?x=1#y"),
            Ok("https://api-eu.zoom.us/".to_owned())
        );
        assert_eq!(followed(zoom, ""), Ok("https://api.zoom.us/".to_owned()));
    }

    #[test]
    fn no_other_host_is_given_the_token() {
        for told in [
            "https://zoom.us.evil.example",
            "https://evilzoom.us",
            "https://api.zoom.us@evil.example",
            "https://user@api-eu.zoom.us",
            "http://api-eu.zoom.us",
            "https://api-eu.zoom.us:8443",
            "https://127.0.0.1",
            "ftp://api.zoom.us",
            "not a url",
        ] {
            assert!(followed("https://api.zoom.us", told).is_err(), "{told}");
        }
        // What the operator set stays, whatever Zoom says.
        let own = "https://zoom-proxy.example.com/base";
        assert!(followed(own, "https://api-eu.zoom.us").is_err());
        assert_eq!(
            followed(own, "https://zoom-proxy.example.com"),
            Ok(own.to_owned())
        );
    }

    proptest! {
        #[test]
        fn whatever_is_told_the_token_stays_at_zoom_or_the_operators_place(told in ".{0,60}", host in "[a-z.:/@#?0-9-]{0,30}") {
            let place = place("https://api.zoom.us");
            for told in [told.clone(), format!("https://{host}"), format!("https://{host}zoom.us{host}")] {
                if let Ok(url) = place.api_for(Some(&told)) {
                    prop_assert!(is_own(&url), "{told} led to {url}");
                    let host = url.host_str().unwrap();
                    prop_assert!(host == "zoom.us" || host.ends_with(".zoom.us")
                        || host == "zoomgov.com" || host.ends_with(".zoomgov.com"));
                }
            }
        }
    }
}
