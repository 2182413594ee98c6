//! The commands that concern cluster.yml alone: `validate`, `config` and `schema`. They touch no machine.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use windlass_blueprint::Catalog;
use windlass_course::Desired;
use windlass_model::KubernetesVersion;
use windlass_render::{Detail, Paint};
use windlass_spec::{Severity, Strictness, json_schema, skeleton};

use crate::arguments::{ConfigArguments, FileCommand, Output, ValidateArguments};
use crate::command_error::CommandError;
use crate::exit::Exit;
use crate::includes::Includes;
use crate::json::DiagnosticsDocument;
use crate::printer::Printer;
use crate::questions;
use crate::source::Source;

/// Carries out a command and returns how the program ends.
pub(crate) fn run(command: &FileCommand) -> Exit {
    match command {
        FileCommand::Validate(arguments) => {
            let printer = Printer::plain(arguments.output, arguments.detail(), arguments.paint());
            validate(arguments, &printer).unwrap_or_else(|error| {
                let diagnostic = error.diagnostic();
                printer.error(&diagnostic);
                let file = arguments.config.display().to_string();
                printer.document(&DiagnosticsDocument::new(file, &[diagnostic], error.exit()));
                error.exit()
            })
        }
        FileCommand::Config(arguments) => {
            let printer = Printer::plain(Output::Text, Detail::Folded, Paint::Colours);
            config(arguments, &printer).unwrap_or_else(|error| {
                printer.error(&error.diagnostic());
                error.exit()
            })
        }
        FileCommand::Schema => {
            let printer = Printer::plain(Output::Json, Detail::Folded, Paint::Colours);
            printer.document(&json_schema());
            Exit::Done
        }
    }
}

/// `windlass validate`
fn validate(arguments: &ValidateArguments, printer: &Printer) -> Result<Exit, CommandError> {
    let source = Source::read(&arguments.config)?;
    let strictness = if arguments.strict { Strictness::Strict } else { Strictness::Lenient };
    let (desired, diagnostics) = source.understand_with(strictness, Includes::Files);
    printer.diagnostics(&diagnostics, &source);
    let count = |severity| diagnostics.iter().filter(|found| found.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let exit = if desired.is_some() { Exit::Done } else { Exit::BadInput };
    let counted = |number: usize, what: &str| match number {
        0 => format!("no {what}s"),
        number => windlass_model::counted(number, what),
    };
    let by_default = |desired: &Desired| desired.ordinary().origins.version.is_none();
    let result = match &desired {
        Some(desired) => format!(
            "{}: {}, Kubernetes {}{}: {}\n",
            source.name(),
            counted(desired.ordinary().nodes.len(), "node"),
            desired.ordinary().version,
            if by_default(desired) { " (the default: no version is named)" } else { "" },
            counted(warnings, "warning"),
        ),
        None => {
            format!("{}: {}, {}\n", source.name(), counted(errors, "error"), counted(warnings, "warning"))
        }
    };
    printer.result(&result);
    printer.document(&DiagnosticsDocument::new(source.name(), &diagnostics, exit));
    Ok(exit)
}

/// `windlass config`
fn config(arguments: &ConfigArguments, printer: &Printer) -> Result<Exit, CommandError> {
    let catalog = Catalog::builtin();
    let version = match &arguments.kubernetes {
        None => None,
        Some(text) => Some(text.parse::<KubernetesVersion>().map_err(|source| {
            let near = format!("v{text}");
            CommandError::NotAVersion {
                source,
                near: near.parse::<KubernetesVersion>().is_ok().then_some(near),
            }
        })?),
    };
    if arguments.list_version {
        let versions: Vec<String> = if arguments.all {
            catalog.versions().map(ToString::to_string).collect()
        } else {
            vec![catalog.default_version().to_string()]
        };
        printer.result(&(versions.join("\n") + "\n"));
        return Ok(Exit::Done);
    }
    if arguments.system_images {
        let versions: Vec<&KubernetesVersion> = match &version {
            Some(version) => vec![version],
            None if arguments.all => catalog.versions().collect(),
            None => vec![catalog.default_version()],
        };
        printer.result(&images(catalog, versions)?);
        return Ok(Exit::Done);
    }
    let version = version.unwrap_or_else(|| catalog.default_version().clone());
    let text = if arguments.empty {
        skeleton()
    } else {
        let input = std::io::stdin().lock();
        questions::ask(input, |question| printer.progress(question), &version)
            .map_err(|source| CommandError::NoAnswer { source })?
    };
    if arguments.print {
        printer.result(&text);
        return Ok(Exit::Done);
    }
    write_new(&arguments.name, &text)?;
    printer.result(&format!("{}\n", arguments.name.display()));
    Ok(Exit::Done)
}

/// One image a line, the form in which a mirror of a registry takes them.
fn images(catalog: &Catalog, versions: Vec<&KubernetesVersion>) -> Result<String, CommandError> {
    let mut lines: Vec<String> = Vec::new();
    for version in versions {
        let like = || catalog.images_like(version).map(|(_, images)| images);
        let images = catalog.images(version).or_else(like).ok_or_else(|| CommandError::UnknownVersion {
            version: version.to_string(),
            near: catalog.near(version).map(ToString::to_string),
        })?;
        lines.extend(images.into_values());
    }
    lines.sort();
    lines.dedup();
    Ok(lines.join("\n") + "\n")
}

/// Writes a file that must not exist yet, with RKE 1's mode: it may later contain passwords.
fn write_new(path: &Path, text: &str) -> Result<(), CommandError> {
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| CommandError::ConfigUnwritable { path: path.to_owned(), source })
}
