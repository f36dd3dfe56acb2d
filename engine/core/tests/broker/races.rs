//! Things that happen at once: a target and a stop, a stop that rests, a stop that is changed too often, a broker that is
//! away when a stop must be placed.
//!
//! - The broker itself asserts at every fill that no reduction turns a position, at every change that there are no more
//!   than 25 of one order.

use super::exchange::{Broker, Chance, HONEST, Temper, WICKED};
use super::session::{Does, Session, Told, hours};
use daybook_config::Reconcile;
use daybook_core::Conclusion;
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{Command, OrderEvent, OrderType, Price, Verdict};

fn begin(does: Does, seed: u64, temper: Temper) -> (Session, Broker) {
    let mut session = Session::that(does, seed, Reconcile::Halt);
    let mut broker = Broker::new(seed, temper, session.now);
    broker.still = true;
    session.tell(Told::Opened(hours()));
    session.tell(Told::Command(Command::Arm));
    (session, broker)
}

fn rupees(paise: i64) -> Price {
    Price(paise * 1_000_000)
}

/// One cancels the other: the market touches the target, and while the stop gives way it falls through the stop, after
/// any number of seconds, at a broker that is slow, repeats itself and fills in parts. Both may fill, never more than
/// there is.
#[test]
fn a_target_and_a_stop_never_leave_more_than_there_is() {
    let (mut targets, mut stopped) = (0, 0);
    for seed in 0..64 {
        let wicked = Temper { lost: 3, refuses: 0, slow: 60, ..WICKED };
        let (mut session, mut broker) = begin(Does::Buys(50, 50), seed, wicked);
        (0..90).for_each(|_| session.second(&mut broker));
        let mut chance = Chance(seed);
        let stays = 1 + chance.below(9);
        broker.last = [rupees(10_060); 2];
        (0..stays).for_each(|_| session.second(&mut broker));
        broker.last = [rupees(9_940); 2];
        (0..chance.below(20)).for_each(|_| session.second(&mut broker));
        broker.temper = HONEST;
        session.quiet = true;
        for _ in 0..150 {
            session.second(&mut broker);
        }
        for index in 0..2 {
            assert_eq!((session.held(index), broker.positions[index]), (0, 0), "FAIL seed={seed} stays={stays}");
            assert_eq!(broker.stops(index), 0, "FAIL seed={seed}: nothing is left that could open a position");
        }
        for output in &session.outputs {
            match &output.body {
                Conclusion::Intent(intent) if *intent.reason == *"target" => targets += 1,
                Conclusion::Fill(fill) if fill.price <= rupees(9_945) => stopped += 1,
                _ => {}
            }
        }
        session.replay();
    }
    assert!(targets > 20 && stopped > 20, "{targets} targets, {stopped} fills below the stop");
}

/// A stop that was triggered and rests, because the market ran away from its protection, is cancelled after fifteen
/// seconds and the position left at the market as it is then.
#[test]
fn a_triggered_stop_that_fills_nothing_is_replaced_by_an_exit() {
    let (mut session, mut broker) = begin(Does::Buys(50, 1_000), 6, Temper { protects: 10, ..HONEST });
    (0..90).for_each(|_| session.second(&mut broker));
    assert_eq!((broker.positions, broker.stops(0)), ([5, 5], -5));
    // Triggered in the first second, nobody trades; a rupee lower in the next.
    (broker.dry, broker.last) = (true, [rupees(9_950); 2]);
    session.second(&mut broker);
    (broker.dry, broker.last) = (false, [rupees(9_850); 2]);
    let mut lasted = 0;
    while broker.positions != [0, 0] {
        session.second(&mut broker);
        assert!(session.core.awaits_broker(), "books that say nothing new are looked at all the same");
        lasted += 1;
        assert!(lasted < 60, "it still holds {:?}", broker.positions);
    }
    assert!((15..40).contains(&lasted), "left after {lasted} s");
    let market_exits = session.outputs.iter().filter(|output| {
        matches!(&output.body, Conclusion::Intent(intent)
            if intent.order_type == OrderType::Market && *intent.reason == *"stop")
    });
    assert_eq!(market_exits.count(), 2);
    session.replay();
}

/// A stop that is tightened again and again is placed anew before the broker's 25 changes are used up; without a stop a
/// position stands no longer than the broker takes for a cancel and a placement.
#[test]
fn a_stop_that_is_changed_often_is_placed_anew_and_the_gap_is_bounded() {
    let (mut session, mut broker) = begin(Does::Tightens(1_000), 6, HONEST);
    (0..90).for_each(|_| session.second(&mut broker));
    let (mut bare, mut longest) = ([0; 2], 0);
    for _ in 0..3_000 {
        session.second(&mut broker);
        for (index, bare) in bare.iter_mut().enumerate() {
            assert_eq!(broker.positions[index], 5);
            *bare = if broker.stops(index) == 0 { *bare + 1 } else { 0 };
            longest = longest.max(*bare);
        }
    }
    let of = |wanted: fn(&Conclusion) -> bool| session.outputs.iter().filter(|output| wanted(&output.body)).count();
    let changes = of(|body| matches!(body, Conclusion::Modified(terms) if terms.event == OrderEvent::ModifyRequested));
    let stops = of(|body| matches!(body, Conclusion::Intent(intent) if intent.order_type == OrderType::Stop));
    assert!(changes > 80 && stops >= 6, "{changes} changes of {stops} stops");
    // A cancel takes up to three seconds here, a placement as long, and one more each to be heard of.
    assert!(longest <= 9, "a position was without a stop for {longest} s");
    session.replay();
}

/// RL-31, RL-33: the token dies between an entry's fill and its stop. Nothing can be placed until it is back; then the
/// stop is the first thing that goes.
#[test]
fn a_stop_that_cannot_be_sent_goes_as_soon_as_it_can() {
    for seed in 0..24 {
        let (mut session, mut broker) = begin(Does::Buys(100, 1_000), seed, HONEST);
        while broker.positions == [0, 0] {
            session.second(&mut broker);
        }
        broker.away_until = session.now + 100 * SECOND;
        (0..100).for_each(|_| session.second(&mut broker));
        let sent_before = session.outputs.len();
        session.quiet = true;
        (0..40).for_each(|_| session.second(&mut broker));
        for index in 0..2 {
            assert_eq!(broker.stops(index), -broker.positions[index], "FAIL seed={seed}");
        }
        let first = session.outputs[sent_before..].iter().find_map(|output| match &output.body {
            Conclusion::Intent(intent) if intent.verdict == Verdict::Approved => Some(intent.order_type),
            _ => None,
        });
        assert!(first.is_none_or(|kind| kind == OrderType::Stop), "FAIL seed={seed}: {first:?}");
        session.replay();
    }
}

/// RL-27, RL-29, BT-33: a market order that may slip so far and no farther is a limit; where it fills nothing for fifteen
/// seconds its rest is cancelled, and nothing is chased. Asked for twice at once, it goes out once.
#[test]
fn an_entry_that_may_not_slip_is_not_left_at_the_exchange() {
    let (mut session, mut broker) = begin(Does::Chases, 4, HONEST);
    broker.dry = true;
    (0..70).for_each(|_| session.second(&mut broker));
    let entries = |session: &Session| -> Vec<_> {
        let entry = |output: &daybook_core::Output| match &output.body {
            Conclusion::Intent(intent) if *intent.reason == *"in" => {
                Some((intent.order_type, intent.limit, intent.verdict))
            }
            _ => None,
        };
        session.outputs.iter().filter_map(entry).collect()
    };
    let guard = Some(rupees(10_005));
    let once = [(OrderType::Limit, guard, Verdict::Approved), (OrderType::Limit, guard, Verdict::Duplicate)];
    assert_eq!(entries(&session), [once, once].concat(), "for each instrument");
    assert_eq!(session.core.working_orders().count(), 2);
    (0..30).for_each(|_| session.second(&mut broker));
    assert_eq!((session.core.working_orders().count(), broker.positions), (0, [0, 0]));
    broker.dry = false;
    (0..120).for_each(|_| session.second(&mut broker));
    assert_eq!((entries(&session).len(), broker.positions), (4, [0, 0]), "the strategy decides anew, nobody else");
    session.replay();
}
