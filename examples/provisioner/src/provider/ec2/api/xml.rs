//! Answers of EC2: XML without attributes that mean anything, read into a tree.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;

/// How deep an answer may be nested. EC2's are a dozen levels deep.
const MAX_DEPTH: usize = 64;

/// An element: text, or other elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

/// What is no XML, or not all of it.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not XML: {0}")]
pub(crate) struct NotXml(String);

impl Element {
    /// The root element of a document.
    pub(crate) fn parse(document: &str) -> Result<Self, NotXml> {
        let mut reader = Reader::from_str(document);
        // What is open, the innermost last; below them all an element that stands for the document.
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().map_err(|error| NotXml(error.to_string()))? {
                Event::Start(start) => {
                    if open.len() > MAX_DEPTH {
                        return Err(NotXml("it is nested too deeply".to_owned()));
                    }
                    open.push(Self::named(start.local_name().into_inner()));
                }
                Event::Empty(empty) => innermost(&mut open).children.push(Self::named(empty.local_name().into_inner())),
                Event::End(_) => {
                    // The reader has seen to it that there is one.
                    if let Some(element) = open.pop() {
                        innermost(&mut open).children.push(element);
                    }
                }
                Event::Text(text) => innermost(&mut open).text.push_str(&text),
                Event::CData(text) => innermost(&mut open).text.push_str(&text),
                Event::GeneralRef(reference) => {
                    let character = reference.resolve_char_ref().map_err(|error| NotXml(error.to_string()))?;
                    match (character, resolve_xml_entity(&reference)) {
                        (Some(character), _) => innermost(&mut open).text.push(character),
                        (None, Some(text)) => innermost(&mut open).text.push_str(text),
                        (None, None) => return Err(NotXml(format!("there is no entity {:?}", &*reference))),
                    }
                }
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        match (open.pop(), open.is_empty()) {
            (Some(mut document), true) if document.children.len() == 1 => Ok(document.children.remove(0)),
            (_, true) => Err(NotXml("it has not one root".to_owned())),
            _ => Err(NotXml("it ends in the middle".to_owned())),
        }
    }

    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The first child of that name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// What is inside the element on that path, such as `placement/availabilityZone`. Nothing if there is none, or if it is empty.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        let element = path.split('/').try_fold(self, |element, name| element.child(name))?;
        Some(element.text.trim()).filter(|text| !text.is_empty())
    }

    /// The members of a list, which EC2 writes as `<list><item>…</item>…</list>`.
    pub(crate) fn items(&self, list: &str) -> impl Iterator<Item = &Self> {
        self.child(list).into_iter().flat_map(|list| list.children.iter().filter(|child| child.name == "item"))
    }
}

fn innermost(open: &mut Vec<Element>) -> &mut Element {
    if open.is_empty() {
        open.push(Element::default());
    }
    let last = open.len() - 1;
    &mut open[last]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_texts_are_found_by_their_path() {
        let document = r#"<?xml version="1.0" encoding="UTF-8"?>
            <Answer xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
              <set><item><id>i-1</id><at><zone>a &lt;b&gt; &#38; c</zone></at></item><other/><item><id/></item></set>
            </Answer>"#;
        let answer = Element::parse(document).unwrap();
        let ids: Vec<_> = answer.items("set").map(|item| item.text("id")).collect();
        assert_eq!(ids, [Some("i-1"), None]);
        assert_eq!(answer.items("set").next().unwrap().text("at/zone"), Some("a <b> & c"));
        assert_eq!(answer.items("none").count(), 0);
        assert_eq!(answer.text("set/none"), None);
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for document in ["", "text", "<a>", "<a></b>", "<a/><b/>", "<a>&nothing;</a>", &"<a>".repeat(1000)] {
            assert!(Element::parse(document).is_err(), "{document:.20}");
        }
    }
}
