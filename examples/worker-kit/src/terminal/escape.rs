//! `~.` at the beginning of a line: the way out when the program elsewhere does not listen any more. As that of ssh.

const MARK: u8 = b'~';

/// What was typed last.
#[derive(Debug)]
pub(super) struct Escape {
    /// A line begins here.
    at_start: bool,
    /// The mark was typed there, and kept back.
    is_marked: bool,
}

impl Default for Escape {
    fn default() -> Self {
        Self { at_start: true, is_marked: false }
    }
}

impl Escape {
    /// What of it goes to the program; `None`: out.
    pub(super) fn pass(&mut self, typed: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(typed.len() + 1);
        for &byte in typed {
            if std::mem::take(&mut self.is_marked) {
                match byte {
                    b'.' => return None,
                    MARK => {}
                    _ => out.push(MARK),
                }
            } else if self.at_start && byte == MARK {
                self.is_marked = true;
                self.at_start = false;
                continue;
            }
            out.push(byte);
            self.at_start = matches!(byte, b'\r' | b'\n');
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(pieces: &[&str]) -> Option<String> {
        let mut escape = Escape::default();
        let passed: Option<Vec<_>> = pieces.iter().map(|piece| escape.pass(piece.as_bytes())).collect();
        Some(String::from_utf8(passed?.concat()).unwrap())
    }

    #[test]
    fn a_tilde_and_a_dot_at_the_beginning_of_a_line_lead_out() {
        for out in [&["~."][..], &["~", "."], &["ls\r~."], &["ls\r", "~", ".rest"]] {
            assert_eq!(typed(out), None, "{out:?}");
        }
    }

    #[test]
    fn everything_else_goes_to_the_program() {
        for (pieces, passed) in [
            (&["ls ~.\r"][..], "ls ~.\r"),
            (&["~/bin\r"], "~/bin\r"),
            (&["~", "/bin"], "~/bin"),
            (&["~~.\r"], "~.\r"),
            (&["~\r~~"], "~\r~"),
            (&["\x03~x"], "\x03~x"),
        ] {
            assert_eq!(typed(pieces).as_deref(), Some(passed), "{pieces:?}");
        }
    }
}
