//! YAML as a tree whose every value knows its place in the text.
//!
//! *Guarantees.* No text makes it panic or hang: nesting, the number of values and the copies that aliases
//! make are bounded. Maps come out with each key once: duplicates are merged (and reported), `<<` is resolved.

mod keyed;
mod refusal;

use std::borrow::Cow;
use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Tag};

use self::keyed::Keyed;
pub(crate) use self::refusal::Syntax;
use self::refusal::refusal;

/// How deep flow and block collections may nest, each. The deepest key of the format stands at level 12.
const MAX_NESTING: usize = 100;

/// How many values a file may have, copies made by aliases included: forty times a cluster of 5,000 nodes.
const MAX_VALUES: usize = 1_000_000;

/// How many findings are kept; the rest of a hopeless file adds nothing.
const MAX_FINDINGS: usize = 200;

/// A piece of the text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node<'t> {
    pub(crate) value: Value<'t>,
    pub(crate) span: Span,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Value<'t> {
    Null,
    Scalar(Scalar<'t>),
    List(Vec<Node<'t>>),
    Map(Vec<Entry<'t>>),
}

/// A scalar that is not null, with its text as the source has it.
#[derive(Clone, Debug)]
pub(crate) struct Scalar<'t> {
    pub(crate) text: Cow<'t, str>,
    /// Quoted, a block or tagged as a text: never a number or a boolean.
    pub(crate) quoted: bool,
    /// A block after `|` or `>`.
    pub(crate) block: bool,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'t> {
    pub(crate) key: Cow<'t, str>,
    pub(crate) key_span: Span,
    pub(crate) value: Node<'t>,
}

impl Entry<'_> {
    /// The value's place, or the key's where nothing is written.
    pub(crate) fn span(&self) -> Span {
        if matches!(self.value.value, Value::Null) { self.key_span } else { self.value.span }
    }
}

/// The first document of a text.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    /// Its value; absent if the text has none.
    pub(crate) root: Option<Node<'t>>,
    /// What was noticed on the way.
    pub(crate) findings: Vec<Finding>,
}

/// Something noticed while the tree was built.
#[derive(Debug)]
pub(crate) struct Finding {
    /// The path of the value concerned.
    pub(crate) path: String,
    /// Its place.
    pub(crate) span: Span,
    /// What it is.
    pub(crate) what: What,
}

/// What was noticed.
#[derive(Debug)]
pub(crate) enum What {
    /// The key stands in the same map before, there; whether both values are maps and were merged.
    Duplicate { first: Span, merged: bool },
    /// A further document begins here.
    SecondDocument,
    /// A key that is a list or a map.
    KeyNotText,
    /// The value of `<<` is neither a map nor a list of maps.
    MergeOfNoMap,
}

/// Reads the first document of a text.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, Syntax> {
    let mut options = granit_parser::options! {
        flow_nesting_limit: MAX_NESTING,
        block_nesting_limit: MAX_NESTING,
    };
    options.set_emit_comments(false);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder::default();
    let mut root = None;
    let mut ended = false;
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| refusal(text, &error))?;
        let span = Span { start: byte_offset(text, span.start), end: byte_offset(text, span.end) };
        if ended {
            if let Event::DocumentStart(..) = event {
                builder.find(String::new(), span, What::SecondDocument);
            }
            break;
        }
        match event {
            Event::DocumentEnd => ended = true,
            event => {
                if let Some(node) = builder.take(event, span)? {
                    root = Some(node);
                }
            }
        }
    }
    Ok(Document { root, findings: builder.findings })
}

fn byte_offset(text: &str, mark: granit_parser::Marker) -> usize {
    // A parser over a whole text knows the offset of every mark; counting characters is the slow second way.
    let offset = mark
        .byte_offset()
        .unwrap_or_else(|| text.char_indices().nth(mark.index()).map_or(text.len(), |(offset, _)| offset));
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// A collection that is being read.
struct Frame<'t> {
    shape: Shape<'t>,
    start: usize,
    anchor: usize,
    /// How many values it holds so far, itself included.
    weight: usize,
}

enum Shape<'t> {
    List(Vec<Node<'t>>),
    Map { entries: Vec<RawEntry<'t>>, key: Pending<'t> },
}

struct RawEntry<'t> {
    entry: Entry<'t>,
    is_merge: bool,
}

enum Pending<'t> {
    /// The next value is a key.
    Nothing,
    /// The next value belongs to this key.
    Key { text: Cow<'t, str>, span: Span, is_merge: bool },
    /// The next value belongs to a key that is no text, and is dropped.
    Unusable,
}

#[derive(Default)]
struct Builder<'t> {
    frames: Vec<Frame<'t>>,
    anchors: BTreeMap<usize, (Node<'t>, usize)>,
    /// How many values were made, copies included.
    made: usize,
    findings: Vec<Finding>,
}

impl<'t> Builder<'t> {
    /// Takes one event; gives the root when it is complete.
    fn take(&mut self, event: Event<'t>, span: Span) -> Result<Option<Node<'t>>, Syntax> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, span)?;
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let scalar = Scalar { text, quoted: is_quoted(style, tag.as_deref()), block };
                if self.wants_key() && anchor == 0 {
                    self.take_key(scalar, span);
                    return Ok(None);
                }
                let node = Node { value: value_of(scalar), span };
                self.finish(node, anchor, 1)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(Shape::List(Vec::new()), anchor, span)?;
                Ok(None)
            }
            Event::MappingStart(_, anchor, _) => {
                self.open(Shape::Map { entries: Vec::new(), key: Pending::Nothing }, anchor, span)?;
                Ok(None)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(frame) = self.frames.pop() else { return Ok(None) };
                let span = Span { start: frame.start, end: span.end.max(frame.start) };
                let value = match frame.shape {
                    Shape::List(items) => Value::List(items),
                    Shape::Map { entries, .. } => Value::Map(self.settle(entries)?),
                };
                self.finish(Node { value, span }, frame.anchor, frame.weight)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some((_, weight)) => {
                    let weight = *weight;
                    self.count(weight, span)?;
                    let node = self.anchors[&anchor].0.clone();
                    self.finish(node, 0, weight)
                }
                None => Err(Syntax {
                    at: span.start,
                    summary: "this alias is inside the value that it names".to_owned(),
                    help: "an alias can only repeat a value that is complete before it".into(),
                }),
            },
            _ => Ok(None),
        }
    }

    fn count(&mut self, values: usize, span: Span) -> Result<(), Syntax> {
        self.made = self.made.saturating_add(values);
        if self.made <= MAX_VALUES {
            return Ok(());
        }
        Err(Syntax {
            at: span.start,
            summary: format!("more than {MAX_VALUES} values, copies made by aliases included"),
            help: "a cluster.yml of that size is a mistake: look at what its aliases (`*name`) repeat".into(),
        })
    }

    fn open(&mut self, shape: Shape<'t>, anchor: usize, span: Span) -> Result<(), Syntax> {
        self.count(1, span)?;
        self.frames.push(Frame { shape, start: span.start, anchor, weight: 1 });
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame { shape: Shape::Map { key: Pending::Nothing, .. }, .. }))
    }

    fn take_key(&mut self, scalar: Scalar<'t>, span: Span) {
        let is_merge = !scalar.quoted && scalar.text == "<<";
        if let Some(Frame { shape: Shape::Map { key, .. }, weight, .. }) = self.frames.last_mut() {
            *key = Pending::Key { text: scalar.text, span, is_merge };
            *weight += 1;
        }
    }

    /// Puts a complete value where it belongs; gives it back if it is the root.
    fn finish(&mut self, node: Node<'t>, anchor: usize, weight: usize) -> Result<Option<Node<'t>>, Syntax> {
        if anchor != 0 {
            self.count(weight, node.span)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        if self.wants_key() {
            let span = node.span;
            match node.value {
                Value::Scalar(scalar) => self.take_key(scalar, span),
                Value::Null => {
                    self.take_key(Scalar { text: Cow::Borrowed(""), quoted: true, block: false }, span);
                }
                Value::List(_) | Value::Map(_) => {
                    self.find(self.path(), span, What::KeyNotText);
                    if let Some(Frame { shape: Shape::Map { key, .. }, .. }) = self.frames.last_mut() {
                        *key = Pending::Unusable;
                    }
                }
            }
            return Ok(None);
        }
        let Some(frame) = self.frames.last_mut() else { return Ok(Some(node)) };
        frame.weight = frame.weight.saturating_add(weight);
        match &mut frame.shape {
            Shape::List(items) => items.push(node),
            Shape::Map { entries, key } => {
                if let Pending::Key { text, span, is_merge } = std::mem::replace(key, Pending::Nothing) {
                    entries
                        .push(RawEntry { entry: Entry { key: text, key_span: span, value: node }, is_merge });
                }
            }
        }
        Ok(None)
    }

    /// Makes each key of a map unique: later values win, maps are merged, `<<` fills in what is missing.
    fn settle(&mut self, raw: Vec<RawEntry<'t>>) -> Result<Vec<Entry<'t>>, Syntax> {
        let mut settled = Keyed::with_capacity(raw.len());
        let mut merges = Vec::new();
        for RawEntry { entry, is_merge } in raw {
            if is_merge {
                merges.push(entry);
            } else {
                self.insert(&mut settled, entry, &mut Vec::new())?;
            }
        }
        for Entry { key_span, value, .. } in merges {
            let maps = match value.value {
                Value::Map(entries) => vec![entries],
                Value::List(items) if items.iter().all(|item| matches!(item.value, Value::Map(_))) => items
                    .into_iter()
                    .filter_map(
                        |item| if let Value::Map(entries) = item.value { Some(entries) } else { None },
                    )
                    .collect(),
                Value::Null => Vec::new(),
                Value::Scalar(_) | Value::List(_) => {
                    self.find(join(&self.path(), "<<"), key_span, What::MergeOfNoMap);
                    Vec::new()
                }
            };
            for entry in maps.into_iter().flatten() {
                if settled.position(&entry.key).is_none() {
                    settled.push(entry);
                }
            }
        }
        Ok(settled.entries)
    }

    /// Adds an entry; `outer` are the keys between the map being read and this one, when duplicates merge.
    fn insert(
        &mut self,
        into: &mut Keyed<'t>,
        entry: Entry<'t>,
        outer: &mut Vec<String>,
    ) -> Result<(), Syntax> {
        let Some(position) = into.position(&entry.key) else {
            into.push(entry);
            return Ok(());
        };
        let earlier = &mut into.entries[position];
        let mut path = self.path();
        for key in outer.iter() {
            path = join(&path, key);
        }
        let merged = matches!((&earlier.value.value, &entry.value.value), (Value::Map(_), Value::Map(_)));
        // What `rke config` wrote empty, and somebody wrote again, is as it was meant.
        if !is_nothing(&earlier.value.value) {
            let what = What::Duplicate { first: earlier.key_span, merged };
            self.find(join(&path, &entry.key), entry.key_span, what);
        }
        let earlier = &mut into.entries[position];
        earlier.key_span = entry.key_span;
        earlier.value.span = entry.value.span;
        match (&mut earlier.value.value, entry.value.value) {
            (Value::Map(old), Value::Map(new)) => {
                // Each merge walks the older map again, so that a thousand of them must be paid for.
                self.count(old.len(), entry.key_span)?;
                let mut both = Keyed::from(std::mem::take(old));
                outer.push(entry.key.into_owned());
                for entry in new {
                    self.insert(&mut both, entry, outer)?;
                }
                outer.pop();
                *old = both.entries;
            }
            (old, new) => *old = new,
        }
        Ok(())
    }

    fn find(&mut self, path: String, span: Span, what: What) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { path, span, what });
        }
    }

    /// The path of the value that is being read.
    fn path(&self) -> String {
        let mut path = String::new();
        for frame in &self.frames {
            match &frame.shape {
                Shape::List(items) => path = format!("{path}[{}]", items.len()),
                Shape::Map { key: Pending::Key { text, .. }, .. } => path = join(&path, text),
                Shape::Map { .. } => {}
            }
        }
        path
    }
}

/// Whether nothing is asked for: no value, an empty text, list or map.
fn is_nothing(value: &Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::Scalar(scalar) => scalar.text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
    }
}

/// A path and one key more.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn is_quoted(style: ScalarStyle, tag: Option<&Tag>) -> bool {
    // A tag of YAML's own types decides, as it did in RKE 1; other tags mean nothing here.
    match tag {
        Some(tag) if tag.is_yaml_core_schema_tag("str") => true,
        Some(tag)
            if ["int", "bool", "float", "null"].iter().any(|kind| tag.is_yaml_core_schema_tag(kind)) =>
        {
            false
        }
        _ => style != ScalarStyle::Plain,
    }
}

fn value_of(scalar: Scalar<'_>) -> Value<'_> {
    let is_null = !scalar.quoted && matches!(&*scalar.text, "" | "~" | "null" | "Null" | "NULL");
    if is_null { Value::Null } else { Value::Scalar(scalar) }
}
