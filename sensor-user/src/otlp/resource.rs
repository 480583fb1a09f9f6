//! The resource: the agent itself, never the actor of a step.

use std::collections::BTreeMap;

/// What the agent knows about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `host.id`, the same as in NDJSON.
    pub host_id: String,
    /// `host.name`.
    pub host_name: String,
    /// `service.version`.
    pub version: String,
}

/// Attributes of the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    pairs: BTreeMap<String, String>,
    /// What was wrong with `OTEL_RESOURCE_ATTRIBUTES`: it was ignored as a whole, as the specification wants.
    pub ignored: Option<String>,
}

impl Attributes {
    /// The identity, completed from `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`. The environment wins, but for
    /// `host.id`: trails of several hosts are joined by it.
    pub fn new(identity: &Identity, env: impl Fn(&str) -> Option<String>) -> Self {
        let mut pairs = BTreeMap::from([
            ("service.name".to_owned(), "dumptrail".to_owned()),
            ("service.version".to_owned(), identity.version.clone()),
            ("host.name".to_owned(), identity.host_name.clone()),
        ]);
        let ignored = match parse(&env("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default()) {
            Ok(more) => {
                pairs.extend(more);
                None
            }
            Err(why) => Some(why),
        };
        pairs.extend(env("OTEL_SERVICE_NAME").filter(|n| !n.is_empty()).map(|n| ("service.name".to_owned(), n)));
        pairs.insert("host.id".to_owned(), identity.host_id.clone());
        Self { pairs, ignored }
    }

    /// Keys and values, in the order of the keys.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
}

/// `key=value,key=value`, values percent-encoded.
fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    text.split(',').filter(|part| !part.trim().is_empty()).map(one).collect()
}

fn one(part: &str) -> Result<(String, String), String> {
    let (key, value) = part.split_once('=').ok_or_else(|| format!("`{part}` has no `=`"))?;
    let key = decode(key.trim()).ok_or_else(|| format!("the key `{key}` is not percent-encoded UTF-8"))?;
    let value = decode(value.trim()).ok_or_else(|| format!("the value of `{key}` is not percent-encoded UTF-8"))?;
    if key.is_empty() { Err(format!("`{part}` has no key")) } else { Ok((key, value)) }
}

/// Undoes percent-encoding.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'%' { hex(bytes.next()?)? << 4 | hex(bytes.next()?)? } else { byte });
    }
    String::from_utf8(out).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|d| d as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(env: &[(&str, &str)]) -> Attributes {
        let identity = Identity { host_id: "id".into(), host_name: "name".into(), version: "1".into() };
        Attributes::new(&identity, |key| env.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn the_environment_adds_and_overrides_all_but_the_host_id() {
        let env = [
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x, k8s.node.name=n%201,host.id=evil,host.name=h2"),
            ("OTEL_SERVICE_NAME", "sensor"),
        ];
        let attributes = attributes(&env);
        let pairs: Vec<_> = attributes.pairs().collect();
        assert_eq!(
            pairs,
            [
                ("host.id", "id"),
                ("host.name", "h2"),
                ("k8s.node.name", "n 1"),
                ("service.name", "sensor"),
                ("service.version", "1")
            ]
        );
        assert_eq!(attributes.ignored, None);
    }

    #[test]
    fn a_malformed_variable_is_ignored_as_a_whole_and_said() {
        for text in ["a=1,b", "a=%zz", "a=%e", "=1", "a=%ff"] {
            let attributes = attributes(&[("OTEL_RESOURCE_ATTRIBUTES", text)]);
            assert_eq!(attributes.pairs().count(), 4, "{text}");
            assert!(attributes.ignored.is_some(), "{text}");
        }
    }
}
