//! The victim of the demonstration: a signing service whose memory holds a key (a fake one) and a cache, and which has a
//! bug. The demonstration compiles it, starts it, and lets it crash.

use std::hint::black_box;

/// As much as makes a core of one to three megabytes that does not compress away.
const CACHE: usize = 1_500_000;

struct Signer {
    key: String,
    cache: Vec<u8>,
    last: *const u8,
}

fn main() {
    let signer = Signer { key: fake_key(), cache: noise(CACHE), last: std::ptr::null() };
    println!("signer: ready, {} bytes of sessions cached", signer.cache.len());
    black_box(&signer.key);
    println!("signer: last byte {}", last_byte(&signer));
}

/// It is put together at run time: in the program's file there is no such text.
fn fake_key() -> String {
    let body: String = noise(48).iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    format!("-----BEGIN {}{} KEY-----\n{body}\n", "FAKE ", "SIGNING")
}

/// The bug: nothing was signed yet.
fn last_byte(signer: &Signer) -> u8 {
    // SAFETY: none; that is the bug.
    unsafe { signer.last.read_volatile() }
}

/// Bytes without a pattern (xorshift).
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(std::process::id());
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..count).map(|_| next()).collect()
}
