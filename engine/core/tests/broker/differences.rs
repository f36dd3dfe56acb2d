//! The broker's books differ from ours: each difference is named once, and dealt with by the policy of the session.
//!
//! - The market stands still where a test counts; the broker is honest, somebody else is not.

use super::exchange::{Broker, HONEST, Temper, WICKED};
use super::session::{Does, Session, Told, hours};
use super::{begin, check, settle};
use daybook_config::Reconcile;
use daybook_core::Conclusion;
use daybook_vocabulary::time::SECOND;
use daybook_vocabulary::{Command, DifferenceKind, InstrumentId, OrderId, Price, Remedy};

const ALL: [Reconcile; 3] = [Reconcile::Adopt, Reconcile::Flatten, Reconcile::Halt];

/// A session that holds five of each instrument, each with its stop a rupee below.
fn holding(reconcile: Reconcile) -> (Session, Broker) {
    let mut session = Session::that(Does::Buys(100, 1_000), 4, reconcile);
    let mut broker = Broker::new(4, HONEST, session.now);
    broker.still = true;
    session.tell(Told::Opened(hours()));
    session.tell(Told::Command(Command::Arm));
    (0..120).for_each(|_| session.second(&mut broker));
    assert_eq!((session.held(0), broker.stops(0), broker.stops(1)), (5, -5, -5));
    assert_eq!(session.differences(), []);
    (session, broker)
}

fn seconds(session: &mut Session, broker: &mut Broker, count: u32) {
    (0..count).for_each(|_| session.second(broker));
}

/// RL-32: a trade by hand in the same account is named, once, and dealt with by the policy.
#[test]
fn a_trade_by_hand_is_a_difference() {
    for (reconcile, remedy, held) in [
        (Reconcile::Halt, Remedy::Halt, 0),
        (Reconcile::Adopt, Remedy::Adopt, 7),
        (Reconcile::Flatten, Remedy::Flatten, 0),
    ] {
        let (mut session, mut broker) = begin(7, HONEST, reconcile);
        let concluded = session.tell(Told::Command(Command::Halt));
        broker.hand_on(&session.core, &concluded);
        (0..20).for_each(|_| session.second(&mut broker));
        broker.by_hand(0, 7, session.now);
        session.quiet = true;
        broker.still = true;
        (0..60).for_each(|_| session.second(&mut broker));
        let named: Vec<_> = session
            .outputs
            .iter()
            .filter_map(|output| match &output.body {
                Conclusion::Difference(difference) => Some((difference.what, difference.remedy, difference.theirs)),
                _ => None,
            })
            .collect();
        assert_eq!(named.len(), 1, "{reconcile:?}: {named:?}");
        assert_eq!((named[0].0, named[0].1), (DifferenceKind::Position, remedy));
        assert_eq!(session.held(0), held, "{reconcile:?}");
        assert_eq!(session.core.is_reconciled(), reconcile != Reconcile::Halt, "{reconcile:?}");
        if reconcile == Reconcile::Adopt {
            assert_eq!(broker.stops(0), -7, "what was taken over is protected");
        }
        if reconcile == Reconcile::Flatten {
            assert_eq!(broker.positions[0], 0, "what was taken over was left");
        }
        session.replay();
    }
}

/// An order of somebody else's in one of our instruments stops new risk, or is let be.
#[test]
fn an_order_by_hand_is_a_difference() {
    for (reconcile, remedy) in [(Reconcile::Halt, Remedy::Halt), (Reconcile::Adopt, Remedy::Adopt)] {
        let (mut session, mut broker) = begin(9, HONEST, reconcile);
        (0..20).for_each(|_| session.second(&mut broker));
        broker.order_by_hand(1);
        (0..60).for_each(|_| session.second(&mut broker));
        let named = session.outputs.iter().find_map(|output| match &output.body {
            Conclusion::Difference(difference) => Some((difference.what, difference.remedy)),
            _ => None,
        });
        assert_eq!(named, Some((DifferenceKind::ForeignOrder, remedy)));
        assert_eq!(session.core.is_reconciled(), reconcile == Reconcile::Adopt);
    }
}

/// An order of somebody else's is let be, or cancelled where everything is to be flat: again where the cancel was lost.
#[test]
fn an_order_by_hand_is_dealt_with_by_the_policy() {
    for reconcile in ALL {
        let (mut session, mut broker) = begin(9, HONEST, reconcile);
        session.quiet = true;
        seconds(&mut session, &mut broker, 20);
        broker.order_by_hand(1);
        broker.deaf = 1;
        seconds(&mut session, &mut broker, 25);
        let remedy = match reconcile {
            Reconcile::Adopt => Remedy::Adopt,
            Reconcile::Flatten => Remedy::Cancel,
            Reconcile::Halt => Remedy::Halt,
        };
        assert_eq!(session.differences(), [(DifferenceKind::ForeignOrder, remedy)]);
        assert_eq!(broker.foreign(), 1, "{reconcile:?}: let be, or the cancel was lost");
        seconds(&mut session, &mut broker, 60);
        assert_eq!(broker.foreign(), usize::from(reconcile != Reconcile::Flatten), "{reconcile:?}");
        assert_eq!(session.differences().len(), if reconcile == Reconcile::Flatten { 2 } else { 1 });
        assert_eq!(session.core.is_reconciled(), reconcile != Reconcile::Halt);
        let locked = session.core.risk().is_locked_by(daybook_vocabulary::LimitKind::Reconciliation);
        assert_eq!(locked, reconcile != Reconcile::Adopt);
        session.replay();
    }
}

/// RL-30: somebody sells what we hold. Whatever the policy, no stop and no exit of ours opens a position there.
#[test]
fn what_was_sold_by_hand_is_not_sold_again() {
    for reconcile in ALL {
        for sold in [5, 3, 8] {
            let (mut session, mut broker) = holding(reconcile);
            broker.by_hand(0, -sold, session.now);
            seconds(&mut session, &mut broker, 30);
            let left = (5 - sold).max(0);
            if reconcile == Reconcile::Halt {
                assert_eq!(session.held(0), 5, "nothing was taken over");
                assert_eq!(broker.stops(0), -left, "{sold} sold: the stop is for what they hold");
            } else {
                assert_eq!(session.held(0), broker.positions[0], "{reconcile:?}: theirs is ours");
            }
            // The market falls through the stop, and everything is left on top of it.
            broker.last[0] = "90".parse().unwrap();
            seconds(&mut session, &mut broker, 20);
            let concluded = session.tell(Told::Command(Command::Kill));
            broker.hand_on(&session.core, &concluded);
            seconds(&mut session, &mut broker, 40);
            let expected = if reconcile == Reconcile::Halt { (5 - sold).min(0) } else { 0 };
            assert_eq!(broker.positions[0], expected, "{reconcile:?}, {sold} sold by hand: nobody sold more");
            assert_eq!((session.held(1), broker.positions[1]), (0, 0));
            session.replay();
        }
    }
}

/// Once the broker holds again what we do, what we hold is protected whole again.
#[test]
fn a_position_that_is_put_right_by_hand_is_protected_again() {
    let (mut session, mut broker) = holding(Reconcile::Halt);
    broker.by_hand(0, -4, session.now);
    seconds(&mut session, &mut broker, 30);
    assert_eq!(broker.stops(0), -1);
    broker.by_hand(0, 4, session.now);
    seconds(&mut session, &mut broker, 30);
    assert_eq!((broker.stops(0), session.core.is_reconciled()), (-5, true));
    assert_eq!(session.differences(), [(DifferenceKind::Position, Remedy::Halt)]);
    session.replay();
}

/// An average price that no way of averaging our trades leads to; one that a re-entry explains is none.
#[test]
fn an_average_price_is_compared() {
    for reconcile in ALL {
        let (mut session, mut broker) = holding(reconcile);
        broker.skew(5);
        seconds(&mut session, &mut broker, 30);
        assert_eq!(session.differences(), [], "one tick is no difference");
        broker.skew(20);
        seconds(&mut session, &mut broker, 60);
        let remedy = match reconcile {
            Reconcile::Adopt => Remedy::Adopt,
            Reconcile::Flatten => Remedy::Flatten,
            Reconcile::Halt => Remedy::Halt,
        };
        assert_eq!(session.differences(), [(DifferenceKind::AveragePrice, remedy); 2], "once for each instrument");
        let held = if reconcile == Reconcile::Flatten { 0 } else { 5 };
        assert_eq!((session.held(0), broker.positions[0], -broker.stops(0)), (held, held, held));
        assert_eq!(session.core.is_reconciled(), reconcile != Reconcile::Halt);
        // Who resumes has looked at it.
        let concluded = session.tell(Told::Command(Command::Resume));
        broker.hand_on(&session.core, &concluded);
        seconds(&mut session, &mut broker, 30);
        assert_eq!((session.differences().len(), session.core.is_reconciled()), (2, true));
        session.replay();
    }
}

/// Money that is missing is a difference with a policy; money that came in is none to worry about; what a day gained
/// and paid explains itself.
#[test]
fn money_is_compared_where_nothing_is_held() {
    for reconcile in ALL {
        let (mut session, mut broker) = holding(reconcile);
        // It is left with a gain, and the charges are not taken before the night.
        broker.last = ["100.75".parse().unwrap(); 2];
        let concluded = session.tell(Told::Command(Command::Kill));
        broker.hand_on(&session.core, &concluded);
        seconds(&mut session, &mut broker, 60);
        assert_eq!((broker.positions, session.differences()), ([0, 0], vec![]));
        broker.paid_in = 5_000;
        seconds(&mut session, &mut broker, 30);
        assert_eq!(session.differences(), [(DifferenceKind::Funds, Remedy::Adopt)]);
        broker.paid_in = 4_000;
        seconds(&mut session, &mut broker, 30);
        let remedy = match reconcile {
            Reconcile::Adopt => Remedy::Adopt,
            Reconcile::Flatten => Remedy::Flatten,
            Reconcile::Halt => Remedy::Halt,
        };
        assert_eq!(session.differences()[1..], [(DifferenceKind::Funds, remedy)]);
        let resumed = session.tell(Told::Command(Command::Resume));
        broker.hand_on(&session.core, &resumed);
        seconds(&mut session, &mut broker, 30);
        assert_eq!((session.differences().len(), session.core.is_reconciled()), (2, true));
        session.replay();
    }
}

/// P8: an order that was given up after thirty seconds arrives after all. It is named, cancelled, and what it filled is
/// ours.
#[test]
fn an_order_that_arrives_when_nobody_waits_any_more_is_cancelled() {
    let (mut late, mut cancelled) = (0, 0);
    for seed in 0..16 {
        let ghostly = Temper { ghosts: 8, lost: 0, refuses: 0, ..WICKED };
        let (mut session, mut broker) = begin(seed, ghostly, Reconcile::Halt);
        (0..600).for_each(|_| session.second(&mut broker));
        broker.temper = Temper { ghosts: 1, ..HONEST };
        let concluded = session.tell(Told::Command(Command::Halt));
        broker.hand_on(&session.core, &concluded);
        session.quiet = true;
        (0..100).for_each(|_| session.second(&mut broker));
        settle(&mut session, &mut broker);
        let told = session.differences();
        late += told.iter().filter(|(what, _)| *what == DifferenceKind::NeverArrived).count();
        cancelled += told.iter().filter(|one| **one == (DifferenceKind::EndedOrder, Remedy::Cancel)).count();
        check(&session, &broker, &format!("FAIL seed={seed}"));
        session.replay();
    }
    assert!(late > 10 && cancelled > 4, "{late} were given up, {cancelled} cancelled when they came");
}

/// RL-31: rows tell that an entry filled, and no trade of it is shown: it is booked and protected after thirty seconds,
/// and its trades, when they come, are not booked again.
#[test]
fn fills_whose_trades_are_not_shown_are_booked_and_protected() {
    let mut session = Session::that(Does::Buys(100, 1_000), 4, Reconcile::Halt);
    let mut broker = Broker::new(4, Temper { hides: 100, ..HONEST }, session.now);
    broker.still = true;
    session.tell(Told::Opened(hours()));
    session.tell(Told::Command(Command::Arm));
    let mut bare = 0;
    for _ in 0..120 {
        session.second(&mut broker);
        bare += u32::from(broker.positions[0] > 0 && broker.stops(0) == 0);
    }
    assert!((30..50).contains(&bare), "it was without a stop for {bare} s");
    assert_eq!((session.held(0), broker.positions[0], broker.stops(0)), (5, 5, -5));
    assert!(session.alarms().contains(&"trades-missing".to_owned()), "{:?}", session.alarms());
    broker.temper = HONEST;
    settle(&mut session, &mut broker);
    check(&session, &broker, "the trades came");
    assert_eq!(session.differences(), []);
    session.replay();
}

/// A stop that books leave out for less than half a minute is the stop; one that was given up and comes back is named
/// and cancelled, so that in the end there is one.
#[test]
fn a_stop_that_books_leave_out_is_not_doubled() {
    let (mut session, mut broker) = holding(Reconcile::Halt);
    assert_eq!(broker.vanish(0, session.now, 25), 1);
    seconds(&mut session, &mut broker, 40);
    assert_eq!((broker.stops(0), session.differences()), (-5, vec![]), "it was always there");
    assert!(broker.stop_cancelled_by_hand(0, session.now));
    seconds(&mut session, &mut broker, 20);
    for _ in 0..4 {
        assert_eq!(broker.vanish(0, session.now, 45), 1);
        for _ in 0..90 {
            session.second(&mut broker);
            assert!(broker.stops(0) >= -10, "one of them is given up, not one after the other");
        }
        assert_eq!(broker.stops(0), -5);
    }
    let told = session.differences();
    let of = |wanted| told.iter().filter(|(what, _)| *what == wanted).count();
    assert_eq!((of(DifferenceKind::MissingOrder), of(DifferenceKind::EndedOrder)), (4, 4), "{told:?}");
    session.replay();
}

/// RL-34: what lowers risk is refused for an hour: nothing is cancelled in vain, the stop that works goes on to work, and
/// it is tried again later and later, with an alarm for a person.
#[test]
fn refusals_are_not_answered_with_a_flood() {
    let (mut session, mut broker) = holding(Reconcile::Halt);
    broker.refuses_until = session.now + 3_600 * SECOND;
    let before = broker.commands.len();
    let concluded = session.tell(Told::Command(Command::Kill));
    broker.hand_on(&session.core, &concluded);
    for _ in 0..3_600 {
        session.second(&mut broker);
        assert_eq!((broker.stops(0), broker.stops(1)), (-5, -5), "the stops stand");
    }
    let asked = broker.commands.len() - before;
    assert!((12..60).contains(&asked), "{asked} requests in an hour for two instruments");
    assert!(broker.busiest_minute() <= 12, "{}", broker.busiest_minute());
    assert!(session.alarms().contains(&"exits-refused".to_owned()));
    // Once it is taken again, it is left.
    seconds(&mut session, &mut broker, 330);
    assert_eq!((broker.positions, broker.stops(0), broker.stops(1)), ([0, 0], 0, 0));
    session.replay();
}

/// The same without a stop: it was refused when the entry had filled. Neither the stop nor the exit is sent without end.
#[test]
fn a_refused_stop_and_a_refused_exit_do_not_take_turns_for_ever() {
    let mut session = Session::that(Does::Buys(100, 1_000), 4, Reconcile::Halt);
    let mut broker = Broker::new(4, HONEST, session.now);
    broker.still = true;
    session.tell(Told::Opened(hours()));
    session.tell(Told::Command(Command::Arm));
    while broker.positions == [0, 0] {
        session.second(&mut broker);
    }
    broker.refuses_until = session.now + 3_600 * SECOND;
    let before = broker.commands.len();
    seconds(&mut session, &mut broker, 3_600);
    let asked = broker.commands.len() - before;
    assert!((12..80).contains(&asked), "{asked} requests in an hour");
    assert!(broker.busiest_minute() <= 16, "{}", broker.busiest_minute());
    assert!(session.core.risk().is_locked_by(daybook_vocabulary::LimitKind::Reconciliation));
    seconds(&mut session, &mut broker, 400);
    for index in 0..2 {
        assert_eq!((session.held(index), -broker.stops(index)), (broker.positions[index], broker.positions[index]));
    }
    session.replay();
}

/// What is taken over costs what it cost: trades by hand at their own prices, with their charges, and the loss counts.
#[test]
fn a_loss_made_by_hand_is_a_loss() {
    for reconcile in [Reconcile::Adopt, Reconcile::Flatten] {
        let (mut session, mut broker) = holding(reconcile);
        let (before, fees) = (session.core.ledger().realised, session.core.ledger().fees);
        let paid = session.core.book(InstrumentId(0)).position.average_price();
        broker.last[0] = Price(paid.0 - 50_000_000);
        broker.by_hand(0, -2, session.now);
        broker.last[0] = Price(paid.0 - 60_000_000);
        broker.by_hand(0, -3, session.now);
        broker.last[0] = paid;
        session.quiet = true;
        (0..40).for_each(|_| session.second(&mut broker));
        assert_eq!((session.held(0), broker.positions[0]), (0, 0));
        if reconcile == Reconcile::Adopt {
            let lost = before - session.core.ledger().realised;
            assert_eq!(lost.to_string(), "2.8", "2 × 0.50 + 3 × 0.60");
        }
        assert!(session.core.ledger().fees > fees, "it had its charges");
        session.replay();
    }
}

/// RL-31: a stop that somebody cancels is placed again.
#[test]
fn a_stop_cancelled_by_hand_is_placed_again() {
    let (mut session, mut broker) = holding(Reconcile::Halt);
    assert!(broker.stop_cancelled_by_hand(0, session.now));
    assert_eq!(broker.stops(0), 0);
    seconds(&mut session, &mut broker, 15);
    assert_eq!((broker.stops(0), session.differences()), (-5, vec![]));
    session.replay();
}

/// What is held or works when the session closes is an alarm of its own, for each instrument.
#[test]
fn what_is_left_at_the_close_is_said() {
    let (mut session, mut broker) = holding(Reconcile::Halt);
    session.tell(Told::Closed);
    assert_eq!(session.alarms(), ["left-at-close", "left-at-close"]);
    let _ = &mut broker;
    let (mut flat, mut broker) = begin(3, HONEST, Reconcile::Halt);
    flat.quiet = true;
    seconds(&mut flat, &mut broker, 10);
    flat.tell(Told::Closed);
    assert_eq!(flat.alarms(), Vec::<String>::new());
    assert_eq!(flat.outputs.iter().filter(|output| matches!(output.body, Conclusion::Account(_))).count(), 1);
    assert_eq!(flat.core.broker_number(OrderId(1)), None);
}
