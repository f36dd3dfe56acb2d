//! A server that is killed goes on where it was: its book, played again, makes the same world.

use crate::market::{DATE, Hand, Script, TestMarket, at, placed, setup};
use daybook_adapters::kite_server::{BookStore, Command, Dice, Entry, Fields, Setup, World, resume};
use daybook_vocabulary::Nanos;
use std::sync::{Arc, Mutex};

/// A book in memory that outlives its server.
#[derive(Clone, Default)]
pub struct Memory(pub Arc<Mutex<Vec<(Nanos, String)>>>);

impl BookStore for Memory {
    fn entries(&mut self) -> Result<Vec<(Nanos, String)>, String> {
        Ok(self.0.lock().unwrap().clone())
    }
    fn append(&mut self, time: Nanos, entry: &str) -> Result<(), String> {
        self.0.lock().unwrap().push((time, entry.to_owned()));
        Ok(())
    }
    fn sync(&mut self) -> Result<(), String> {
        Ok(())
    }
}

fn world(setup: Setup) -> World {
    World::new(Arc::new(TestMarket::new(Script::saw())), setup)
}

/// Everything a client can see.
fn seen(world: &World) -> String {
    let histories: Vec<_> = world.order_rows().iter().map(|row| world.order_history(&row.order_id).unwrap()).collect();
    let all = (histories, world.trade_rows(), world.position_rows(), world.holding_rows(), world.gtt_rows());
    format!(
        "{} {} {:?}",
        serde_json::to_string(&all).unwrap(),
        serde_json::to_string(&world.margin_segment()).unwrap(),
        world.now()
    )
}

/// A command out of a hat.
fn any_command(dice: &mut Dice, ids: &[String]) -> Command {
    let fields = |text: String| Fields::parse(&text).unwrap();
    let side = ["BUY", "SELL"][dice.below(2) as usize];
    let price = 996 + dice.below(9);
    let id = |dice: &mut Dice| ids.get(dice.below(ids.len().max(1) as u64) as usize).cloned().unwrap_or_default();
    let base = format!("exchange=NSE&tradingsymbol=AAA&transaction_type={side}&quantity={}", 1 + dice.below(400));
    match dice.below(9) {
        0 => Command::Cancel { variety: "regular".into(), id: id(dice) },
        1 => Command::Modify { variety: "regular".into(), id: id(dice), fields: fields(format!("price={price}")) },
        2 => Command::Place {
            variety: "regular".into(),
            fields: fields(format!("{base}&product=MIS&order_type=MARKET&market_protection=-1")),
        },
        3 => Command::Place {
            variety: "regular".into(),
            fields: fields(format!("{base}&product=MIS&order_type=SL&price={price}&trigger_price={price}")),
        },
        4 => Command::Place {
            variety: "iceberg".into(),
            fields: fields(format!("{base}&product=MIS&order_type=LIMIT&price={price}&iceberg_legs=2")),
        },
        5 => Command::Convert {
            fields: fields(format!(
                "exchange=NSE&tradingsymbol=AAA&transaction_type={side}&position_type=day&quantity=1&old_product=MIS&new_product=CNC"
            )),
        },
        6 => Command::CreateGtt {
            fields: Fields::of([
                ("type", "single".to_owned()),
                ("condition", format!("{{\"exchange\":\"NSE\",\"tradingsymbol\":\"AAA\",\"trigger_values\":[{price}],\"last_price\":1}}")),
                ("orders", "[{\"transaction_type\":\"BUY\",\"quantity\":1,\"order_type\":\"LIMIT\",\"product\":\"CNC\",\"price\":1000}]".to_owned()),
            ]),
        },
        7 => Command::Login { key: "sim_api_key".into() },
        _ => Command::Place {
            variety: "regular".into(),
            fields: fields(format!("{base}&product=MIS&order_type=LIMIT&price={price}")),
        },
    }
}

#[test]
fn a_book_played_again_makes_the_same_world() {
    for seed in 0..12 {
        let mut store = Memory::default();
        let mut first = world(setup(DATE));
        assert!(!resume(&mut first, &mut store).unwrap());
        let mut dice = Dice::new(seed, Nanos(7));
        let mut now = at(DATE, "09:15:00");
        let mut ids: Vec<String> = Vec::new();
        let mut done = 0;
        for _ in 0..400 {
            now = now + (dice.below(120_000_000_000) as i64);
            // Time passes in steps of any length.
            first.play_to(Nanos((first.now().0 + now.0) / 2));
            first.play_to(now);
            let command = any_command(&mut dice, &ids);
            if let Ok(body) = first.apply(&command) {
                done += 1;
                store.append(now, &serde_json::to_string(&Entry::Did(command.clone())).unwrap()).unwrap();
                if matches!(command, Command::Place { .. }) {
                    ids.push(placed(&body).order_id);
                }
            }
        }
        assert!(done > 100, "seed {seed}: the hat held something");
        store.append(now, &serde_json::to_string(&Entry::Reached).unwrap()).unwrap();
        let mut second = world(setup(DATE));
        assert!(resume(&mut second, &mut store).unwrap());
        assert_eq!(seen(&first), seen(&second), "seed {seed}");
        for world in [&mut first, &mut second] {
            world.play_to(now + 86_400_000_000_000);
        }
        assert_eq!(seen(&first), seen(&second), "seed {seed}, a day later");
    }
}

#[test]
fn a_book_of_something_else_is_refused() {
    let mut store = Memory::default();
    resume(&mut world(setup(DATE)), &mut store).unwrap();
    let other = Setup { cash: daybook_vocabulary::Money::from_units(5), ..setup(DATE) };
    let error = resume(&mut world(other), &mut store).unwrap_err().to_string();
    assert!(error.contains("--book") && error.contains("--fresh"), "{error}");
    store.append(Nanos(0), "not json").unwrap();
    assert!(resume(&mut world(setup(DATE)), &mut store).unwrap_err().to_string().contains("not json"));
    let mut damaged = Memory::default();
    resume(&mut world(setup(DATE)), &mut damaged).unwrap();
    let cancel = Command::Cancel { variety: "regular".into(), id: "1".into() };
    damaged.append(at(DATE, "10:00"), &serde_json::to_string(&Entry::Did(cancel)).unwrap()).unwrap();
    assert!(resume(&mut world(setup(DATE)), &mut damaged).unwrap_err().to_string().contains("is refused now"));
}

#[test]
fn positions_never_differ_from_trades() {
    let mut hand = Hand::new(Script::saw());
    let mut dice = Dice::new(3, Nanos(1));
    hand.wait("09:15:00");
    let mut ids = Vec::new();
    for minute in 0..300 {
        let command = any_command(&mut dice, &ids);
        if let (Ok(body), Command::Place { .. }) = (hand.world.apply(&command), &command) {
            ids.push(placed(&body).order_id);
        }
        let time = 9 * 3600 + 16 * 60 + minute * 60;
        hand.wait(&format!("{:02}:{:02}:{:02}", time / 3600, time / 60 % 60, time % 60));
        let traded: i64 = hand
            .world
            .trade_rows()
            .iter()
            .map(|trade| if trade.transaction_type.as_str() == "BUY" { trade.quantity } else { -trade.quantity })
            .sum();
        let held: i64 = hand.world.position_rows().net.iter().map(|row| row.quantity).sum();
        assert_eq!(traded, held, "minute {minute}");
        for row in hand.world.order_rows() {
            let filled: i64 = hand.world.order_trades(&row.order_id).unwrap().iter().map(|trade| trade.quantity).sum();
            assert_eq!(row.filled_quantity, filled);
            assert_eq!(row.filled_quantity + row.pending_quantity + row.cancelled_quantity, row.quantity, "{row:?}");
        }
    }
}
