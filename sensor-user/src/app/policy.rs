//! From zones, rules that block and the births of dumps to the tables by which the kernel decides. Pure.

use std::collections::BTreeMap;

use ipnet::IpNet;
use sensor_abi::{
    mark::{COLOURS, MANY, MarkSet},
    policy::{CLASSES, Denied, GENERATIONS, NETWORKS, NetworkZone, PLACES, PORTS, SENDER, ZONES},
};

use crate::{
    clock::Time,
    probe::policy::Tables,
    rules::{
        Ruleset,
        block::{Act, Question},
    },
    step::{DumpKind, Place},
    zones::{
        Zones,
        table::{Named, Prefix, Whose},
    },
};

/// Numbers and places of zones; number 0 is what no line says.
#[derive(Clone, Debug)]
struct Numbers(Vec<Place>);

impl Numbers {
    fn of(zones: &Zones) -> Result<Self, String> {
        let mut places = vec![Place::unknown()];
        places.extend(zones.places().filter(|place| place.zone != Place::unknown().zone).cloned());
        if places.len() > ZONES as usize {
            return Err(format!("rules that block can tell {} zones apart, there are {}", ZONES - 1, places.len() - 1));
        }
        Ok(Self(places))
    }

    fn number(&self, place: &Place) -> u32 {
        self.known(place).unwrap_or(0)
    }

    /// None of a zone that no line defines any more.
    fn known(&self, place: &Place) -> Option<u32> {
        self.0.iter().position(|other| other.zone == place.zone).map(|number| number as u32)
    }

    fn all(&self) -> impl Iterator<Item = (u32, &Place)> {
        self.0.iter().enumerate().map(|(number, place)| (number as u32, place))
    }
}

/// What may not go where, asked of the rules once.
struct Forbidden<'a> {
    ruleset: &'a Ruleset,
    now: Time,
    by_from: bool,
    by_kind: bool,
    known: &'a mut Known,
    numbers: Numbers,
}

/// Answers of the rules, by numbers of zones. They hold until rules or zones are others, or an exception ends.
pub(super) type Known = BTreeMap<(Act, u32, DumpKind, u32, u32), bool>;

impl<'a> Forbidden<'a> {
    fn new(ruleset: &'a Ruleset, known: &'a mut Known, numbers: Numbers, now: Time) -> Self {
        let (by_from, by_kind) = (ruleset.blocks_by("from"), ruleset.blocks_by("dump.kind"));
        Self { ruleset, now, by_from, by_kind, known, numbers }
    }

    fn asks(&mut self, act: Act, (origin, kind): (u32, DumpKind), from: u32, to: u32) -> bool {
        // What no rule looks at is asked once.
        let kind = if self.by_kind { kind } else { DumpKind::Unknown };
        let from = if self.by_from && act == Act::Send { from } else { 0 };
        let places = &self.numbers.0;
        let question =
            Question { origin: &places[origin as usize], kind, from: &places[from as usize], to: &places[to as usize] };
        let (ruleset, now) = (self.ruleset, self.now);
        *self.known.entry((act, origin, kind, from, to)).or_insert_with(|| ruleset.forbids(act, &question, now))
    }

    /// True when some dump may not go there: that is what holds for one of which nothing is known yet.
    fn any(&mut self, act: Act, from: u32, to: u32) -> bool {
        let origins = 0..self.numbers.0.len() as u32;
        let kinds: &[DumpKind] = if self.by_kind { DumpKind::ALL } else { &[DumpKind::Unknown] };
        let mut all = origins.flat_map(|origin| kinds.iter().map(move |kind| (origin, *kind)));
        all.any(|dump| self.asks(act, dump, from, to))
    }

    /// The colours that may not go from one zone to another. `told` has the origin and kind behind each colour that has one.
    fn colours(&mut self, act: Act, told: &BTreeMap<u32, (u32, DumpKind)>, from: u32, to: u32) -> MarkSet {
        let mut set =
            if self.any(act, from, to) { MarkSet { words: [u64::MAX; 4] } } else { return MarkSet::default() };
        for (colour, dump) in told.iter().filter(|(colour, _)| **colour != MANY && **colour < COLOURS) {
            if !self.asks(act, *dump, from, to) {
                set.words[(colour / 64) as usize] &= !(1 << (colour % 64));
            }
        }
        set
    }
}

/// What the tables are made of.
pub(super) struct Facts<'a> {
    pub(super) zones: &'a Zones,
    pub(super) ruleset: &'a Ruleset,
    pub(super) named: &'a Named,
    /// Colours, and the origin and kind of the dump that has each.
    pub(super) dumps: &'a [(u32, Place, DumpKind)],
    pub(super) now: Time,
}

/// Puts them together, or says what of the configuration the kernel has no room for.
pub(super) fn tables(facts: &Facts<'_>, answers: &mut Known) -> Result<Tables, String> {
    let numbers = Numbers::of(facts.zones)?;
    let processes = facts.zones.processes(facts.named);
    // One of a zone that is not defined any more is as one that is not told: it goes nowhere where some dump may not.
    let known = |(colour, origin, kind): &(u32, Place, DumpKind)| Some((*colour, (numbers.known(origin)?, *kind)));
    let told = facts.dumps.iter().filter_map(known).collect();
    let networks = facts.zones.prefixes().iter().map(|prefix| network(&numbers, prefix)).collect::<Result<_, _>>()?;
    let places = processes.places.iter().map(|(classes, place)| (*classes, numbers.number(place))).collect();
    let pairs: Vec<(u32, u32)> =
        numbers.all().flat_map(|(from, _)| numbers.all().map(move |(to, _)| (from, to))).collect();
    let mut forbidden = Forbidden::new(facts.ruleset, answers, numbers, facts.now);
    let mut denied = |(from, to): (u32, u32)| {
        let send = forbidden.colours(Act::Send, &told, from, to);
        let open = if from == 0 { forbidden.colours(Act::Open, &told, from, to) } else { MarkSet::default() };
        ((from, to), Denied { send, open })
    };
    let denied = pairs.into_iter().map(&mut denied).collect();
    let tables = Tables { networks, classes: processes.classes, places, denied };
    let has_room = |(what, there, most): (&str, usize, u32)| {
        let generations = most / GENERATIONS;
        let fits = there <= generations as usize;
        fits.then_some(())
            .ok_or_else(|| format!("with rules that block there can be {generations} {what}, there are {there}"))
    };
    [
        ("networks", tables.networks.len(), NETWORKS),
        ("control groups, network namespaces and users in zones", tables.classes.len(), CLASSES),
        ("combinations of those", tables.places.len(), PLACES),
    ]
    .into_iter()
    .try_for_each(has_room)?;
    Ok(tables)
}

/// A prefix as the kernel looks it up.
fn network(numbers: &Numbers, prefix: &Prefix) -> Result<((u32, [u32; 4]), NetworkZone), String> {
    let number = |whose: &Whose| match whose {
        Whose::Zone(place) => numbers.number(place) as u8,
        Whose::Sender => SENDER,
    };
    if prefix.ports.len() > PORTS {
        return Err(format!("with rules that block a network can list {PORTS} ports, {} has more", prefix.net));
    }
    let mut zone = NetworkZone { zone: number(&prefix.whose), ..NetworkZone::default() };
    for (n, (port, whose)) in prefix.ports.iter().enumerate() {
        (zone.ports[n], zone.zones[n]) = (*port, number(whose));
    }
    Ok((key(prefix.net), zone))
}

/// Length and address of a prefix as one of v6.
fn key(net: IpNet) -> (u32, [u32; 4]) {
    let (bits, octets) = match net {
        IpNet::V4(v4) => (96 + u32::from(v4.prefix_len()), v4.addr().to_ipv6_mapped().octets()),
        IpNet::V6(v6) => (u32::from(v6.prefix_len()), v6.addr().octets()),
    };
    let word = |n: usize| u32::from_ne_bytes([octets[4 * n], octets[4 * n + 1], octets[4 * n + 2], octets[4 * n + 3]]);
    (bits, [0, 1, 2, 3].map(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, rules, samples::place, step::Exposure, zones::HostFacts};

    const CONFIG: &str = r#"version: 1
host_zone: prod
shipped_rules: false
zones:
  - {name: prod, exposure: isolated, networks: [10.0.0.0/8]}
  - {name: lab, exposure: internal, networks: [{cidr: 192.0.2.0/24, ports: [22]}], workloads: [{cgroup: /lab}]}
  - {name: net, exposure: internet-facing, networks: [0.0.0.0/0, '::/0']}
rules:
  - {id: r, title: T, severity: low, when: 'origin.zone == "prod" && to.exposure == "internet-facing"', actions: [block]}
"#;

    fn made(dumps: &[(u32, Place, DumpKind)]) -> Tables {
        let (config, findings) = Config::from_text("t.yaml", CONFIG);
        let loaded = rules::compiled(config, findings).unwrap();
        let zones = Zones::new(&loaded.config, &|_| None, &HostFacts::default());
        let named = Named { cgroups: vec![(77, "/lab".to_owned())], users: Vec::new() };
        let (ruleset, now) = (&*loaded.ruleset, crate::samples::NOON);
        tables(&Facts { zones: &zones, ruleset, named: &named, dumps, now }, &mut Known::new()).unwrap()
    }

    #[test]
    fn addresses_are_numbers_of_zones() {
        let tables = made(&[]);
        let at = |net: &str| tables.networks[&key(net.parse().unwrap())];
        assert_eq!(
            (at("10.0.0.0/8").zone, at("0.0.0.0/0").zone, at("::/0").zone, at("127.0.0.0/8").zone),
            (1, 3, 3, SENDER)
        );
        let lab = at("192.0.2.0/24");
        assert_eq!((lab.zone, lab.ports[0], lab.zones[0]), (3, 22, 2), "its ports alone are in the zone");
        assert_eq!(key("10.0.0.0/8".parse().unwrap()).0, 104);
        assert_eq!((tables.places[&[0, 0, 0]], tables.places[&[1, 0, 0]]), (1, 2));
        assert_eq!(tables.classes[&(0, 77)], 1);
    }

    #[test]
    fn a_dump_goes_where_the_rules_let_its_origin_go() {
        let (prod, lab) = (place("prod", Exposure::Isolated), place("lab", Exposure::Internal));
        let tables = made(&[(1, prod, DumpKind::KernelCore), (200, lab, DumpKind::KernelCore)]);
        let send = |to| tables.denied[&(1, to)].send;
        assert!(send(3).has(1) && !send(3).has(200), "by the zone of its birth");
        assert!(send(3).has(7) && send(3).has(MANY), "one that is not told goes nowhere where some may not");
        let gone = (9, place("gone", Exposure::Internal), DumpKind::KernelCore);
        assert!(made(&[gone]).denied[&(1, 3)].send.has(9), "of a zone that is not defined any more");
        assert!(send(1).is_empty() && send(2).is_empty() && send(0).is_empty());
        assert!(tables.denied[&(0, 3)].open.has(1) && tables.denied[&(1, 3)].open.is_empty());
    }
}
