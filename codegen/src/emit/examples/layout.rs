//! Lays code out in lines, as rustfmt would, nearly.

/// How long a line of an example may be.
const WIDTH: usize = 92;

/// A piece of code.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    form: Form,
    /// What follows without a break, such as `.await?`.
    end: String,
}

#[derive(Clone, Debug)]
enum Form {
    Plain(String),
    /// Parts between brackets, after what stands before the brackets.
    Group {
        head: String,
        brackets: (&'static str, &'static str),
        parts: Vec<Expression>,
    },
    /// Calls, one of what the other gives.
    Chain {
        head: Box<Expression>,
        links: Vec<Expression>,
    },
    /// `let name = value`
    Binding {
        head: String,
        value: Box<Expression>,
    },
}

impl Expression {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::of(Form::Plain(text.into()))
    }

    /// `function(arguments)`; without a function a tuple.
    pub(super) fn call(function: &str, arguments: impl IntoIterator<Item = Self>) -> Self {
        Self::group(function, ("(", ")"), arguments)
    }

    /// `[parts]`, or with `vec!` before it.
    pub(super) fn list(head: &str, parts: impl IntoIterator<Item = Self>) -> Self {
        Self::group(head, ("[", "]"), parts)
    }

    /// `head.link().link()`
    pub(super) fn chain(head: &str, links: Vec<Self>) -> Self {
        Self::chain_of(Self::plain(head), links)
    }

    pub(super) fn chain_of(head: Self, links: Vec<Self>) -> Self {
        Self::of(Form::Chain { head: Box::new(head), links })
    }

    pub(super) fn binding(head: &str, value: Self) -> Self {
        Self::of(Form::Binding { head: head.to_owned(), value: Box::new(value) })
    }

    pub(super) fn with_end(mut self, end: &str) -> Self {
        self.end.push_str(end);
        self
    }

    fn group(head: &str, brackets: (&'static str, &'static str), parts: impl IntoIterator<Item = Self>) -> Self {
        Self::of(Form::Group { head: head.to_owned(), brackets, parts: parts.into_iter().collect() })
    }

    fn of(form: Form) -> Self {
        Self { form, end: String::new() }
    }

    fn on_one_line(&self) -> String {
        let text = match &self.form {
            Form::Plain(text) => text.clone(),
            Form::Group { head, brackets: (open, close), parts } => {
                let parts: Vec<String> = parts.iter().map(Self::on_one_line).collect();
                format!("{head}{open}{}{close}", parts.join(", "))
            }
            Form::Chain { head, links } => {
                let links: String = links.iter().map(|link| format!(".{}", link.on_one_line())).collect();
                head.on_one_line() + &links
            }
            Form::Binding { head, value } => format!("{head} = {}", value.on_one_line()),
        };
        text + &self.end
    }

    /// The lines of it, this far from the left, with what ends the last one.
    pub(super) fn lines(&self, indent: usize, after: &str) -> Vec<String> {
        let space = " ".repeat(indent);
        let line = self.on_one_line();
        if indent + line.len() + after.len() <= WIDTH {
            return vec![format!("{space}{line}{after}")];
        }
        let end = &self.end;
        match &self.form {
            Form::Plain(text) => vec![format!("{space}{text}{end}{after}")],
            // A group in a group needs no lines for both.
            Form::Group { head, brackets: (open, close), parts } if is_lone_group(parts) => {
                let mut lines = parts[0].lines(indent, &format!("{close}{end}{after}"));
                lines[0].insert_str(indent, &format!("{head}{open}"));
                lines
            }
            Form::Group { head, brackets: (open, close), parts } => {
                let comma = if head.ends_with('!') && *open == "(" { "" } else { "," };
                let mut lines = vec![format!("{space}{head}{open}")];
                lines.extend(parts.iter().flat_map(|part| part.lines(indent + 4, comma)));
                lines.push(format!("{space}{close}{end}{after}"));
                lines
            }
            Form::Chain { head, links } => {
                let mut lines = head.lines(indent, "");
                // The links stand below the beginning, unless that ends in a bracket at its place.
                let deeper = if lines.len() > 1 { indent } else { indent + 4 };
                for link in links {
                    let mut broken = link.lines(deeper, "");
                    broken[0].insert(deeper, '.');
                    lines.extend(broken);
                }
                // `.await?` stands on a line of its own.
                match end.as_str() {
                    "" => lines.last_mut().into_iter().for_each(|line| line.push_str(after)),
                    end => lines.push(format!("{}{end}{after}", " ".repeat(deeper))),
                }
                lines
            }
            Form::Binding { head, value } => {
                let mut lines = value.lines(indent, after);
                lines[0].insert_str(indent, &format!("{head} = "));
                lines
            }
        }
    }
}

fn is_lone_group(parts: &[Expression]) -> bool {
    matches!(parts, [Expression { form: Form::Group { .. }, .. }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(length: usize) -> Expression {
        Expression::plain("a".repeat(length))
    }

    #[test]
    fn what_is_short_stays_on_a_line() {
        let call = Expression::call("f", [name(2), Expression::list("", [name(1)])]).with_end("?");
        assert_eq!(Expression::binding("let x", call).lines(0, ";"), ["let x = f(aa, [a])?;"]);
    }

    #[test]
    fn what_is_long_is_broken_from_the_outside() {
        let call = Expression::call("f", [name(60), Expression::call("g", [name(30)])]);
        let (long, short) = ("a".repeat(60), "a".repeat(30));
        let expected = ["let x = f(".to_owned(), format!("    {long},"), format!("    g({short}),"), ");".to_owned()];
        assert_eq!(Expression::binding("let x", call).lines(0, ";"), expected);
    }

    #[test]
    fn calls_stand_below_each_other() {
        let links = vec![Expression::call("f", [name(80)]), Expression::call("g", [])];
        let chain = Expression::binding("let x", Expression::chain("tc.queue()", links).with_end(".await?"));
        let expected = format!("let x = tc.queue()\n    .f({})\n    .g()\n    .await?;", "a".repeat(80));
        assert_eq!(chain.lines(0, ";").join("\n"), expected);
    }
}
