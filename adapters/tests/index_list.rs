//! Getting an index's list in virtual time, from a server that answers by script.

use daybook_adapters::index_list::{IndexListError, text_of};
use daybook_adapters::kite::http::{Request, Response, Transport, TransportError};
use daybook_adapters::kite::pace::{Boxed, Pace};
use daybook_vocabulary::Nanos;
use daybook_vocabulary::time::SECOND;
use std::io::{Read, Write};
use std::sync::Mutex;

#[derive(Default)]
struct Sleeps(Mutex<Vec<i64>>);

impl Pace for Sleeps {
    fn now(&self) -> Nanos {
        Nanos(0)
    }
    fn sleep(&self, nanos: i64) -> Boxed<'_, ()> {
        self.0.lock().unwrap().push(nanos);
        Box::pin(std::future::ready(()))
    }
    fn sleep_outside(&self, nanos: i64) -> Boxed<'_, ()> {
        self.sleep(nanos)
    }
    fn chance(&self, _: u64) -> u64 {
        0
    }
}

type Answer = Result<Response, TransportError>;

struct Script(Mutex<Vec<Answer>>, Mutex<Vec<String>>);

impl Transport for Script {
    fn send<'a>(&'a self, request: &'a Request) -> Boxed<'a, Answer> {
        self.1.lock().unwrap().push(request.target.expose().to_owned());
        Box::pin(std::future::ready(self.0.lock().unwrap().remove(0)))
    }
}

fn answer(code: u16, body: &str) -> Answer {
    Ok(Response { code, body: body.as_bytes().to_vec(), ..Response::default() })
}

/// What was got, what was asked, how long each wait was.
async fn get(answers: Vec<Answer>) -> (Result<String, IndexListError>, Vec<String>, Vec<i64>) {
    let (script, pace) = (Script(Mutex::new(answers), Mutex::default()), Sleeps::default());
    let got = text_of(&script, &pace, "https://lists.example/a.csv", "/a.csv").await;
    (got, script.1.into_inner().unwrap(), pace.0.into_inner().unwrap())
}

/// RL-05: robots are asked first, a busy server again by the schedule, and without a network nobody waits.
#[tokio::test]
async fn robots_first_then_the_list_then_again() {
    let (got, asked, slept) = get(vec![answer(404, ""), answer(200, "list")]).await;
    assert_eq!((got.unwrap().as_str(), slept.len()), ("list", 0));
    assert_eq!(asked, ["/robots.txt", "/a.csv"]);

    let busy =
        vec![answer(404, ""), answer(503, ""), answer(429, ""), Err(TransportError::Timeout(5)), answer(200, "x")];
    let (got, _, slept) = get(busy).await;
    assert_eq!((got.unwrap().as_str(), slept), ("x", vec![SECOND / 2, SECOND, 2 * SECOND]));

    let (got, asked, _) = get(vec![answer(200, "User-agent: *\nDisallow: /a")]).await;
    assert!(matches!(got, Err(IndexListError::NotForRobots { .. })) && asked.len() == 1);

    let (got, _, slept) = get(vec![Err(TransportError::Dns("no such name".to_owned()))]).await;
    assert!(got.unwrap_err().to_string().contains("no such name") && slept.is_empty());

    // Robots that cannot be asked have not said yes.
    let (got, asked, slept) = get((0..6).map(|_| answer(500, "")).collect()).await;
    assert!(got.unwrap_err().to_string().contains("robots.txt is answered with HTTP 500"));
    assert_eq!((asked.len(), slept.len()), (6, 5));
    for (last, says) in [(answer(403, ""), "HTTP 403"), (answer(302, ""), "HTTP 302")] {
        let (got, ..) = get(vec![answer(404, ""), last]).await;
        assert!(got.unwrap_err().to_string().contains(says));
    }
}

/// Over a real socket: we say who we are, and nothing of the broker's protocol.
#[test]
fn a_list_over_the_wire() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/ind_nifty50list.csv", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let mut heads = Vec::new();
        let (mut stream, _) = listener.accept().unwrap();
        for body in ["User-agent: *\nDisallow: /private\n", "Company Name,Symbol\na,A1\nb,B2\nc,C3\nd,D4\ne,E5\n"] {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                head.push(byte[0]);
            }
            heads.push(String::from_utf8(head).unwrap().to_lowercase());
            let length = body.len();
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes()).unwrap();
        }
        heads
    });
    assert_eq!(daybook_adapters::index_list::download(&url).unwrap(), ["A1", "B2", "C3", "D4", "E5"]);
    let heads = server.join().unwrap();
    assert!(heads[0].starts_with("get /robots.txt ") && heads[1].starts_with("get /ind_nifty50list.csv "));
    assert!(heads.iter().all(|head| head.contains("user-agent: daybook/") && !head.contains("x-kite-version")));
}
