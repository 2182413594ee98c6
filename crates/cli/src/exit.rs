//! How the program ends: the one place that knows the exit codes, documented in `docs/reference/exit-codes.md`.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or nothing to do.
    Done,
    /// Something failed, was refused, or was interrupted.
    Failed,
    /// `plan --detailed-exitcode`: there are changes. (Terraform's convention.)
    Changes,
    /// Done, but something is held back.
    Held,
    /// The input or the command line is wrong; nothing was touched. (`EX_USAGE` of sysexits.)
    BadInput,
}

impl Exit {
    /// The number that the caller of the program sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Changes => 2,
            Self::Held => 3,
            Self::BadInput => 64,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_exit_codes_is_complete() {
        let page = include_str!("../../../docs/reference/exit-codes.md");
        let reported: Vec<u8> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split_once(" |")?.0.parse().ok())
            .collect();
        let known = [Exit::Done, Exit::Failed, Exit::Changes, Exit::Held, Exit::BadInput].map(Exit::code);
        assert_eq!(reported, known);
    }
}
