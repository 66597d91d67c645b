//! Output in whole characters. Pages decode each message by itself, so a character of UTF-8 that two of them share is shown
//! as two that make no sense.

/// What was held back: the beginning of a character.
#[derive(Debug, Default)]
pub(super) struct Characters(Vec<u8>);

impl Characters {
    /// What can be shown now, with the beginning of a last character held back.
    pub(super) fn whole(&mut self, more: &[u8]) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.0);
        bytes.extend(more);
        let whole = bytes.len() - begun(&bytes);
        self.0 = bytes.split_off(whole);
        bytes
    }

    /// What is held back, since nothing more may come.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How many bytes at the end may be the beginning of a character: three at most.
fn begun(bytes: &[u8]) -> usize {
    let last = bytes.iter().rev().take(3).position(|byte| byte & 0xc0 != 0x80);
    let Some(after) = last else { return 0 };
    let lead = bytes[bytes.len() - 1 - after];
    let length = match lead {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    if after + 1 < length { after + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_torn_wherever_output_is_cut() {
        let text = "aä€𝄞-ß𝄞";
        for size in 1..text.len() {
            let (mut characters, mut shown) = (Characters::default(), String::new());
            for piece in text.as_bytes().chunks(size) {
                shown += std::str::from_utf8(&characters.whole(piece)).unwrap();
            }
            assert_eq!((&*shown, characters.is_empty()), (text, true), "{size}");
        }
    }

    #[test]
    fn what_is_no_text_passes_and_at_most_three_bytes_wait() {
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).chain([0xf0, 0x90, 0x80]).collect();
        let (mut characters, mut shown) = (Characters::default(), Vec::new());
        for byte in &all {
            shown.extend(characters.whole(&[*byte]));
            assert!(all[..].starts_with(&shown) && characters.0.len() <= 3);
        }
        shown.extend(characters.rest());
        assert_eq!(shown, all);
    }
}
