//! The list of an index's members of today, from whoever publishes it: a CSV with a column `Symbol`.
//!
//! - We say who we are, and ask what robots may read before we read it: what is forbidden, or cannot be asked, is not read.
//! - Retried like every call that only reads; whoever has no network learns it at once.
//! - What does not look like a list of members is refused whole: half a list would pass for an index.
//! - Must never: be asked from inside a runtime; it has one of its own.

use crate::files::is_symbol;
use crate::kite::http::{Address, HyperTransport, Limits, Method, Request, Response, Transport, TransportError};
use crate::kite::pace::{Pace, WallPace};
use crate::kite::{BACKOFF, JITTER, KiteError, Secret};
use std::collections::BTreeSet;
use std::time::Duration;

/// The name under which robots.txt knows us.
const ROBOT: &str = "daybook";
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// Bytes of a list; the longest published one has some tens of thousands.
const LIST_MAX: usize = 1 << 20;
/// A list of an index has at least so many members.
const MEMBERS_MIN: usize = 5;
/// What an exchange lists for some days after a demerger and nobody can trade.
const PLACEHOLDER: &str = "DUMMY";

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum IndexListError {
    /// The address cannot be used.
    #[error("index.url {url}: {reason}")]
    Address {
        /// The address.
        url: String,
        /// Why not.
        reason: String,
    },
    /// Nobody answered, or not as expected.
    #[error("{url}: {reason}")]
    NoAnswer {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// Robots are not to read it.
    #[error("{url}: its robots.txt asks programs not to read it")]
    NotForRobots {
        /// The address.
        url: String,
    },
    /// It is no list of members.
    #[error("{url}: {reason}; it is not taken for a list of members")]
    NoList {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Gets a list; its members in order of their symbols.
pub fn download(url: &str) -> Result<Vec<String>, IndexListError> {
    let (address, path) = divide(url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| no_answer(url, error.to_string()))?;
    let transport = HyperTransport::elsewhere(address, Limits::default()).map_err(|error| bad_address(url, &error))?;
    let text = runtime.block_on(text_of(&transport, &WallPace::new(), url, &path))?;
    read(&text).map_err(|reason| IndexListError::NoList { url: url.to_owned(), reason })
}

/// Whether an address is on this machine.
pub fn is_of_this_machine(url: &str) -> bool {
    divide(url).is_ok_and(|(address, _)| address.is_loopback())
}

/// The text behind an address, if robots may read it.
pub async fn text_of(
    transport: &dyn Transport,
    pace: &dyn Pace,
    url: &str,
    path: &str,
) -> Result<String, IndexListError> {
    let robots = get(transport, pace, url, "/robots.txt").await?;
    let rules = match robots.code {
        200 => String::from_utf8_lossy(&robots.body[..robots.body.len().min(LIST_MAX)]).into_owned(),
        // Whoever has no such file forbids nothing.
        400..500 => String::new(),
        code => return Err(no_answer(url, format!("its robots.txt is answered with HTTP {code}"))),
    };
    if !robots_allow(&rules, path) {
        return Err(IndexListError::NotForRobots { url: url.to_owned() });
    }
    let answer = get(transport, pace, url, path).await?;
    if answer.code != 200 {
        return Err(no_answer(url, format!("HTTP {}", answer.code)));
    }
    if answer.body.len() > LIST_MAX {
        return Err(no_answer(url, format!("it is larger than {LIST_MAX} bytes")));
    }
    String::from_utf8(answer.body).map_err(|_| no_answer(url, "it is not text".to_owned()))
}

async fn get(transport: &dyn Transport, pace: &dyn Pace, url: &str, path: &str) -> Result<Response, IndexListError> {
    let request = Request {
        method: Method::Get,
        target: Secret::new(path),
        name: format!("GET {path}"),
        authorization: None,
        form: None,
        limit: CALL_LIMIT,
    };
    let mut waits = BACKOFF.iter();
    loop {
        let sent = transport.send(&request).await;
        let again = match &sent {
            Ok(answer) => answer.code == 429 || answer.code >= 500,
            // Without a network there is nothing to wait for: the lists of before will do.
            Err(error) => !error.never_sent() && !matches!(error, TransportError::TooLarge(_)),
        };
        match waits.next().filter(|_| again) {
            Some(wait) => pace.sleep(wait + pace.chance(JITTER.cast_unsigned() + 1).cast_signed()).await,
            None => return sent.map_err(|error| no_answer(url, error.to_string())),
        }
    }
}

/// Reads a list: one symbol a row, each once, in order.
pub fn read(text: &str) -> Result<Vec<String>, String> {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let header = cells(lines.next().unwrap_or_default());
    let place = header.iter().position(|name| name.trim().eq_ignore_ascii_case("symbol"));
    let place = place.ok_or("it has no column Symbol")?;
    let mut members = BTreeSet::new();
    for (number, line) in (2..).zip(lines).filter(|(_, line)| !line.trim().is_empty()) {
        let row = cells(line);
        let symbol = row.get(place).map(|cell| cell.trim()).unwrap_or_default();
        if row.len() != header.len() || !is_symbol(symbol) {
            return Err(format!("its line {number} has no symbol"));
        }
        if !symbol.starts_with(PLACEHOLDER) && !members.insert(symbol.to_owned()) {
            return Err(format!("its line {number} has {symbol} a second time"));
        }
    }
    if members.len() < MEMBERS_MIN {
        return Err(format!("it names {} symbols", members.len()));
    }
    Ok(members.into_iter().collect())
}

/// What robots.txt says about a path to us: the longest rule that matches, and where two are as long, leave to read.
fn robots_allow(rules: &str, path: &str) -> bool {
    // Of each group: whom it is for, and its rules (leave or not, and the pattern).
    type Group = (Vec<String>, Vec<(bool, String)>);
    let mut groups: Vec<Group> = Vec::new();
    let mut begins = true;
    for line in rules.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let Some((field, value)) = line.split_once(':') else { continue };
        let (field, value) = (field.trim().to_ascii_lowercase(), value.trim());
        match field.as_str() {
            "user-agent" => {
                if begins && !groups.is_empty() && groups.last().is_some_and(|(_, rules)| rules.is_empty()) {
                    groups.last_mut().into_iter().for_each(|group| group.0.push(value.to_ascii_lowercase()));
                } else {
                    groups.push((vec![value.to_ascii_lowercase()], Vec::new()));
                }
                begins = true;
            }
            "allow" | "disallow" => {
                begins = false;
                let rule = (field == "allow", value.to_owned());
                groups
                    .last_mut()
                    .filter(|_| !value.is_empty())
                    .into_iter()
                    .for_each(|group| group.1.push(rule.clone()));
            }
            _ => {}
        }
    }
    let names_us = |agents: &[String]| agents.iter().any(|agent| agent == ROBOT);
    let own = groups.iter().any(|(agents, _)| names_us(agents));
    let ours = |agents: &[String]| if own { names_us(agents) } else { agents.iter().any(|agent| agent == "*") };
    let found = groups.iter().filter(|(agents, _)| ours(agents)).flat_map(|(_, rules)| rules);
    let best =
        found.filter(|(_, pattern)| matches(pattern, path)).max_by_key(|(allow, pattern)| (pattern.len(), *allow));
    best.is_none_or(|(allow, _)| *allow)
}

/// Does a pattern match the beginning of a path? `*` is anything, `$` the end.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, to_the_end) = match pattern.strip_suffix('$') {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    let parts: Vec<&str> = pattern.split('*').collect();
    let Some(mut rest) = path.strip_prefix(parts[0]) else { return false };
    for (number, part) in parts.iter().enumerate().skip(1) {
        if to_the_end && number + 1 == parts.len() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    !to_the_end || rest.is_empty()
}

/// The cells of a line; a quoted cell may hold commas.
fn cells(line: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quoted = false;
    for letter in line.trim_end_matches('\r').chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(String::new()),
            other => out.last_mut().into_iter().for_each(|cell| cell.push(other)),
        }
    }
    out
}

/// An address and the path behind it.
fn divide(url: &str) -> Result<(Address, String), IndexListError> {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let (host, path) = url.split_at(url[begin..].find('/').map_or(url.len(), |at| begin + at));
    let address = Address::parse(host).map_err(|error| bad_address(url, &error))?;
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    if !plain {
        return Err(IndexListError::Address { url: url.to_owned(), reason: "its path has other letters".to_owned() });
    }
    Ok((address, if path.is_empty() { "/".to_owned() } else { path.to_owned() }))
}

fn bad_address(url: &str, error: &KiteError) -> IndexListError {
    let reason = match error {
        KiteError::Address { reason, .. } => (*reason).to_owned(),
        other => other.to_string(),
    };
    IndexListError::Address { url: url.to_owned(), reason }
}

fn no_answer(url: &str, reason: String) -> IndexListError {
    IndexListError::NoAnswer { url: url.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\u{feff}Company Name,Industry,Symbol,Series,ISIN Code\r
\"Bajaj, Auto Ltd.\",Automobile,BAJAJ-AUTO,EQ,INE917I01010\r
Mahindra & Mahindra Ltd.,Automobile,M&M,EQ,INE101A01026\r
Infosys Ltd.,IT,INFY,EQ,INE009A01021\r
Dummy of a demerger,Automobile,DUMMYTATAM,EQ,INE155A01022\r
Reliance Industries Ltd.,Oil,RELIANCE,EQ,INE002A01018\r
Tata Consultancy Services Ltd.,IT,TCS,EQ,INE467B01029\r
";

    #[test]
    fn a_page_is_read_whole_or_not_at_all() {
        assert_eq!(read(PAGE).unwrap(), ["BAJAJ-AUTO", "INFY", "M&M", "RELIANCE", "TCS"]);
        for (bad, says) in [
            (PAGE.replace("Symbol", "Name"), "no column Symbol"),
            (PAGE.replace("TCS", "INFY"), "line 7 has INFY a second time"),
            (PAGE.replace("TCS,EQ,", ""), "line 7 has no symbol"),
            (PAGE.replace("INFY", ""), "line 4 has no symbol"),
            (PAGE.lines().take(4).collect::<Vec<_>>().join("\n"), "names 3 symbols"),
            ("<html><body>Access denied".to_owned(), "no column Symbol"),
            (String::new(), "no column Symbol"),
        ] {
            assert!(read(&bad).unwrap_err().contains(says), "{bad}");
        }
    }

    #[test]
    fn robots_are_asked() {
        let may = |rules: &str| robots_allow(rules, "/content/indices/list.csv");
        assert!(may("") && may("User-agent: *\nDisallow:\n") && may("nonsense"));
        assert!(!may("User-agent: *\nDisallow: /content/"));
        assert!(!may("# all\nUSER-AGENT: *\nAllow: /\nDisallow: /content/*.csv$ # lists"));
        assert!(may("User-agent: *\nDisallow: /content/\nAllow: /content/indices/"));
        assert!(may("User-agent: *\nDisallow: /\n\nUser-agent: daybook\nDisallow: /private/"));
        assert!(!may("User-agent: other\nUser-agent: daybook\nDisallow: /\n\nUser-agent: *\nAllow: /"));
        assert!(may("User-agent: other\nDisallow: /"));
        assert!(
            matches("/a*c$", "/abc") && !matches("/a*c$", "/abcd") && matches("/a*", "/abcd") && matches("/*$", "/x")
        );
        assert!(matches("/a*c$", "/acbc") && !matches("/b", "/a/b"));
    }

    #[test]
    fn addresses_are_divided() {
        let (address, path) = divide("https://example.org/a/b.csv?c=d").unwrap();
        assert_eq!((address.host.as_str(), address.port, path.as_str()), ("example.org", 443, "/a/b.csv?c=d"));
        assert_eq!(divide("http://127.0.0.1:9/").unwrap().1, "/");
        assert!(is_of_this_machine("http://localhost:1/x") && !is_of_this_machine("https://example.org/x"));
        for bad in ["http://example.org/x", "ftp://x/y", "", "https://", "https://x/a b"] {
            assert!(divide(bad).unwrap_err().to_string().contains("index.url"), "{bad}");
        }
    }
}
