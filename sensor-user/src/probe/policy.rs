//! What the kernel decides by, as data and as maps. A generation of it is put in force as a whole: no call is judged by half
//! of the old lines and half of the new.

use std::collections::BTreeMap;

use aya::{
    Ebpf,
    maps::{
        Array, HashMap, MapData, MapError, PerCpuArray,
        lpm_trie::{Key, LpmTrie},
    },
};
use sensor_abi::policy::{
    ClassKey, Denied, GENERATION_BITS, NetworkKey, NetworkZone, PlaceKey, ZONES, denied_index, fence, mode,
};

use super::attach::{AttachError, take};

/// What verdicts do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is decided.
    #[default]
    Off,
    /// It is said what would be refused.
    Observe,
    /// It is refused.
    Enforce,
}

/// All that the kernel needs to know to decide. Zones are numbers; generations are the business of [`Policy`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// By prefix: bits of the address, v4 ones mapped, and the address.
    pub networks: BTreeMap<(u32, [u32; 4]), NetworkZone>,
    /// Control groups, network namespaces and users that are of a class: (kind, id) to class.
    pub classes: BTreeMap<(u32, u64), u32>,
    /// Processes by the classes of their control group, network namespace and user.
    pub places: BTreeMap<[u32; 3], u32>,
    /// What may not go from one zone to another. Pairs that are not there may pass.
    pub denied: BTreeMap<(u32, u32), Denied>,
}

/// The maps.
pub struct Policy {
    network: LpmTrie<MapData, NetworkKey, NetworkZone>,
    class: HashMap<MapData, ClassKey, u32>,
    place: HashMap<MapData, PlaceKey, u32>,
    denied: Array<MapData, Denied>,
    fence: Array<MapData, u64>,
    verdict: PerCpuArray<MapData, u64>,
    transfer: HashMap<MapData, u64, u64>,
    generation: u32,
    epoch: u64,
    /// In force are `tables`. It never falls, so that verdicts by others are told anew.
    tables: Tables,
    told: [u64; 2],
}

impl Policy {
    /// Takes the maps. Nothing is decided yet.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self, AttachError> {
        Ok(Self {
            network: take(ebpf, "NETWORK")?,
            class: take(ebpf, "CLASS")?,
            place: take(ebpf, "PLACE")?,
            denied: take(ebpf, "DENIED")?,
            fence: take(ebpf, "FENCE")?,
            verdict: take(ebpf, "VERDICT")?,
            transfer: take(ebpf, "TRANSFER")?,
            generation: 0,
            epoch: 0,
            tables: Tables::default(),
            told: [0; 2],
        })
    }

    /// What verdicts do from now on.
    pub fn set_mode(&mut self, wanted: Mode) -> Result<(), MapError> {
        let word = match wanted {
            Mode::Off => mode::OFF,
            Mode::Observe => mode::OBSERVE,
            Mode::Enforce => mode::ENFORCE,
        };
        // What waited while nothing was decided may be long gone.
        if self.fence.get(&fence::MODE, 0)? == mode::OFF {
            let threads: Vec<u64> = self.transfer.keys().collect::<Result<_, _>>()?;
            threads.iter().try_for_each(|thread| self.transfer.remove(thread))?;
        }
        self.fence.set(fence::MODE, word, 0)
    }

    /// Other rules may be in force: verdicts are told anew.
    pub fn tell_anew(&mut self) -> Result<(), MapError> {
        self.epoch += 1;
        self.fence.set(fence::EPOCH, self.epoch, 0)
    }

    /// Calls of this thread of the agent are refused; of none with 0.
    pub fn set_test(&mut self, thread: u32) -> Result<(), MapError> {
        self.fence.set(fence::TEST, u64::from(thread), 0)
    }

    /// Puts tables in force. What only concerns colours is changed in place. When the kernel takes not all of it, the old
    /// ones stay.
    pub fn put(&mut self, new: Tables) -> Result<(), MapError> {
        if new == self.tables {
            return Ok(());
        }
        let same_zones = |a: &Tables, b: &Tables| {
            a.networks == b.networks
                && a.classes == b.classes
                && a.places == b.places
                && a.denied.keys().eq(b.denied.keys())
        };
        if same_zones(&new, &self.tables) {
            self.put_denied(&new, self.generation, Some(&self.tables.clone()))?;
        } else {
            self.put_all(&new)?;
        }
        self.tables = new;
        Ok(())
    }

    /// What was in force before stays until the next time: a program that runs may still look at it.
    fn put_all(&mut self, new: &Tables) -> Result<(), MapError> {
        self.clear()?;
        let generation = self.generation.wrapping_add(1);
        for ((bits, address), zone) in &new.networks {
            self.network.insert(&network_key(generation, *bits, *address), zone, 0)?;
        }
        for ((kind, id), class) in &new.classes {
            self.class.insert(ClassKey { id: *id, kind: *kind, generation }, class, 0)?;
        }
        for (classes, zone) in &new.places {
            self.place.insert(place_key(generation, *classes), zone, 0)?;
        }
        self.put_denied(new, generation, None)?;
        self.fence.set(fence::GENERATION, u64::from(generation), 0)?;
        self.generation = generation;
        Ok(())
    }

    /// What is not in `new` may pass.
    fn put_denied(&mut self, new: &Tables, generation: u32, old: Option<&Tables>) -> Result<(), MapError> {
        for (from, to) in (0..ZONES).flat_map(|from| (0..ZONES).map(move |to| (from, to))) {
            let wanted = new.denied.get(&(from, to)).copied().unwrap_or_default();
            let stands = old.map(|old| old.denied.get(&(from, to)).copied().unwrap_or_default());
            if stands != Some(wanted) {
                self.denied.set(denied_index(generation, from, to), wanted, 0)?;
            }
        }
        Ok(())
    }

    /// Removes what is of another generation than the one in force.
    fn clear(&mut self) -> Result<(), MapError> {
        let keys: Vec<_> = self.network.keys().collect::<Result<_, _>>()?;
        for key in keys.iter().filter(|key| key.data().generation != self.generation) {
            self.network.remove(key)?;
        }
        let keys: Vec<_> = self.class.keys().collect::<Result<_, _>>()?;
        for key in keys.iter().filter(|key| key.generation != self.generation) {
            self.class.remove(key)?;
        }
        let keys: Vec<_> = self.place.keys().collect::<Result<_, _>>()?;
        for key in keys.iter().filter(|key| key.generation != self.generation) {
            self.place.remove(key)?;
        }
        Ok(())
    }

    /// A colour is about to be given to another dump: it may pass nowhere where any dump may not.
    pub fn forget_colour(&mut self, colour: u32) -> Result<(), MapError> {
        let mut tables = self.tables.clone();
        for denied in tables.denied.values_mut() {
            for set in [&mut denied.send, &mut denied.open] {
                let (word, bit) = ((colour / 64 % 4) as usize, 1 << (colour % 64));
                if set.has(sensor_abi::mark::MANY) {
                    set.words[word] |= bit;
                } else {
                    set.words[word] &= !bit;
                }
            }
        }
        self.put(tables)
    }

    /// Verdicts since the last call: those that were only said, and refusals.
    pub fn new_verdicts(&mut self) -> [u64; 2] {
        let total = [0, 1].map(|index| self.verdict.get(&index, 0).map_or(0, |cpus| cpus.iter().sum()));
        let new = [0, 1].map(|i: usize| total[i].saturating_sub(self.told[i]));
        self.told = total;
        new
    }
}

const fn network_key(generation: u32, bits: u32, address: [u32; 4]) -> Key<NetworkKey> {
    Key::new(GENERATION_BITS + bits, NetworkKey { generation, address })
}

const fn place_key(generation: u32, [cgroup, netns, user]: [u32; 3]) -> PlaceKey {
    PlaceKey { cgroup, netns, user, generation }
}
