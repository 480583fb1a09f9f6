//! What is allowed, but probably not meant.

use ipnet::IpNet;

use crate::{
    config::{
        Config, Diagnostic,
        schema::{NetworkDef, ZoneDef},
    },
    step::Exposure,
};

const PRIVATE: &[&str] = &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];

/// Private ranges that fall into an Internet-facing zone.
pub fn private_on_the_internet(config: &Config) -> Vec<Diagnostic> {
    let lines = || config.zones.iter().flat_map(|z| z.networks.iter().map(move |n| (z, n)));
    let facing = |z: &ZoneDef| z.exposure == Exposure::InternetFacing;
    let mut found = Vec::new();
    for private in PRIVATE.iter().filter_map(|p| p.parse::<IpNet>().ok()) {
        let around = lines().filter(|(_, n)| n.ports.is_empty() && n.net.contains(&private));
        let decides = around.max_by_key(|(_, n)| n.net.prefix_len()).filter(|(z, _)| facing(z));
        found.extend(decides.map(|(zone, line)| warning(zone, line, private)));
        let within = lines().filter(|(z, n)| facing(z) && private != n.net && private.contains(&n.net));
        found.extend(within.map(|(zone, line)| warning(zone, line, line.net)));
    }
    found
}

fn warning(zone: &ZoneDef, line: &NetworkDef, range: IpNet) -> Diagnostic {
    let message = format!("private range {range} falls into Internet-facing zone `{}`", zone.name.value);
    line.at.error(message).hint("list the range in a zone of its own if it is not on the Internet").warning()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(networks: &str) -> Vec<String> {
        let text = format!(
            "version: 1\nhost_zone: a\nzones:\n  - {{name: a, exposure: isolated, networks: [{networks}]}}\n  - \
             {{name: i, exposure: internet-facing, networks: [0.0.0.0/0, 10.5.0.0/16]}}\n"
        );
        let (config, errors) = Config::from_text("l.yaml", &text);
        assert!(errors.is_empty(), "{}", errors[0]);
        private_on_the_internet(&config).iter().map(|d| d.message.clone()).collect()
    }

    #[test]
    fn a_private_range_on_the_internet_is_worth_a_word() {
        assert_eq!(found("10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10").len(), 1);
        assert_eq!(found("10.0.0.0/8").len(), 4);
        assert_eq!(private_on_the_internet(&Config::embedded()).len(), 0);
    }
}
