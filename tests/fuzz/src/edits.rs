//! Small changes to a text, encoded in bytes that a fuzzer makes up.

/// Splits an input at its first zero byte: a text, and what is left for changes.
pub(crate) fn split(data: &[u8]) -> Option<(&str, &[u8])> {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let text = std::str::from_utf8(&data[..end]).ok()?;
    Some((text, data.get(end + 1..).unwrap_or_default()))
}

/// The text with each change: four bytes say where, how, and to what. `None` where that is no text any more.
pub(crate) fn apply(text: &str, edits: &[u8]) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    for edit in edits.chunks_exact(4) {
        let place = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % (bytes.len() + 1);
        match (edit[2] % 3, bytes.get_mut(place)) {
            (0, Some(byte)) => *byte = edit[3],
            (1, Some(_)) => {
                bytes.remove(place);
            }
            _ => bytes.insert(place, edit[3]),
        }
    }
    String::from_utf8(bytes).ok()
}
