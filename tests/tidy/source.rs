//! Reads a source file as far as the rules need it: what is code, what is not, where functions begin and end.
//!
//! - Comments and the insides of literals become spaces, line breaks stay: a line number found in the code is the
//!   file's.
//! - Must never: try to be a compiler. What it cannot follow it passes over.

/// The text with comments and the insides of string and character literals replaced by spaces.
pub fn code_of(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let end = match letters[at] {
            '/' if letters.get(at + 1) == Some(&'/') => find(&letters, at, '\n'),
            '/' if letters.get(at + 1) == Some(&'*') => end_of_block_comment(&letters, at),
            '"' => end_of_string(&letters, at),
            'r' if !follows_word(&letters, at) => end_of_raw_string(&letters, at).unwrap_or(at),
            'b' | 'c' if letters.get(at + 1) == Some(&'r') && !follows_word(&letters, at) => {
                end_of_raw_string(&letters, at + 1).unwrap_or(at)
            }
            '\'' => end_of_character(&letters, at).unwrap_or(at),
            _ => at,
        };
        if end == at {
            code.push(letters[at]);
            at += 1;
        } else {
            code.extend(letters[at..end].iter().map(|&letter| if letter == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

fn find(letters: &[char], from: usize, wanted: char) -> usize {
    letters[from..].iter().position(|&letter| letter == wanted).map_or(letters.len(), |offset| from + offset)
}

fn end_of_block_comment(letters: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at + 1 < letters.len() {
        match (letters[at], letters[at + 1]) {
            ('/', '*') => {
                depth += 1;
                at += 2;
            }
            ('*', '/') => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    letters.len()
}

fn end_of_string(letters: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < letters.len() {
        match letters[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    letters.len()
}

/// `r"…"`, `r#"…"#`; nothing for a raw identifier or a word that begins with r.
fn end_of_raw_string(letters: &[char], from: usize) -> Option<usize> {
    let hashes = letters[from + 1..].iter().take_while(|&&letter| letter == '#').count();
    if letters.get(from + 1 + hashes) != Some(&'"') {
        return None;
    }
    let mut at = from + 2 + hashes;
    loop {
        at = find(letters, at, '"');
        if at >= letters.len() {
            return Some(letters.len());
        }
        let closing = letters[at + 1..].iter().take(hashes).filter(|&&letter| letter == '#').count();
        at += 1;
        if closing == hashes {
            return Some(at + hashes);
        }
    }
}

/// `'x'`, `'\n'`; nothing for a lifetime.
fn end_of_character(letters: &[char], from: usize) -> Option<usize> {
    match letters.get(from + 1)? {
        '\\' => Some((find(letters, from + 3, '\'') + 1).min(letters.len())),
        _ if letters.get(from + 2) == Some(&'\'') => Some(from + 3),
        _ => None,
    }
}

fn follows_word(letters: &[char], at: usize) -> bool {
    at > 0 && is_word(letters[at - 1])
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// A function: its name, its first line, and how many lines it has.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

/// The functions with a body in code that went through [`code_of`].
pub fn functions(code: &str) -> Vec<Function> {
    words(code, "fn").filter_map(|at| function(code, at)).collect()
}

fn function(code: &str, at: usize) -> Option<Function> {
    let rest = &code[at + 2..];
    let name: String = rest.trim_start().chars().take_while(|&letter| is_word(letter)).collect();
    if name.is_empty() || !rest.starts_with(char::is_whitespace) {
        return None;
    }
    let mut depth = 0i32;
    let body = rest.char_indices().find(|&(_, letter)| {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        depth == 0 && (letter == '{' || letter == ';')
    });
    let (begin, _) = body.filter(|(_, letter)| *letter == '{')?;
    let mut depth = 0i32;
    let end = rest[begin..].char_indices().find(|&(_, letter)| {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    let end = begin + end.map_or(rest.len() - begin, |(offset, _)| offset);
    Some(Function { name, line: line_at(code, at), lines: rest[..end].matches('\n').count() + 1 })
}

/// Where a word, or words joined by `::`, stand alone.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The line, from 1, of a byte.
pub fn line_at(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Code and its tests: everything before the first `#[cfg(test)]`, as most files are laid out.
pub fn without_tests(code: &str) -> &str {
    code.find("#[cfg(test)]").map_or(code, |at| &code[..at])
}

#[test]
fn comments_and_literals_are_not_code() {
    let text = "a // x { \"\nb /* y /* z */ { */ c \"d \\\" { \" e r#\"f \" { \"# g '{' h '\\'' i 'life br\"{\" r#fn";
    let code = code_of(text);
    assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), "a b c e g h i 'life r#fn");
    assert_eq!(code.lines().count(), 2);
}

#[test]
fn functions_are_measured_over_their_bodies() {
    let code = code_of(
        "fn one() {}\n\
         pub fn two<'a>(x: [u8; 4], f: fn(u8) -> u8) -> &'a str\nwhere\n    u8: Copy,\n{\n    \"}\"\n}\n\
         trait T {\n    fn three(&self);\n}\n\
         // fn four() {\nlet infinite = 1;\n",
    );
    let expected =
        [("one", 1, 1), ("two", 2, 6)].map(|(name, line, lines)| Function { name: name.to_owned(), line, lines });
    assert_eq!(functions(&code), expected);
}
