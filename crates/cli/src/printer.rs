//! What is printed where: results to the standard output, everything else to the standard error.

use std::io::{self, IsTerminal as _, Write as _};

use rustix::termios::tcgetwinsize;
use windlass_model::{SpecPath, counted};
use windlass_render::{Detail, Page, Paint, Width};
use windlass_spec::{Diagnostic, Severity, render};

use crate::arguments::{CommonArguments, Output};
use crate::harmless::{escaped_in_json, harmless};
use crate::source::Source;

/// The two streams, and how each is to be written.
#[derive(Debug)]
pub(crate) struct Printer {
    output: Output,
    detail: Detail,
    /// How the standard output is coloured.
    pub(crate) paint: Paint,
    /// How the standard error is coloured.
    pub(crate) progress_paint: Paint,
}

/// Where text for people goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// The standard output.
    Output,
    /// The standard error.
    Progress,
}

impl Printer {
    pub(crate) fn new(common: &CommonArguments) -> Self {
        Self::plain(common.output, common.detail(), common.paint())
    }

    /// For commands with no other options; with colours only on a terminal, and where the environment allows
    /// them.
    pub(crate) fn plain(output: Output, detail: Detail, wanted: Paint) -> Self {
        // https://no-color.org: any value but the empty one.
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let paint = |terminal: bool| if terminal && !unwanted { wanted } else { Paint::Plain };
        Self {
            output,
            detail,
            paint: paint(io::stdout().is_terminal()),
            progress_paint: paint(io::stderr().is_terminal()),
        }
    }

    /// Whether only the result is asked for.
    fn is_quiet(&self) -> bool {
        self.detail == Detail::Counts
    }

    /// Whether the standard output is for programs.
    pub(crate) fn speaks_json(&self) -> bool {
        self.output == Output::Json
    }

    /// How much of a plan is shown.
    pub(crate) fn plan_detail(&self) -> Detail {
        self.detail
    }

    /// What a text on the standard output needs to know of it, and of cluster.yml.
    pub(crate) fn page<'a>(
        &self,
        places: &'a dyn Fn(&SpecPath) -> Option<(u32, u32)>,
        file: &'a str,
    ) -> Page<'a> {
        self.page_on(Stream::Output, places, file)
    }

    /// The same of either stream.
    pub(crate) fn page_on<'a>(
        &self,
        stream: Stream,
        places: &'a dyn Fn(&SpecPath) -> Option<(u32, u32)>,
        file: &'a str,
    ) -> Page<'a> {
        let (width, paint) = match stream {
            Stream::Output => (tcgetwinsize(io::stdout()), self.paint),
            Stream::Progress => (tcgetwinsize(io::stderr()), self.progress_paint),
        };
        // Where there is no terminal there is no size, and one that does not know its size says zero.
        let columns = width.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
        Page { places, file, width: columns.map_or_else(Width::default, Width::columns), paint }
    }

    /// Text of the result, for people.
    pub(crate) fn result(&self, text: &str) {
        if !self.speaks_json() {
            to_stdout(text);
        }
    }

    /// Text that explains the result, for people.
    pub(crate) fn detail(&self, text: &str) {
        if !self.is_quiet() {
            self.result(text);
        }
    }

    /// The document, for programs.
    pub(crate) fn document(&self, document: &impl serde::Serialize) {
        if self.speaks_json() {
            let mut text =
                serde_json::to_string_pretty(document).expect("the documents are plain data with text keys");
            text.push('\n');
            to_stdout(&escaped_in_json(&text));
        }
    }

    /// A line about what is going on.
    pub(crate) fn progress(&self, text: &str) {
        if !self.is_quiet() {
            to_stderr(text);
        }
    }

    /// What is wrong with the input, for commands that do something else with it: errors, and the number of
    /// warnings. `validate` shows the warnings.
    pub(crate) fn diagnostics_in_brief(&self, diagnostics: &[Diagnostic], source: &Source) {
        let is_error = |found: &&Diagnostic| found.severity == Severity::Error;
        let errors: Vec<Diagnostic> = diagnostics.iter().filter(is_error).cloned().collect();
        self.diagnostics(&errors, source);
        let warnings = diagnostics.len() - errors.len();
        if warnings > 0 {
            let name = source.name();
            let count = counted(warnings, "warning");
            let them = if warnings == 1 { "it" } else { "them" };
            let config = if name == "cluster.yml" { String::new() } else { format!(" --config {name}") };
            self.progress(&format!("{name}: {count}; `windlass validate{config}` shows {them}\n"));
        }
    }

    /// What is wrong with the input; with `--quiet` only the errors.
    pub(crate) fn diagnostics(&self, diagnostics: &[Diagnostic], source: &Source) {
        let is_shown = |found: &&Diagnostic| !self.is_quiet() || found.severity == Severity::Error;
        let diagnostics: Vec<Diagnostic> = diagnostics.iter().filter(is_shown).cloned().collect();
        let diagnostics = &diagnostics;
        for line in render(diagnostics, &source.name(), source.text()).lines() {
            let is_head = line.starts_with("error: ") || line.starts_with("warning: ");
            let line = if is_head { self.progress_paint.strong(line) } else { line.to_owned() };
            to_stderr(&format!("{line}\n"));
        }
    }

    /// What keeps the command from being carried out.
    pub(crate) fn error(&self, diagnostic: &Diagnostic) {
        let head = format!("{}: {}", diagnostic.severity, diagnostic.summary);
        let mut lines = vec![self.progress_paint.strong(head)];
        lines.extend(diagnostic.notes.iter().map(|note| format!(" = cause: {note}")));
        lines.extend(diagnostic.help.iter().map(|help| format!(" = help: {help}")));
        lines.push(String::new());
        to_stderr(&lines.join("\n"));
    }
}

/// Whether there is a terminal to ask a question on.
pub(crate) fn somebody_is_there() -> bool {
    io::stdin().is_terminal()
}

/// Asks a question; true if the answer is `yes`.
pub(crate) fn ask(question: &str) -> bool {
    to_stderr(question);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).is_ok() && answer.trim().eq_ignore_ascii_case("yes")
}

// A reader that has closed the pipe (`windlass plan | head`) is no failure of the command.

fn to_stdout(text: &str) {
    let mut stream = io::stdout().lock();
    let _ = stream.write_all(harmless(text).as_bytes()).and_then(|()| stream.flush());
}

fn to_stderr(text: &str) {
    let _ = io::stderr().lock().write_all(harmless(text).as_bytes());
}
