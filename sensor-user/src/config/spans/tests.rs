use super::*;
use crate::config::Errors;

fn tree(text: &str) -> (Option<Node>, Vec<String>) {
    let source = Arc::new(Source { name: "t.yaml".into(), text: text.to_owned() });
    let mut errors = Errors::default();
    let node = parse(&source, &mut errors);
    (node, errors.iter().map(|e| format!("{}:{} {}", e.line, e.column, e.message)).collect())
}

fn text_at(yaml: &str, needle: &str) -> String {
    let (node, errors) = tree(yaml);
    assert!(errors.is_empty(), "{errors:?}");
    let Some(Node { value: Value::Map(entries), .. }) = node else { panic!("no mapping") };
    let Value::Text(text) = &entries[0].1.value else { panic!("no text") };
    let at = text.locate(text.value.find(needle).unwrap(), needle.len());
    format!("{}:{}", at.line, at.column)
}

#[test]
fn offsets_are_found_again_in_every_style() {
    assert_eq!(text_at("w: a && bad", "bad"), "1:9");
    assert_eq!(text_at("w: 'it''s && bad'", "bad"), "1:14");
    assert_eq!(text_at("w: \"\\u0041 \\\"x\\\" && bad\"", "bad"), "1:21");
    assert_eq!(text_at("w: |\n  a &&\n  bad\n", "bad"), "3:3");
    assert_eq!(text_at("w: >-\n  a &&\n\n  bad\n", "bad"), "4:3");
    assert_eq!(text_at("w: 'a &&\n    bad'", "bad"), "2:5");
    assert_eq!(text_at("w: \"a && \\\n    bad\"", "bad"), "2:5");
    assert_eq!(text_at("w: 'é == bad'", "bad"), "1:10");
}

#[test]
fn what_fools_a_reader_is_refused_where_it_stands() {
    assert_eq!(tree("a: 1\nb: 2\na: 3\n").1, ["3:1 duplicate key `a`"]);
    assert_eq!(tree("a: &x 1\nb: *x\n").1, ["1:4 an anchor is not allowed", "2:4 an alias is not allowed"]);
    assert_eq!(tree("a: !t 1\n").1, ["1:4 a tag is not allowed"]);
    assert_eq!(tree("a: 1\n---\nb: 1\n").1, ["2:1 a second document in one file"]);
    assert_eq!(tree("a: *nope\n").1, ["1:4 an alias is not allowed"]);
}

#[test]
fn nothing_is_a_panic() {
    for text in ["", "\u{feff}", "'", "\"\\", "a: |", "? ", "- - -", "%YAML 1.2\n---\n", "a: \"\\", "{", "\0"] {
        let _ = tree(text);
    }
    let deep = "[".repeat(100_000);
    assert_eq!(tree(&deep).1.len(), 1);
}

#[test]
fn the_other_yaml_parser_reads_the_same() {
    for text in [
        include_str!("../default.yaml"),
        "a: [1, no, ~, 0x1f, 1.5, 'x''y', \"\\t\"]\nb:\n  c: |\n    l1\n    l2\n",
        "k: >\n  a\n  b\n\n  c\nl:\n- x\n-  y: z\n",
    ] {
        let (Some(node), errors) = tree(text) else { panic!("{text}") };
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(plain(&node), serde_yaml::from_str::<serde_yaml::Value>(text).unwrap());
    }
}

fn plain(node: &Node) -> serde_yaml::Value {
    match &node.value {
        Value::Null => serde_yaml::Value::Null,
        Value::Bool(b) => (*b).into(),
        Value::Int(n) => (*n).into(),
        Value::Float(x) => (*x).into(),
        Value::Text(t) => (*t.value).into(),
        Value::List(l) => serde_yaml::Value::Sequence(l.iter().map(plain).collect()),
        Value::Map(m) => serde_yaml::Value::Mapping(m.iter().map(|(k, v)| ((*k.name).into(), plain(v))).collect()),
    }
}

#[test]
fn form_does_not_change_the_digest() {
    let digest = |text| {
        let mut h = blake3::Hasher::new();
        tree(text).0.unwrap().digest(&mut h);
        h.finalize()
    };
    assert_eq!(digest("a: x\nb: [1, 2]\n"), digest("# c\nb:\n  - 1\n  - 2\na: 'x'\n"));
    assert_ne!(digest("a: x\n"), digest("a: y\n"));
    assert_ne!(digest("a: '1'\n"), digest("a: 1\n"));
}
