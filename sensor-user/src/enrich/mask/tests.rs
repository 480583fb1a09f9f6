use super::*;

/// argv as a shell would split it here: `|` between arguments.
fn show(argv: &str) -> String {
    let bytes = argv.replace('|', "\0") + "\0";
    let argv = Argv { bytes: bytes.as_bytes(), cut: false, carrier: false };
    command_line(argv, Privacy::Masked).line.unwrap()
}

/// Each holds the secret `S3cr3t!` (or another word of `SECRETS`), which must not come through.
const LEAKS: &[&str] = &[
    "curl|-u|admin:S3cr3t!|https://x",
    "curl|-uadmin:S3cr3t!|https://x",
    "curl|--user|admin:S3cr3t!|https://x",
    "curl|--user=admin:S3cr3t!|https://x",
    "curl|https://admin:S3cr3t!@x/y",
    "curl|-H|Authorization: Basic S3cr3t!",
    "curl|-H|Authorization: Bearer S3cr3t!",
    "curl|-H|X-Api-Key: S3cr3t!",
    "curl|-H|X-Vault-Token:S3cr3t!",
    "curl|-H|Cookie: sid=S3cr3t!; other=S3cr3t!",
    "curl|-d|user=a&password=S3cr3t!",
    "curl|-d|{\"password\":\"S3cr3t!\"}",
    "curl|-d|{\"password\": \"two words S3cr3t!\"}",
    "curl|https://x/?a=b&token=S3cr3t!&c=d",
    "curl|https://x/?sig=S3cr3t!",
    "curl|https://x/?api%5Fkey%3DS3cr3t!",
    "curl|--oauth2-bearer|S3cr3t!",
    "curl|-b|sid=S3cr3t!",
    "/usr/bin/mysql|-uroot|-pS3cr3t!|db",
    "mysql|--password=S3cr3t!",
    "mysqldump|-p'S3cr3t!'",
    "mariadb-dump|-pS3cr3t!",
    "sshpass|-p|S3cr3t!|ssh|host",
    "sshpass|-pS3cr3t!|ssh|host",
    "plink|-pw|S3cr3t!|host",
    "redis-cli|-a|S3cr3t!",
    "mongosh|-u|a|-p|S3cr3t!",
    "mongodump|mongodb://a:S3cr3t!@h/db",
    "psql|postgresql://a:S3cr3t!@h/db",
    "psql|host=h password=S3cr3t! user=u",
    "env|PGPASSWORD=S3cr3t!|psql",
    "MYSQL_PWD=S3cr3t!|mysql",
    "env|AWS_SECRET_ACCESS_KEY=S3cr3t!|aws|s3|ls",
    "aws|configure|set|aws_secret_access_key|S3cr3t!",
    "aws|configure|set|aws_access_key_id|AKIAIOSFODNN7EXAMPLE",
    "aws|s3|ls|--key|AKIAIOSFODNN7EXAMPLE",
    "docker|login|-u|a|-p|S3cr3t!",
    "docker|run|-e|DB_PASSWORD=S3cr3t!|img",
    "docker|run|--env=DB_PASSWORD=S3cr3t!|img",
    "sh|-c|mysql -uroot -pS3cr3t! db",
    "sh|-c|curl -u a:S3cr3t! https://x",
    "bash|-c|mysql --password 'two S3cr3t!' db",
    "bash|-c|export API_KEY='a S3cr3t!'; run",
    "sudo|mysql|-pS3cr3t!",
    "openssl|enc|-aes-256-cbc|-k|S3cr3t!",
    "openssl|rsa|-passin|pass:S3cr3t!",
    "openssl|rsa|-passin=pass:S3cr3t!",
    "zip|-P|S3cr3t!|a.zip|core",
    "7z|a|-pS3cr3t!|a.7z|core",
    "gpg|--batch|--passphrase|S3cr3t! with spaces|-c|core",
    "ldapsearch|-D|cn=x|-w|S3cr3t!",
    "smbclient|//h/s|-U|a%S3cr3t!",
    "htpasswd|-b|file|ann|S3cr3t!",
    "keytool|-storepass|S3cr3t!",
    "java|-Djavax.net.ssl.keyStorePassword=S3cr3t!|-jar|a.jar",
    "java|-Ddb.password=S3cr3t!",
    "app|--client-secret|S3cr3t!",
    "app|--clientSecret=S3cr3t!",
    "app|--api-key:S3cr3t!",
    "app|-token|S3cr3t!",
    "app|--auth=S3cr3t!",
    "git|clone|https://oauth2:S3cr3t!@host/x.git",
    "git|clone|https://ghp_abcdefghijklmnopqrstuvwxyz0123456789@github.com/x",
    "git|-c|http.extraHeader=Authorization: Basic S3cr3t!|fetch",
    "scp|core|bob:S3cr3t!@host:/x",
    "app|eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig",
    "app|xoxb-1234567890-abcdefgh",
    "app|sk_live_abcdefghijkl",
    "app|wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "app|0123456789abcdef0123456789abcdef",
    "app|DEADBEEFDEADBEEFDEADBEEFDEADBEEF",
    "app|/AwJalrXUtnFEMIxK7MDENGxbPxRfiCYEXAMPLEKEY",
    "app|-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhD9\n",
    "vault|login|hvs.CAESIJabcdefghijklmnop",
    "mc|alias|set|play|https://x|ACCESS|S3cr3t!",
    "rabbitmqctl|add_user|bob|S3cr3t!",
    "app|DSN=postgres://u@h password=S3cr3t!",
    "app|SESSION_ID=S3cr3t!",
    "wget|--http-password=S3cr3t!|https://x",
    "wget|--header=Authorization: token S3cr3t!|https://x",
];
const SECRETS: &[&str] = &[
    "S3cr3t!",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_abcdef",
    "eyJhbGci",
    "eyJzdWI",
    "xoxb-1234",
    "sk_live_abc",
    "wJalrXUtn",
    "bPxRfiCY",
    "0123456789abcdef",
    "DEADBEEF",
    "MIIBOg",
    "hvs.CAES",
];

#[test]
fn no_secret_comes_through() {
    let mut leaks = String::new();
    for argv in LEAKS {
        let shown = show(argv);
        assert!(SECRETS.iter().any(|s| argv.contains(s)), "{argv}: the case holds no secret");
        if SECRETS.iter().any(|s| shown.contains(s)) || !shown.contains("***") {
            leaks += &format!("{argv}\n  shown as {shown}\n");
        }
    }
    assert!(leaks.is_empty(), "{leaks}");
}

/// What an investigator needs stays readable.
#[test]
fn what_is_no_secret_stays() {
    for argv in [
        "scp|-P|2222|/var/crash/core.7|bob@203.0.113.9:/tmp/",
        "ssh|-p|22|-i|/home/ann/.ssh/id_rsa|bob@host",
        "curl|-T|/var/crash/core.7|https://upload.example.com/core.7",
        "mysql|-u|root|-p|db",
        "java|-Xmx4g|-XX:+HeapDumpOnOutOfMemoryError|-jar|/opt/service-1.2.3/app.jar",
        "/usr/lib/jvm/java-17-openjdk-amd64/bin/java|-version",
        "tar|czf|/tmp/a.tgz|/var/lib/systemd/coredump/core.sh.0.zst",
        "sh|-c|cat /var/crash/core.7 > /dev/tcp/10.0.0.1/443",
        "docker|run|--rm|-v|/a:/b|alpine:3.20|sh",
        "env|PWD=/root|OLDPWD=/tmp|ls",
        "rsync|-avz|--exclude=node_modules|src/|host:dst/",
        "a-very-long-program-name-of-many-words-indeed|x",
        "gdb|-p|4711",
        "python3|-m|http.server|8000",
    ] {
        assert_eq!(show(argv), argv.replace('|', " "));
    }
}

#[test]
fn the_place_of_a_secret_is_shown() {
    assert_eq!(show("mysql|-pX|db"), "mysql -p*** db");
    assert_eq!(show("curl|-u|a:b|https://x"), "curl -u *** https://x");
    assert_eq!(show("curl|https://a:b@x/?token=c&d=e"), "curl https://a:***@x/?token=***&d=e");
    assert_eq!(show("curl|-H|Authorization: Bearer abc|x"), "curl -H Authorization: *** x");
    assert_eq!(show("bash|-c|a --password 'b c' d"), "bash -c a --password *** d");
    assert_eq!(show("docker|run|-e|A_TOKEN=b|img"), "docker run -e *** img");
}

#[test]
fn length_counts_after_argv0_and_never_cuts_a_mask_open() {
    let long = format!("/a/{}|{}", "b".repeat(40), "c ".repeat(200));
    let shown = show(&long);
    assert!(shown.starts_with(&format!("/a/{} ", "b".repeat(40))));
    assert_eq!(shown.len(), 43 + 1 + MAX_BYTES + CUT.len());
    let shown = show(&format!("app|{}|--password=S3cr3t!", "x.".repeat(121)));
    assert!(!shown.contains("S3cr3t"), "{shown}");
}

#[test]
fn a_cut_argv_hides_its_last_argument_and_its_count() {
    let argv = Argv { bytes: b"curl\0https://x\0AKIAIOSF", cut: true, carrier: false };
    let shown = command_line(argv, Privacy::Masked);
    assert_eq!((shown.line.as_deref(), shown.count), (Some("curl https://x …"), None));
}

#[test]
fn a_carrier_shows_its_program_and_count_only() {
    for privacy in [Privacy::Masked, Privacy::Full] {
        let argv = Argv { bytes: b"curl\0-d\0AAAA\0http://x\0", cut: false, carrier: true };
        let shown = command_line(argv, privacy);
        assert_eq!((shown.line.as_deref(), shown.count), (Some("curl"), Some(4)));
    }
}

#[test]
fn none_is_nothing_and_full_is_all() {
    let argv = Argv { bytes: b"mysql\0-psecret\0", cut: false, carrier: false };
    assert_eq!(command_line(argv, Privacy::None), Shown::default());
    assert_eq!(command_line(argv, Privacy::Full).line.as_deref(), Some("mysql -psecret"));
    assert_eq!(command_line(Argv { bytes: b"", ..argv }, Privacy::Full), Shown::default());
}

#[test]
fn control_characters_and_bad_utf8_are_harmless() {
    assert_eq!(escape("a\x1b[31m\n\u{202e}b\u{85}"), "a\\x1b[31m\\x0a\\u{202e}b\\u{85}");
    let argv = Argv { bytes: b"\xff\xfe\0a\xffb\0\0", cut: false, carrier: false };
    let shown = command_line(argv, Privacy::Masked);
    assert_eq!(shown.line.as_deref(), Some("\u{fffd}\u{fffd} a\u{fffd}b "));
    assert_eq!(shown.count, Some(3), "an empty argument counts");
}

#[test]
fn a_line_of_text_is_masked_like_an_argv() {
    assert_eq!(text("mysql -uroot -pX db"), "mysql -uroot -p*** db");
}

/// Any bytes at all: no panic, no control character, bounded.
#[test]
fn hostile_bytes_never_panic() {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    for round in 0..3000 {
        let bytes: Vec<u8> = (0..round % 300)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let pick = (seed >> 33) as usize;
                if pick % 3 == 0 { b"-p:=@/'\"\0 \t{}\xc3"[pick / 3 % 14] } else { (pick >> 3) as u8 }
            })
            .collect();
        let argv = Argv { bytes: &bytes, cut: round % 2 == 0, carrier: false };
        if let Some(line) = command_line(argv, Privacy::Masked).line {
            assert!(!line.contains(char::is_control) && line.len() <= 2 * MAX_BYTES + 16);
        }
    }
}
