//! Descriptions as doc comments.
//!
//! Descriptions are Markdown written for people who call HTTP; rustdoc reads more into them than was meant: types in
//! angle brackets as HTML, words in square brackets as links to items, indented lines as Rust that must compile.

use proc_macro2::TokenStream;
use quote::quote;

/// Doc attributes of some paragraphs, the empty ones left out.
pub(crate) fn doc<S: AsRef<str>>(paragraphs: &[S]) -> TokenStream {
    let texts = paragraphs.iter().map(|text| text.as_ref().trim_end()).filter(|text| !text.trim().is_empty());
    let text = texts.collect::<Vec<_>>().join("\n\n");
    let lines = text.lines().map(|line| if line.is_empty() { String::new() } else { format!(" {line}") });
    quote!(#(#[doc = #lines])*)
}

/// Makes a description safe for rustdoc.
pub(crate) fn safe(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut fence: Option<&str> = None;
    let mut paragraph: Vec<&str> = Vec::new();
    let clean: String = text.chars().filter(|c| *c == '\n' || *c == '\t' || is_harmless(*c)).collect();
    let clean = clean.replace('\t', "    ");
    for line in clean.lines() {
        let line = line.trim_end();
        let trimmed = line.trim_start();
        let opens = ["```", "~~~"].into_iter().find(|marks| trimmed.starts_with(marks));
        match (fence, opens) {
            (None, Some(marks)) => {
                flush(&mut paragraph, &mut out);
                fence = Some(marks);
                out.push(format!("{marks}text"));
            }
            (Some(marks), Some(other)) if marks == other => {
                fence = None;
                out.push(marks.to_owned());
            }
            (Some(_), _) => out.push(line.to_owned()),
            (None, None) if trimmed.is_empty() => {
                flush(&mut paragraph, &mut out);
                out.push(String::new());
            }
            (None, None) => paragraph.push(line),
        }
    }
    flush(&mut paragraph, &mut out);
    out.extend(fence.map(str::to_owned));
    out.join("\n").trim().to_owned()
}

/// The first sentence of a description, on one line, safe for rustdoc. Nothing if it begins with a list or the like.
pub(crate) fn first_sentence(text: &str) -> String {
    let is_prose = |line: &&str| {
        let is_mark = line.starts_with(|c: char| c.is_ascii_punctuation() && !"`*_[<".contains(c));
        !line.is_empty() && !is_mark && !line.starts_with("```") && !line.starts_with("* ")
    };
    let lines: Vec<&str> = text.trim().lines().map(str::trim).take_while(is_prose).collect();
    let paragraph = lines.join(" ");
    safe(paragraph.find(". ").map_or(&paragraph, |end| &paragraph[..=end]))
}

fn is_harmless(c: char) -> bool {
    // Marks that turn the direction of text are refused by the compiler.
    !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn flush(paragraph: &mut Vec<&str>, out: &mut Vec<String>) {
    if paragraph.is_empty() {
        return;
    }
    // Four spaces would begin a block of code.
    let lines = paragraph.drain(..).map(|line| {
        let indent = (line.len() - line.trim_start().len()).min(3);
        format!("{}{}", &"   "[..indent], close_up(line.trim_start()))
    });
    let lines: Vec<String> = lines.collect();
    let in_table =
        lines.iter().any(|line| line.contains('-') && line.contains('|') && line.chars().all(|c| " |-:".contains(c)));
    // Code between backticks does not reach from one item of a list into the next.
    let mut blocks: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in lines {
        let is_alone = stands_alone(line.trim_start());
        match blocks.last_mut().filter(|_| is_open && !is_alone && !begins_block(line.trim_start())) {
            Some(block) => {
                block.push('\n');
                block.push_str(&line);
            }
            None => blocks.push(line),
        }
        is_open = !is_alone;
    }
    out.extend(blocks.iter().flat_map(|block| escape(block, in_table).lines().map(str::to_owned).collect::<Vec<_>>()));
}

/// Takes away the spaces after the marks of lists and quotes, which could begin a block of code.
fn close_up(line: &str) -> String {
    let mut closed = String::new();
    let mut rest = line;
    loop {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let mark = if digits > 0 { digits + 1 } else { 1 };
        let is_mark = rest[digits..].starts_with(if digits > 0 { &['.', ')'][..] } else { &['-', '*', '+', '>'][..] });
        if !is_mark || !rest[mark..].starts_with(' ') {
            let ticks = rest.len() - rest.trim_start_matches('`').len();
            let begins_code = !closed.is_empty() && ticks > 2;
            return if begins_code { closed + &"\\`".repeat(ticks) + &rest[ticks..] } else { closed + rest };
        }
        closed.push_str(&rest[..mark]);
        closed.push(' ');
        rest = rest[mark..].trim_start();
    }
}

/// Whether a line begins an item of a list, or what would be taken for a block of HTML.
fn begins_block(line: &str) -> bool {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let is_number = digits > 0 && line[digits..].starts_with(['.', ')']);
    is_number || line.starts_with(['-', '*', '+', '<'])
}

/// Whether a line is a heading, a rule, a quote or a row of a table.
fn stands_alone(line: &str) -> bool {
    line.starts_with(['#', '>', '=']) || line.contains('|') || line.starts_with("--")
}

/// Escapes what stands outside of code in a paragraph. The cells of a table end also in the midst of code.
fn escape(text: &str, in_table: bool) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '`' {
            let ticks = rest.len() - rest.trim_start_matches('`').len();
            let (marks, after) = rest.split_at(ticks);
            match end_of_code(after, ticks).filter(|end| !in_table || !after[..*end].contains('|')) {
                Some(end) => {
                    out.push_str(&rest[..ticks + end + ticks]);
                    rest = &rest[ticks + end + ticks..];
                }
                None => {
                    out.push_str(&"\\`".repeat(marks.len()));
                    rest = after;
                }
            }
        } else if c == '\\' {
            let mut chars = rest.chars();
            chars.next();
            match chars.next() {
                Some(next) if next.is_ascii_punctuation() => {
                    out.push('\\');
                    out.push(next);
                    rest = chars.as_str();
                }
                _ => {
                    out.push_str("\\\\");
                    rest = &rest[1..];
                }
            }
        } else if let Some(length) = link(rest) {
            out.push_str(&rest[..length]);
            rest = &rest[length..];
        } else if let Some(length) = autolink(rest) {
            out.push_str(&rest[..length]);
            rest = &rest[length..];
        } else if let Some(length) = url(rest) {
            out.push_str(&format!("<{}>", &rest[..length]));
            rest = &rest[length..];
        } else {
            if matches!(c, '[' | ']' | '<') || rest.starts_with("~~~") {
                out.push('\\');
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// Where as many backticks follow as began the code.
fn end_of_code(text: &str, ticks: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if bytes[index] == b'`' {
            let run = bytes[index..].iter().take_while(|byte| **byte == b'`').count();
            if run == ticks {
                return Some(index);
            }
            index += run;
        } else {
            index += 1;
        }
    }
    None
}

/// The length of `[text](http…)`, if that is what comes next.
fn link(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('[')?;
    let close = inner.find(']')?;
    if inner[..close].contains(['[', '<', '`', '\n']) {
        return None;
    }
    let target = inner[close + 1..].strip_prefix('(')?;
    let is_web = ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme));
    let end = target.find(')')?;
    let is_plain = !target[..end].contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '[' | ']' | '('));
    (is_web && is_plain).then_some(1 + close + 1 + 1 + end + 1)
}

fn autolink(text: &str) -> Option<usize> {
    let length = url(text.strip_prefix('<')?)?;
    text[length + 1..].starts_with('>').then_some(length + 2)
}

/// The length of a bare URL.
fn url(text: &str) -> Option<usize> {
    let scheme = ["https://", "http://"].into_iter().find(|scheme| text.starts_with(scheme))?;
    let end = text
        .find(|c: char| {
            c.is_whitespace()
                || matches!(c, '<' | '>' | '"' | '\'' | '`' | '(' | ')' | '[' | ']' | '{' | '}' | '\\' | '|')
        })
        .unwrap_or(text.len());
    let length = text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_']).len();
    (length > scheme.len()).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rustdoc_would_misread_is_escaped() {
        for (text, expected) in [
            ("a <taskId> and [x]", r"a \<taskId> and \[x\]"),
            ("`<taskId>` and ``a`b``", "`<taskId>` and ``a`b``"),
            ("a lone ` tick", r"a lone \` tick"),
            ("see https://tc.example/x.", "see <https://tc.example/x>."),
            ("see <https://tc.example/x>", "see <https://tc.example/x>"),
            ("[docs](https://tc.example/x)", "[docs](https://tc.example/x)"),
            ("[docs](/reference)", r"\[docs\](/reference)"),
            ("a\n\n    let x = 1;", "a\n\n   let x = 1;"),
            ("```\nlet x = <T>;", "```text\nlet x = <T>;\n```"),
            ("```js\n1\n```\nb", "```text\n1\n```\nb"),
            ("\u{202e}evil\u{7}", "evil"),
            ("- `a\n- b` <c>", "- \\`a\n- b\\` \\<c>"),
            ("-     a", "- a"),
            ("1. ```x\n   ```", "1. \\`\\`\\`x\n```text\n```"),
            ("> ~~~\n> x", "> \\~~~\n> x"),
            ("a `b\n<!-- c` d", "a \\`b\n\\<!-- c\\` d"),
            ("|a|b|\n|-|-|\n|`c|d`|", "|a|b|\n|-|-|\n|\\`c|d\\`|"),
            (r"already \[escaped\]", r"already \[escaped\]"),
            ("https://x/<y>", r"<https://x/>\<y>"),
        ] {
            assert_eq!(safe(text), expected);
        }
    }

    #[test]
    fn the_first_sentence_ends_at_its_full_stop() {
        assert_eq!(first_sentence("One two.\nThree."), "One two.");
        assert_eq!(first_sentence("One\ntwo\n\nthree"), "One two");
        assert_eq!(first_sentence("One [x]\n```\n[y]\n```"), r"One \[x\]");
        assert_eq!(first_sentence("```\nx\n```"), "");
    }
}
