//! Command lines without their credentials.
//!
//! Masking goes by tables: names that hold secrets (`--password`, `PGPASSWORD=`, `token:`), short options of known tools
//! (`mysql -pX`), shapes of text (`user:pass@`, `Bearer x`, known key prefixes) and long runs that look random. Masking
//! too much is cheap, too little is a leak: what is not certain is masked.

use std::{fmt::Write as _, sync::LazyLock};

use regex::{Captures, Regex};

/// What may be kept of a command line (`privacy.command_line`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Privacy {
    /// Nothing, not even the number of arguments.
    None,
    /// argv[0] and at most [`MAX_BYTES`] with credential forms masked.
    #[default]
    Masked,
    /// All of it, as it is.
    Full,
}

/// argv as it was read.
#[derive(Clone, Copy, Debug)]
pub struct Argv<'a> {
    /// NUL-separated.
    pub bytes: &'a [u8],
    /// The end is missing: the last argument may be half a secret.
    pub cut: bool,
    /// It may itself carry dump bytes (`curl -d "$(base64 core)"`).
    pub carrier: bool,
}

/// What is shown of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The text, without control characters.
    pub line: Option<String>,
    /// Number of arguments, when all were seen.
    pub count: Option<u32>,
}

/// Most bytes shown after argv[0].
pub const MAX_BYTES: usize = 256;
const MASK: &str = "***";
const CUT: &str = "…";

/// Shows a command line as `privacy` allows.
pub fn command_line(argv: Argv<'_>, privacy: Privacy) -> Shown {
    if privacy == Privacy::None || argv.bytes.is_empty() {
        return Shown::default();
    }
    let words: Vec<_> = split(argv.bytes).map(String::from_utf8_lossy).collect();
    let count = (!argv.cut).then_some(words.len() as u32);
    let line = match privacy {
        _ if argv.carrier => head(&escape(&words[0]), MAX_BYTES).to_owned(),
        Privacy::Full => escape(&words.join(" ")),
        _ => masked(&words, argv.cut),
    };
    Shown { line: Some(line), count }
}

/// Masks one piece of text that is no argv: a core's `psargs`, a URL.
pub fn text(text: &str) -> String {
    let mut masker = Masker::default();
    escape(&masker.line(text))
}

/// A trailing NUL ends the last argument, it does not begin another.
fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.strip_suffix(b"\0").unwrap_or(bytes).split(|b| *b == 0)
}

fn masked(args: &[std::borrow::Cow<'_, str>], cut: bool) -> String {
    let mut masker = Masker::default();
    let whole = if cut && args.len() > 1 { args.len() - 1 } else { args.len() };
    let mut shown = args[..whole].iter().map(|a| masker.argument(a));
    let program = escape(&shown.next().unwrap_or_default());
    let mut rest = shown.collect::<Vec<_>>().join(" ");
    if whole < args.len() {
        rest.push_str(if rest.is_empty() { CUT } else { " …" });
    }
    let rest = escape(&rest);
    let program = head(&program, MAX_BYTES);
    match head(&rest, MAX_BYTES) {
        "" => program.to_owned(),
        fits if fits.len() == rest.len() => format!("{program} {fits}"),
        cut => format!("{program} {cut}{CUT}"),
    }
}

/// The longest prefix of at most `max` bytes that ends on a character.
fn head(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// Escapes what would move a terminal's cursor, or hide or reorder text.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        match c {
            c if c.is_control() && c.is_ascii() => write!(out, "\\x{:02x}", c as u32).expect("a String takes all"),
            c if c.is_control() || hidden => write!(out, "{}", c.escape_unicode()).expect("a String takes all"),
            c => out.push(c),
        }
    }
    out
}

/// How a tool's option takes its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// `-pSECRET`; a bare `-p` asks.
    Attached,
    /// `-p SECRET` and `-pSECRET`.
    Both,
    /// `-p SECRET` only; `-pfoo` is something else.
    Next,
    /// Every argument after it.
    Rest,
}

/// Short options that hold a secret: (programs, option, how). Long options go by their name.
const TOOLS: &[(&[&str], &str, Takes)] = &[
    (
        &["mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlcheck", "mysqlshow", "mysqlslap", "mysqlbinlog"],
        "-p",
        Takes::Attached,
    ),
    (&["mariadb", "mariadb-dump", "mariadb-admin", "mariabackup", "xtrabackup"], "-p", Takes::Attached),
    (&["curl"], "-u", Takes::Both),
    (&["curl"], "-U", Takes::Both),
    (&["curl"], "--user", Takes::Next),
    (&["curl"], "--proxy-user", Takes::Next),
    (&["curl"], "-b", Takes::Both),
    (&["curl"], "-E", Takes::Both),
    (&["curl"], "--cert", Takes::Next),
    (&["curl"], "--oauth2-bearer", Takes::Next),
    (&["http", "https", "xh"], "-a", Takes::Both),
    (&["sshpass"], "-p", Takes::Both),
    (&["plink", "pscp", "psftp", "putty"], "-pw", Takes::Next),
    (&["redis-cli", "valkey-cli"], "-a", Takes::Both),
    (&["mongo", "mongosh", "mongodump", "mongorestore", "mongoexport", "mongoimport"], "-p", Takes::Both),
    (&["ldapsearch", "ldapmodify", "ldapadd", "ldapdelete", "ldappasswd", "ldapwhoami"], "-w", Takes::Both),
    (&["ldappasswd"], "-s", Takes::Both),
    (&["smbclient", "rpcclient", "smbget", "net"], "-U", Takes::Both),
    (&["docker", "podman", "nerdctl", "buildah", "skopeo", "helm", "oras", "crane", "az", "oc"], "-p", Takes::Next),
    (&["docker", "podman", "nerdctl"], "-e", Takes::Next),
    (&["openssl"], "-k", Takes::Next),
    (&["openssl"], "-K", Takes::Next),
    (&["zip", "unzip"], "-P", Takes::Both),
    (&["7z", "7za", "7zr", "rar", "unrar"], "-p", Takes::Attached),
    (&["rar", "unrar"], "-hp", Takes::Attached),
    (&["sqlcmd", "bcp", "isql", "tsql", "mssql-cli", "mosquitto_pub", "mosquitto_sub"], "-P", Takes::Both),
    (&["ipmitool"], "-P", Takes::Both),
    (&["snmpget", "snmpwalk", "snmpset", "snmpbulkwalk"], "-c", Takes::Both),
    (&["snmpget", "snmpwalk", "snmpset", "snmpbulkwalk"], "-A", Takes::Both),
    (&["snmpget", "snmpwalk", "snmpset", "snmpbulkwalk"], "-X", Takes::Both),
    (&["useradd", "usermod", "groupadd", "groupmod"], "-p", Takes::Both),
    (&["htpasswd"], "-b", Takes::Rest),
    (&["wpa_passphrase"], "", Takes::Rest),
    (&["rabbitmqctl"], "add_user", Takes::Rest),
    (&["rabbitmqctl"], "change_password", Takes::Rest),
    (&["mc", "mcli"], "set", Takes::Rest),
    (&["aws"], "aws_secret_access_key", Takes::Next),
    (&["aws"], "aws_session_token", Takes::Next),
    (&["aws"], "aws_access_key_id", Takes::Next),
    (&["xfreerdp", "wlfreerdp", "rdesktop"], "-p", Takes::Both),
    (&["cadaver", "lftp", "ncftp", "ncftpput", "ncftpget"], "-p", Takes::Both),
    (&["lftp", "ncftpput"], "-u", Takes::Both),
    (&["keytool", "jarsigner"], "-storepass", Takes::Next),
    (&["influx", "clickhouse-client", "cqlsh"], "-p", Takes::Both),
    (&["vault"], "login", Takes::Next),
];

/// A name holds a secret when one of these is in it, case, `-` and `_` aside.
const NAMES_WITH: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
    "bearer",
    "cookie",
    "session",
    "signature",
    "jwt",
    "sharedkey",
    "encryptionkey",
    "connectionstring",
];
/// ... or when it ends with one of these ...
const NAMES_ENDING: &[&str] = &["pass", "pwd", "key", "auth", "cred", "creds", "psk", "passin", "passout"];
/// ... or when it is one of these.
const NAMES_BEING: &[&str] = &["pw", "pin", "otp", "sig", "sas", "dsn", "keyid", "awsaccesskeyid", "pat"];

fn names_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    NAMES_WITH.iter().any(|n| plain.contains(n))
        || NAMES_ENDING.iter().any(|n| plain.ends_with(n))
        || NAMES_BEING.contains(&plain.as_str())
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pending {
    #[default]
    Nothing,
    One,
    All,
}

/// Goes through a command line, argument by argument; knows the tool that the arguments belong to.
/// An argument may look like a tool (`curl https://x/zip`), so every tool seen counts to the end.
#[derive(Debug, Default)]
struct Masker {
    tools: Vec<&'static str>,
    pending: Pending,
}

impl Masker {
    /// One argument, which after `--password` is a secret as a whole, spaces and all.
    fn argument(&mut self, arg: &str) -> String {
        if self.take_pending() {
            return MASK.to_owned();
        }
        if arg.contains(char::is_whitespace) { self.line(arg) } else { scrub(&self.word(arg)) }
    }

    /// A text of several words: `sh -c "mysql -pX"`. Words inside quotes that begin a secret go with it.
    fn line(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut quote = None;
        for piece in text.split_inclusive(char::is_whitespace) {
            let word = piece.trim_end();
            if let Some(q) = quote {
                quote = Some(q).filter(|_| !word.ends_with(q));
                continue;
            }
            if word.is_empty() {
                out.push_str(piece);
                continue;
            }
            let shown = if self.take_pending() { MASK.to_owned() } else { self.word(word) };
            if shown.ends_with(MASK) && shown != word {
                quote = open_quote(word);
            }
            out.push_str(&shown);
            out.push_str(&piece[word.len()..]);
        }
        // A secret ends with its line.
        self.pending = Pending::Nothing;
        scrub(&out)
    }

    fn take_pending(&mut self) -> bool {
        let pending = self.pending;
        if pending == Pending::One {
            self.pending = Pending::Nothing;
        }
        pending != Pending::Nothing
    }

    /// One word: a tool's name, an option, or anything.
    fn word(&mut self, word: &str) -> String {
        let bare = word.trim_matches(['\'', '"', '(', ')', '`', ';', '$']);
        let name = bare.rsplit('/').next().unwrap_or(bare);
        if let Some(tool) = TOOLS.iter().find_map(|(tools, ..)| tools.iter().find(|t| **t == name)) {
            self.tools.push(tool);
            let all = TOOLS.iter().any(|(tools, option, _)| option.is_empty() && tools.contains(tool));
            self.pending = if all { Pending::All } else { Pending::Nothing };
            return word.to_owned();
        }
        if let Some(shown) = self.option(bare) {
            return shown;
        }
        if bare.starts_with('-') && !bare.contains(['=', ':']) && names_secret(bare) {
            self.pending = Pending::One;
        }
        word.to_owned()
    }

    /// An option of a tool seen, with its value masked or announced.
    fn option(&mut self, word: &str) -> Option<String> {
        let mine = TOOLS.iter().filter(|(tools, ..)| tools.iter().any(|t| self.tools.contains(t)));
        for (_, option, takes) in mine.filter(|(_, option, _)| !option.is_empty()) {
            let Some(end) = option_end(word, option) else { continue };
            let (named, value) = word.split_at(end);
            match (value.is_empty(), takes) {
                (true, Takes::Both | Takes::Next) => self.pending = Pending::One,
                (_, Takes::Rest) => self.pending = Pending::All,
                (true, Takes::Attached) => {}
                (false, Takes::Both | Takes::Attached) => return Some(format!("{named}{MASK}")),
                (false, Takes::Next) if option.starts_with("--") && value.starts_with('=') => {
                    return Some(format!("{named}={MASK}"));
                }
                (false, Takes::Next) => continue,
            }
            return Some(word.to_owned());
        }
        None
    }
}

/// Where `option` ends in `word`: at its start, or, for one letter, behind others (`curl -sSu`).
fn option_end(word: &str, option: &str) -> Option<usize> {
    if word.starts_with(option) {
        return Some(option.len());
    }
    let letter = option.strip_prefix('-').filter(|l| l.len() == 1)?;
    let flags = word.strip_prefix('-')?;
    let at = flags.find(letter)?;
    flags[..at].bytes().all(|b| b.is_ascii_alphabetic()).then_some(1 + at + 1)
}

/// The quote that `word` opens and does not close.
fn open_quote(word: &str) -> Option<char> {
    ['\'', '"'].into_iter().find(|q| word.matches(*q).count() % 2 == 1)
}

macro_rules! pattern {
    ($name:ident, $text:literal) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($text).expect("a constant that the tests compile"));
    };
}

pattern!(
    HEADER,
    r#"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-[a-z0-9-]*(?:auth|key|token|secret|signature)[a-z0-9-]*)(\s*[:=]\s*)[^'"]+"#
);
pattern!(SCHEME, r"(?i)\b(bearer|basic|digest|negotiate|apikey)\s+[A-Za-z0-9+/=._~-]{6,}");
pattern!(USERINFO, r"([A-Za-z0-9._%+~-]*):([^\s:/@][^\s/@]*)@");
pattern!(URL_TOKEN, r"(://)[^\s:/@]{16,}@");
pattern!(PAIR, r#"([A-Za-z0-9_.\[\]-]+)(["']?\s*(?:=|:|%3[dD])\s*)("[^"]*"?|'[^']*'?|[^\s&;,"'}]+)"#);
// Spelled out: `\w` is all of Unicode, and with these counts its automaton takes 20 MiB for each thread.
pattern!(
    KNOWN,
    r"(?x)
    \b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{12,}
    | \bgh[pousr]_[A-Za-z0-9]{16,} | \bgithub_pat_[0-9A-Za-z_]{16,} | \bglpat-[0-9A-Za-z_-]{16,} | \bxox[a-z]-[0-9A-Za-z_-]{8,}
    | \b[sr]k_(?:live|test)_[0-9A-Za-z_]{8,} | \bsk-[0-9A-Za-z_-]{16,} | \bAIza[0-9A-Za-z_-]{20,} | \beyJ[0-9A-Za-z_-]{8,}(?:\.[0-9A-Za-z_-]*){0,2}
    | \bhv[sbr]\.[0-9A-Za-z_-]{16,} | \bnpm_[0-9A-Za-z_]{16,} | \bdop_v1_[0-9A-Za-z_]{16,} | \bSG\.[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,} | \bya29\.[0-9A-Za-z_-]{8,}
    | \bpypi-[0-9A-Za-z_-]{16,} | \bs\.[A-Za-z0-9]{24}\b
    | -----BEGIN[\s\S]*"
);
pattern!(RUN, r"[A-Za-z0-9+/=_~-]{32,}");

/// Masks by shape, wherever it stands.
fn scrub(text: &str) -> String {
    let text = HEADER.replace_all(text, |c: &Captures<'_>| format!("{}{}{MASK}", &c[1], &c[2]));
    let text = SCHEME.replace_all(&text, |c: &Captures<'_>| format!("{} {MASK}", &c[1]));
    let text = KNOWN.replace_all(&text, MASK);
    let text = PAIR.replace_all(&text, pair);
    let text = USERINFO.replace_all(&text, |c: &Captures<'_>| format!("{}:{MASK}@", &c[1]));
    let text = URL_TOKEN.replace_all(&text, |c: &Captures<'_>| format!("{}{MASK}@", &c[1]));
    RUN.replace_all(&text, |c: &Captures<'_>| run(&c[0])).into_owned()
}

/// `name=value`, `name: value`, `"name":"value"`: by the name. The shell's own `PWD=/...` is a folder.
fn pair(c: &Captures<'_>) -> String {
    let (name, sign, value) = (&c[1], &c[2], &c[3]);
    let folder = name.ends_with("PWD") && name.len() <= 6 && value.starts_with('/');
    // The value of an unnamed pair may itself be one: `-e PGPASSWORD=x`, `--env=TOKEN=x`.
    match PAIR.replace_all(value, pair) {
        _ if names_secret(name) && !folder => format!("{name}{sign}{MASK}"),
        inner => format!("{name}{sign}{inner}"),
    }
}

/// A long run is masked when it looks like base64 or hex; paths and words joined by dashes stay. Base64 has slashes
/// too, so what is no absolute path must not mix capitals and digits.
fn run(text: &str) -> String {
    let mixed = [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit];
    let mixed = mixed.iter().all(|class| text.bytes().any(|b| class(&b)));
    if text.contains('/') && !(mixed && (!text.starts_with('/') || random(text))) {
        let part = |part: &str| if part.len() >= 32 { run(part) } else { part.to_owned() };
        return text.split('/').map(part).collect::<Vec<_>>().join("/");
    }
    let words = text.bytes().all(|b| b.is_ascii_lowercase() || b"-_=~".contains(&b));
    if words { text.to_owned() } else { MASK.to_owned() }
}

/// How often the class of character changes: two of three times in base64, seldom in words.
fn random(text: &str) -> bool {
    let class = |b: u8| match b {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let changes = text.as_bytes().windows(2).filter(|w| class(w[0]) != class(w[1])).count();
    changes * 5 > text.len() * 2
}

#[cfg(test)]
#[path = "mask/tests.rs"]
mod tests;
