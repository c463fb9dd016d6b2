//! How a command ends: the exit codes and the kinds of failure that lead to them.

/// For `--help`.
pub const CODES: &str = "\
Exit codes:
  0  done
  1  refused or failed; the message names the field, the value and the rule
  2  the command line is wrong
  3  a check did not hold (verify)
  4  a service or the chain cannot be reached";

/// A failure with an exit code of its own.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was checked does not hold.
    #[error("{0}")]
    DoesNotHold(String),
    /// Nobody answers.
    #[error("{0}")]
    Unreachable(String),
}

impl Failure {
    /// A check that did not hold.
    pub fn does_not_hold(detail: impl Into<String>) -> anyhow::Error {
        Self::DoesNotHold(detail.into()).into()
    }

    /// A service that does not answer.
    pub fn unreachable(detail: impl Into<String>) -> anyhow::Error {
        Self::Unreachable(detail.into()).into()
    }
}

/// Whether whoever read our output went away, as `head` does: nothing to complain about.
pub fn reader_left(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The exit code of an error.
pub fn code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Failure>() {
        Some(Failure::DoesNotHold(_)) => 3,
        Some(Failure::Unreachable(_)) => 4,
        None => 1,
    }
}

/// An error and its causes in one line. A cause that the error before it already quotes is not said again.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain() {
        let text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if said.is_empty() {
            said = text;
        } else if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_once_and_on_one_line() {
        let error = anyhow::anyhow!("no\n route").context("connect: no route").context("hub");
        assert_eq!(one_line(&error), "hub: connect: no route");
        let error = anyhow::anyhow!("taken").context("listen");
        assert_eq!(one_line(&error), "listen: taken");
    }

    #[test]
    fn kinds_of_failure_have_their_codes_even_with_context() {
        assert_eq!(code(&anyhow::anyhow!("x")), 1);
        assert_eq!(code(&Failure::does_not_hold("x").context("credential")), 3);
        assert_eq!(code(&Failure::unreachable("x").context("hub")), 4);
    }
}
