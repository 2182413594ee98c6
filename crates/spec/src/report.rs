//! Collects what is found while the file is read, and turns it into diagnostics at the end.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::lines::Lines;
use crate::yaml::Span;

/// How many are shown; a file with more is broken in one way that repeats, or is no cluster.yml.
const MAX_SHOWN: usize = 500;

/// All drafts so far.
#[derive(Debug)]
pub(crate) struct Reports<'t> {
    lines: Lines<'t>,
    drafts: Vec<Draft>,
    has_errors: bool,
    left_out: usize,
    /// Takes the words for a draft that is left out.
    spare: Draft,
}

/// A diagnostic whose place is not looked up yet.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    severity: Option<Severity>,
    summary: String,
    path: String,
    span: Span,
    label: String,
    notes: Vec<String>,
    help: Option<String>,
    id: DraftId,
}

/// Where a draft is found again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DraftId(Option<usize>);

impl<'t> Reports<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            lines: Lines::new(text),
            drafts: Vec::new(),
            has_errors: false,
            left_out: 0,
            spare: Draft::default(),
        }
    }

    /// The number of the line on which something begins.
    pub(crate) fn line_of(&self, span: Span) -> usize {
        self.lines.line_of(span.start)
    }

    /// What stands on the line before something.
    pub(crate) fn line_before(&self, span: Span) -> Span {
        self.lines.line_before(span)
    }

    /// Where a place in a text of several lines is in the file; none where the text is not written line by line, as it is
    /// after `|`.
    pub(crate) fn within(&self, value: Span, text: &str, at: usize) -> Option<Span> {
        let at = at.min(text.len());
        let (blank, first) = text.lines().enumerate().find(|(_, line)| !line.trim().is_empty())?;
        let from = self.lines.line_of(value.start);
        let begins = (from..=from + blank + 1).find(|line| self.lines.line(*line).trim() == first.trim())?;
        let begin = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let line = text[begin..].lines().next().unwrap_or_default();
        let number = (begins + text[..at].matches('\n').count()).checked_sub(blank)?;
        let written = self.lines.line(number);
        let indented = written.trim_end().strip_suffix(line.trim_end())?.len();
        let start = self.lines.start_of(number);
        Some(Span { start: start + indented + (at - begin), end: start + written.len() })
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.has_errors
    }

    pub(crate) fn error(
        &mut self,
        path: impl Into<String>,
        span: Span,
        summary: impl Into<String>,
    ) -> &mut Draft {
        self.has_errors = true;
        self.add(Severity::Error, path, span, summary)
    }

    pub(crate) fn warning(
        &mut self,
        path: impl Into<String>,
        span: Span,
        summary: impl Into<String>,
    ) -> &mut Draft {
        self.add(Severity::Warning, path, span, summary)
    }

    fn add(
        &mut self,
        severity: Severity,
        path: impl Into<String>,
        span: Span,
        summary: impl Into<String>,
    ) -> &mut Draft {
        if self.drafts.len() >= MAX_SHOWN {
            self.left_out += 1;
            self.spare = Draft::default();
            return &mut self.spare;
        }
        self.drafts.push(Draft {
            severity: Some(severity),
            summary: summary.into(),
            path: path.into(),
            span,
            id: DraftId(Some(self.drafts.len())),
            ..Draft::default()
        });
        self.drafts.last_mut().expect("one was pushed in the line before")
    }

    /// A draft that was made before.
    pub(crate) fn draft(&mut self, id: DraftId) -> &mut Draft {
        id.0.and_then(|index| self.drafts.get_mut(index)).unwrap_or(&mut self.spare)
    }

    /// All diagnostics in the order of their places, each once.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
        let Self { lines, mut drafts, left_out, has_errors, .. } = self;
        drafts.sort_by(|one, other| {
            let key = |draft: &Draft| (draft.span.start, draft.span.end, draft.severity);
            key(one).cmp(&key(other)).then_with(|| one.path.cmp(&other.path))
        });
        let mut diagnostics: Vec<Diagnostic> =
            drafts.into_iter().map(|draft| resolve(draft, &lines)).collect();
        diagnostics.dedup();
        let mut diagnostics = said_once(diagnostics);
        if left_out > 0 {
            diagnostics.push(Diagnostic {
                severity: if has_errors { Severity::Error } else { Severity::Warning },
                summary: format!("{left_out} more errors and warnings are not shown"),
                place: Place::default(),
                label: String::new(),
                notes: Vec::new(),
                help: Some("repair those above first".to_owned()),
            });
        }
        diagnostics
    }
}

/// Of how many lines all are named.
pub(crate) const LINES_NAMED: usize = 3;

/// Where else the same is so, as a note.
pub(crate) fn also_on(lines: &[usize], more: usize) -> String {
    let noun = if lines.len() == 1 { "line" } else { "lines" };
    let lines: Vec<String> = lines.iter().map(usize::to_string).collect();
    let rest = match more {
        0 => String::new(),
        1 => " and in one more place".to_owned(),
        more => format!(" and in {more} more places"),
    };
    format!("also on {noun} {}{rest}", lines.join(", "))
}

/// What is warned of in the same words in several places is said at the first of them, which names the others.
fn said_once(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let line_of = |diagnostic: &Diagnostic| diagnostic.place.range.map(|range| range.start.line as usize);
    let mut said: Vec<(Diagnostic, Vec<usize>)> = Vec::new();
    let mut known: BTreeMap<(String, Option<String>), usize> = BTreeMap::new();
    for diagnostic in diagnostics {
        let may_be_merged = diagnostic.severity == Severity::Warning
            && diagnostic.label.is_empty()
            && diagnostic.notes.is_empty()
            && diagnostic.place.range.is_some();
        if !may_be_merged {
            said.push((diagnostic, Vec::new()));
            continue;
        }
        let words = (diagnostic.summary.clone(), diagnostic.help.clone());
        if let Some(first) = known.get(&words) {
            said[*first].1.extend(line_of(&diagnostic));
        } else {
            known.insert(words, said.len());
            said.push((diagnostic, Vec::new()));
        }
    }
    let with_others = |(mut diagnostic, mut lines): (Diagnostic, Vec<usize>)| {
        lines.retain(|line| Some(*line) != line_of(&diagnostic));
        lines.dedup();
        if !lines.is_empty() {
            let named = lines.len().min(LINES_NAMED);
            diagnostic.notes.push(also_on(&lines[..named], lines.len() - named));
        }
        diagnostic
    };
    said.into_iter().map(with_others).collect()
}

fn resolve(draft: Draft, lines: &Lines<'_>) -> Diagnostic {
    let Draft { severity, summary, path, span, label, notes, help, id: _ } = draft;
    Diagnostic {
        severity: severity.expect("every draft but the spare one is made with a severity"),
        summary,
        place: Place { path, range: Some(lines.range(span)) },
        label,
        notes,
        help,
    }
}

impl Draft {
    /// What stands beside the marked text.
    pub(crate) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = label.into();
        self
    }

    /// Where it is found again.
    pub(crate) fn id(&self) -> DraftId {
        self.id
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) -> &mut Self {
        self.notes.push(note.into());
        self
    }

    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }
}
