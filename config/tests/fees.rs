//! Fee schedules against worked examples and against a naive twin in plain fractions.
//!
//! - RL-47: the cost vector of an intraday round trip of 100 at 1,000 in 2025.
//! - BT-36: Indian delivery and intraday charges by date, the depository's fee included.
//! - BT-42: none, basis points, per share.

use daybook_config::{ConfigError, FeeInput, FeeSchedule, Rates};
use daybook_vocabulary::{Charges, Date, Money, Price, Quantity, Side};
use proptest::prelude::*;

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn fill(side: Side, price: &str, quantity: i64) -> FeeInput {
    FeeInput {
        side,
        price: price.parse().unwrap(),
        quantity: Quantity::from_units(quantity),
        order_value_before: Money::ZERO,
        order_brokerage_before: Money::ZERO,
        order_quantity_before: Quantity::ZERO,
        maker: false,
        month: (Money::ZERO, Quantity::ZERO),
        first_delivery_sale_of_day: false,
    }
}

fn rates(name: &str, on: &str) -> Rates {
    *FeeSchedule::parse(name).unwrap().rates(date(on)).unwrap()
}

/// Rounded to four places, as worked examples are printed.
fn four_places(amount: Money) -> String {
    let tick = Price(10_000);
    Price(i64::try_from(amount.0).unwrap()).round_to(tick).to_string()
}

#[test]
fn rl_47_an_intraday_round_trip_of_100_at_1000_in_2025() {
    let rates = rates("zerodha-intraday", "2025-06-02");
    let buy = rates.charge(fill(Side::Buy, "1000", 100));
    let sell = rates.charge(fill(Side::Sell, "1000", 100));
    assert_eq!(buy.total(), money("30.2226"));
    assert_eq!(sell.total(), money("52.2226"));
    assert_eq!(buy.total() + sell.total(), money("82.4452"));
    assert_eq!((buy.brokerage, buy.stamp_duty, buy.transaction_tax), (money("20"), money("3"), Money::ZERO));
    assert_eq!((sell.brokerage, sell.stamp_duty, sell.transaction_tax), (money("20"), Money::ZERO, money("25")));
    assert_eq!((buy.exchange_fee, buy.regulator_fee, buy.service_tax), (money("2.97"), money("0.1"), money("4.1526")));
}

#[test]
fn bt_36_worked_example_a_intraday_in_november_2026() {
    let rates = rates("zerodha-intraday", "2026-11-02");
    let mut total = rates.charge(fill(Side::Buy, "1300", 100));
    total.add(&rates.charge(fill(Side::Sell, "1310", 100)));
    assert_eq!(four_places(total.total()), "93.613");
    assert_eq!((total.brokerage, total.transaction_tax), (money("40"), money("32.75")));
    assert_eq!((total.exchange_fee, total.regulator_fee), (money("8.0127"), money("0.261")));
    assert_eq!(total.stamp_duty, money("3.9"));
    assert_eq!(four_places(total.service_tax), "8.6893");
}

#[test]
fn bt_36_worked_example_b_delivery_in_november_2026() {
    let rates = rates("zerodha-delivery", "2026-11-02");
    let mut total = rates.charge(fill(Side::Buy, "1300", 10));
    let sale = FeeInput { first_delivery_sale_of_day: true, ..fill(Side::Sell, "1310", 10) };
    total.add(&rates.charge(sale));
    assert_eq!(four_places(total.total()), "44.3663");
    assert_eq!((total.brokerage, total.transaction_tax), (Money::ZERO, money("26.1")));
    assert_eq!(total.depository_fee, money("15.34"));
    assert_eq!(rates.charge(fill(Side::Sell, "1310", 10)).depository_fee, Money::ZERO, "once per scrip and day");
    let buy = FeeInput { first_delivery_sale_of_day: true, ..fill(Side::Buy, "1310", 10) };
    assert_eq!(rates.charge(buy).depository_fee, Money::ZERO, "never on a buy");
}

#[test]
fn bt_36_the_exchange_fee_changes_on_its_dates() {
    for name in ["zerodha-intraday", "zerodha-delivery"] {
        for (on, fee) in [
            ("2020-07-01", "3.22"),
            ("2024-09-30", "3.22"),
            ("2024-10-01", "2.97"),
            ("2026-02-28", "2.97"),
            ("2026-03-01", "3.07"),
            ("2031-01-01", "3.07"),
        ] {
            assert_eq!(rates(name, on).charge(fill(Side::Buy, "1000", 100)).exchange_fee, money(fee), "{name} {on}");
        }
    }
}

#[test]
fn a_date_before_the_first_entry_is_an_error_that_names_it() {
    let schedule = FeeSchedule::parse("zerodha-intraday").unwrap();
    assert_eq!(schedule.first_date(), Some(date("2020-07-01")));
    let error = schedule.rates(date("2016-08-16")).unwrap_err();
    assert!(matches!(error, ConfigError::BeforeFirstEntry { .. }));
    for part in ["zerodha-intraday", "2016-08-16", "2020-07-01"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn bt_42_none_basis_points_and_per_share() {
    let long_ago = "1962-01-02";
    assert_eq!(rates("none", long_ago).charge(fill(Side::Buy, "1000", 100)), Charges::default());
    let bps = rates("bps:2.5", long_ago).charge(fill(Side::Sell, "1000", 100));
    assert_eq!((bps.brokerage, bps.total()), (money("25"), money("25")));
    let per_share = rates("per-share:0.005", long_ago).charge(fill(Side::Sell, "1000", -100));
    assert_eq!(
        (per_share.brokerage, per_share.total()),
        (money("0.5"), money("0.5")),
        "a signed quantity costs the same"
    );
    assert_eq!(FeeSchedule::parse("bps:2.50").unwrap().name(), "bps:2.5");
    assert_eq!(FeeSchedule::parse("bps:0.0001").unwrap().name(), "bps:0.0001");
    assert_eq!(FeeSchedule::parse("none").unwrap().first_date(), None);
}

/// BT-42: a flat amount counts once an order; a minimum and a maximum over all its fills; tiers by what the month has seen.
#[test]
fn bt_42_flat_maker_taker_tiers_kinds_and_interactive_brokers() {
    let on = "2025-06-02";
    let pays = |name: &str, input: FeeInput| rates(name, on).charge(input).total();
    let buy = |quantity| fill(Side::Buy, "100", quantity);
    let later = FeeInput { order_brokerage_before: money("1.5"), ..buy(10) };
    assert_eq!((pays("flat:1.5", buy(10)), pays("flat:1.5", later)), (money("1.5"), Money::ZERO));
    let maker = FeeInput { maker: true, ..buy(10) };
    assert_eq!((pays("maker-taker:1:2.5", maker), pays("maker-taker:1:2.5", buy(10))), (money("0.1"), money("0.25")));
    let month = |value: &str, units| FeeInput { month: (money(value), Quantity::from_units(units)), ..buy(1_000) };
    let tiered = |value| pays("tiered:10@0,5@1000000,2@5000000", month(value, 0));
    assert_eq!([tiered("0"), tiered("999999.99")], [money("100"), money("100")]);
    assert_eq!([tiered("1000000"), tiered("9000000")], [money("50"), money("20")]);
    let class = |name: &str| pays(&format!("asset-class:{name}"), buy(4));
    let classes = ["equity", "future", "option", "fx", "crypto"].map(class);
    assert_eq!(classes, [money("0.4"), money("10"), money("2.6"), money("0.08"), money("0.8")]);
    // 0.005 a share, at least 1, at most one percent.
    let fixed = |price, quantity| pays("ib-fixed", fill(Side::Buy, price, quantity));
    assert_eq!([fixed("100", 1_000), fixed("100", 100)], [money("5"), money("1")]);
    assert_eq!([fixed("0.25", 1_000), fixed("1", 10)], [money("2.5"), money("0.1")]);
    // In two parts the order owes what it would have owed in one: 0.5 is below the least, then 5.5 in all.
    let first = FeeInput { ..fill(Side::Buy, "100", 100) };
    let second = FeeInput {
        order_value_before: money("10000"),
        order_quantity_before: Quantity::from_units(100),
        order_brokerage_before: money("1"),
        ..fill(Side::Buy, "100", 1_000)
    };
    assert_eq!([pays("ib-fixed", first), pays("ib-fixed", second)], [money("1"), money("4.5")]);
    let by_month = [0, 299_999, 300_000, 3_000_000, 20_000_000, 100_000_000];
    let tiers = by_month.map(|units| pays("ib-tiered", month("0", units)));
    assert_eq!(tiers, ["3.5", "3.5", "2", "1.5", "1", "0.5"].map(money));
    assert_eq!(pays("ib-tiered", buy(10)), money("0.35"), "the least of an order");
    // The same table written out: whoever has a newer one writes that.
    let written = "units:0.0035@0,0.002@300000,0.0015@3000000,0.001@20000000,0.0005@100000000:0.35:1";
    assert_eq!(by_month.map(|units| pays(written, month("0", units))), tiers);
    assert_eq!(pays("units:0.01@0:2:0.5", buy(10)), money("2"), "its own least, below half a percent");
    for bad in [
        "flat:-1",
        "flat:",
        "maker-taker:1",
        "tiered:5@1",
        "tiered:5@0,4@0",
        "asset-class:land",
        "ib-fixed:1",
        "units:1@0",
        "units:1@0:1:0",
        "units:-1@0:1:1",
        "units:1@5:1:1",
        "units:1@0:-1:1",
    ] {
        assert!(FeeSchedule::parse(bad).unwrap_err().to_string().contains(bad), "{bad}");
    }
}

#[test]
fn names_read_back_and_hashes_tell_schedules_apart() {
    let mut hashes = Vec::new();
    for text in [
        "none",
        "bps:2.5",
        "bps:2.6",
        "per-share:2.5",
        "flat:2.5",
        "maker-taker:1:2.5",
        "tiered:2@0,1@500",
        "asset-class:future",
        "units:0.0035@0,0.002@300000:0.35:1",
        "ib-fixed",
        "ib-tiered",
        "zerodha-intraday",
        "zerodha-delivery",
    ] {
        let schedule = FeeSchedule::parse(text).unwrap();
        assert_eq!(FeeSchedule::parse(schedule.name()).unwrap(), schedule);
        hashes.push(schedule.hash());
    }
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), 13);
}

#[test]
fn schedules_that_do_not_exist_are_refused_nearest_first() {
    let error = FeeSchedule::parse("zerodha-intrady").unwrap_err();
    assert!(error.to_string().contains("use one of zerodha-intraday, "), "{error}");
    for text in [
        "bps:",
        "bps:-1",
        "bps:10001",
        "bps:0.00001",
        "bps:x",
        "bps:NaN",
        "per-share:-1",
        "per-share:",
        "",
        "per-share:1e99",
    ] {
        assert!(FeeSchedule::parse(text).is_err(), "{text:?}");
    }
    assert!(FeeSchedule::parse("bps:0.00001").unwrap_err().to_string().contains("4 decimals"));
}

/// The same charges in fractions: a numerator and a denominator, nothing clever.
struct Twin {
    percent: [(i128, i128); 6],
    cap: Option<i128>,
}

/// `numerator / denominator` to the nearest integer, halves away from zero; both are positive.
fn nearest(numerator: i128, denominator: i128) -> i128 {
    let (below, rest) = (numerator / denominator, numerator % denominator);
    if 2 * rest >= denominator { below + 1 } else { below }
}

impl Twin {
    /// Percentages as written: brokerage, tax when buying, tax when selling, exchange, regulator, stamp.
    fn intraday_2025() -> Self {
        Self {
            percent: [(3, 100), (0, 1), (25, 1000), (297, 100_000), (1, 10_000), (3, 1000)],
            cap: Some(2_000_000_000),
        }
    }
    fn delivery_2026() -> Self {
        Self { percent: [(0, 1), (1, 10), (1, 10), (307, 100_000), (1, 10_000), (15, 1000)], cap: None }
    }

    fn charge(&self, side: Side, value: i128, value_before: i128, brokerage_before: i128) -> [i128; 6] {
        let share = |item: usize, value: i128| nearest(value * self.percent[item].0, 100 * self.percent[item].1);
        let brokerage = match self.cap {
            Some(cap) => share(0, value_before + value).min(cap) - brokerage_before,
            None => share(0, value),
        };
        let (tax, stamp) = if side == Side::Buy { (share(1, value), share(5, value)) } else { (share(2, value), 0) };
        let (exchange, regulator) = (share(3, value), share(4, value));
        [brokerage, tax, exchange, regulator, stamp, nearest((brokerage + exchange + regulator) * 18, 100)]
    }
}

fn items(charges: &Charges) -> [i128; 6] {
    let all = charges.items().map(|(_, amount)| amount.0);
    [all[0], all[1], all[2], all[3], all[4], all[5]]
}

fn any_side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

proptest! {
    #[test]
    fn charges_equal_the_naive_twin(
        side in any_side(),
        price in 1i64..20_000_000_000_000,
        quantities in prop::collection::vec(1i64..1_000_000_000_000_000, 1..6),
    ) {
        for (twin, rates) in [
            (Twin::intraday_2025(), rates("zerodha-intraday", "2025-06-02")),
            (Twin::delivery_2026(), rates("zerodha-delivery", "2026-06-01")),
        ] {
            let (mut value_before, mut brokerage_before) = (Money::ZERO, Money::ZERO);
            for &quantity in &quantities {
                let (price, quantity) = (Price(price), Quantity(quantity));
                let value = price.times(quantity);
                let input = FeeInput {
                    side,
                    price,
                    quantity,
                    order_value_before: value_before,
                    order_brokerage_before: brokerage_before,
                    first_delivery_sale_of_day: false,
                    ..fill(side, "0", 0)
                };
                let charges = rates.charge(input);
                prop_assert_eq!(items(&charges), twin.charge(side, value.0, value_before.0, brokerage_before.0));
                value_before += value;
                brokerage_before += charges.brokerage;
            }
        }
    }

    #[test]
    fn the_cap_over_partial_fills_equals_the_single_fill(
        price in 1i64..5_000_000_000_000,
        parts in prop::collection::vec(1i64..500, 1..12),
    ) {
        let rates = rates("zerodha-intraday", "2025-06-02");
        let whole = FeeInput { price: Price(price), ..fill(Side::Buy, "0", parts.iter().sum()) };
        let (mut value_before, mut brokerage_before) = (Money::ZERO, Money::ZERO);
        for &part in &parts {
            let one = FeeInput {
                price: Price(price),
                order_value_before: value_before,
                order_brokerage_before: brokerage_before,
                ..fill(Side::Buy, "0", part)
            };
            value_before += one.price.times(one.quantity);
            let charged = rates.charge(one).brokerage;
            prop_assert!(charged >= Money::ZERO);
            brokerage_before += charged;
        }
        prop_assert_eq!(brokerage_before, rates.charge(whole).brokerage);
        prop_assert!(brokerage_before <= Money::from_units(20));
    }

    #[test]
    fn no_fill_panics(price in any::<i64>(), quantity in any::<i64>(), before in any::<i128>(), paid in any::<i128>(), first in any::<bool>()) {
        let input = FeeInput {
            side: Side::Sell,
            price: Price(price),
            quantity: Quantity(quantity),
            order_value_before: Money(before),
            order_brokerage_before: Money(paid),
            first_delivery_sale_of_day: first,
            ..fill(Side::Sell, "0", 0)
        };
        for name in [
            "none",
            "bps:10000",
            "per-share:92233720368",
            "flat:92233720368",
            "maker-taker:10000:10000",
            "tiered:10000@0,1@5",
            "asset-class:future",
            "ib-fixed",
            "ib-tiered",
            "zerodha-intraday",
            "zerodha-delivery",
        ] {
            let total = rates(name, "2025-06-02").charge(input).total();
            prop_assert!(total >= Money::ZERO);
        }
    }

    #[test]
    fn any_text_parses_or_is_refused(text in "\\PC{0,20}") {
        let _ = FeeSchedule::parse(&text);
        let _ = FeeSchedule::parse(&format!("bps:{text}"));
    }
}
