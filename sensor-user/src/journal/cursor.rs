//! How far an exporter has shipped: a small file beside the segments, replaced as a whole.

use std::{fs, io::ErrorKind, path::Path};

use super::{JournalError, frame::Position, segment};

/// Reads the cursor `name`. None when there is none yet, or when the file makes no sense: then everything is shipped
/// again, since twice is better than never.
pub fn load(dir: &Path, name: &str) -> Result<Option<Position>, JournalError> {
    let path = dir.join(file_name(name));
    match fs::read_to_string(&path) {
        Ok(text) => Ok(parse(&text)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) if e.kind() == ErrorKind::InvalidData => Ok(None),
        Err(source) => Err(JournalError::Io { operation: "read", path, source }),
    }
}

/// Makes the cursor `name` durable.
pub fn store(dir: &Path, name: &str, position: Position) -> Result<(), JournalError> {
    let body = format!("1 {} {}", position.segment, position.offset);
    let line = format!("{body} {:08x}\n", crc32c::crc32c(body.as_bytes()));
    segment::replace(dir, &file_name(name), line.as_bytes()).map_err(|source| JournalError::Io {
        operation: "write",
        path: dir.join(file_name(name)),
        source,
    })
}

fn file_name(name: &str) -> String {
    format!("{name}.cursor")
}

fn parse(text: &str) -> Option<Position> {
    let (body, crc) = text.trim_end().rsplit_once(' ')?;
    let mut words = body.split(' ');
    let version = words.next()?;
    let position = Position { segment: words.next()?.parse().ok()?, offset: words.next()?.parse().ok()? };
    let fits = u32::from_str_radix(crc, 16).ok()? == crc32c::crc32c(body.as_bytes());
    (version == "1" && words.next().is_none() && fits).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_a_damaged_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path(), "logs").unwrap(), None);
        let position = Position { segment: 7, offset: 4711 };
        store(dir.path(), "logs", position).unwrap();
        assert_eq!(load(dir.path(), "logs").unwrap(), Some(position));
        let path = dir.path().join("logs.cursor");
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() - 1 {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(load(dir.path(), "logs").unwrap(), None, "cut at {cut}");
        }
        fs::write(&path, b"1 8 4711 00000000\n").unwrap();
        assert_eq!(load(dir.path(), "logs").unwrap(), None);
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert_eq!(load(dir.path(), "logs").unwrap(), None);
    }
}
