//! Settings from end to end: precedence, origins, what is refused and how, the canonical form.

use daybook_config::settings::{KEYS, Scope};
use daybook_config::{ConfigError, FeeSchedule, Origin, Profile, Settings, SlippageModel, Sources};
use daybook_vocabulary::{Interval, Money};
use proptest::prelude::*;
use std::path::PathBuf;

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn file(&self, name: &str, text: &str) -> Option<PathBuf> {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    }
}

fn refused(sources: Sources) -> String {
    Settings::resolve(sources).unwrap_err().to_string()
}

#[test]
fn the_built_in_values() {
    let resolved = Settings::resolve(Sources::default()).unwrap();
    let settings = &resolved.settings;
    assert_eq!(settings.cash, Money::from_units(1_000_000));
    assert_eq!((settings.costs.as_str(), settings.profile, settings.seed), ("none", Profile::Plain, 0));
    assert_eq!((settings.engine_timeframe, settings.exchange_participation_bps), (None, None));
    assert_eq!((settings.journal_segment_mib, settings.snapshot_every, settings.snapshot_keep), (64, 1_048_576, 4));
    assert_eq!(settings.seal_key_file, None, "no home, no config directory");
    assert!(resolved.rows().iter().all(|row| row.origin == Origin::Default && !row.doc.is_empty()));
}

#[test]
fn a_stronger_source_wins_and_the_origin_says_so() {
    let folder = Folder::new();
    let file = folder.file(
        "daybook.toml",
        "cash = 1\nseed = 1_000\ncosts = \"bps:1.50\"\n\n[engine]\ntimeframe = \"5m\"\n[report]\nchart_trades = 3\n",
    );
    let dotenv = folder.file(
        ".env",
        "# ours\nDAYBOOK_CASH=2\nexport DAYBOOK_SEED='2'\nDAYBOOK_ENGINE_TIMEFRAME=\"15m\" # quarter\nOTHER_TOKEN=x y z\n",
    );
    let environment = pairs(&[("DAYBOOK_CASH", "3"), ("DAYBOOK_SEED", "3"), ("HOME", "/home/who"), ("DAYBREAK", "1")]);
    let overrides = pairs(&[("cash", "4"), ("cash", "5.5")]);
    let resolved = Settings::resolve(Sources { file, dotenv, environment, overrides }).unwrap();
    let settings = &resolved.settings;
    assert_eq!(settings.cash, "5.5".parse().unwrap());
    assert_eq!((settings.seed, settings.engine_timeframe), (3, Some(Interval::minutes(15))));
    assert_eq!((settings.costs.as_str(), settings.report_chart_trades), ("bps:1.5", 3));
    assert!(FeeSchedule::parse(&settings.costs).is_ok());
    let origin = |key: &str| resolved.origin(key).unwrap().to_string();
    assert_eq!((origin("cash").as_str(), origin("seed").as_str()), ("command line", "environment DAYBOOK_SEED"));
    assert!(origin("engine.timeframe").ends_with(".env:4"), "{}", origin("engine.timeframe"));
    assert!(origin("costs").ends_with("daybook.toml:3"), "{}", origin("costs"));
    assert!(origin("report.chart_trades").ends_with("daybook.toml:8"));
    assert_eq!(origin("profile"), "default");
    let rows = resolved.rows();
    let seal = rows.iter().find(|row| row.key == "seal.key_file").unwrap();
    assert_eq!(seal.value, PathBuf::from("/home/who/.config/daybook/seal.key").display().to_string());
    assert_eq!(rows.len(), KEYS.len());
}

#[test]
fn an_unknown_key_is_refused_wherever_it_is_written() {
    let folder = Folder::new();
    let file = folder.file("daybook.toml", "cash = 5\n[engine]\n# a comment\ntimefrme = \"5m\"\n");
    let message = refused(Sources { file, ..Sources::default() });
    for part in ["'engine.timefrme'", "daybook.toml:4", "did you mean 'engine.timeframe'?"] {
        assert!(message.contains(part), "{message}");
    }
    let dotenv = folder.file(".env", "\nDAYBOOK_CSAH=2\n");
    let message = refused(Sources { dotenv, ..Sources::default() });
    assert!(message.contains("DAYBOOK_CSAH") && message.contains(".env:2"), "{message}");
    assert!(message.contains("'DAYBOOK_CASH'"), "{message}");
    let message = refused(Sources { environment: pairs(&[("DAYBOOK_SNAPSHOT_EVRY", "2")]), ..Sources::default() });
    assert!(message.contains("environment DAYBOOK_SNAPSHOT_EVRY") && message.contains("'DAYBOOK_SNAPSHOT_EVERY'"));
    let message = refused(Sources { overrides: pairs(&[("timeframe", "5m")]), ..Sources::default() });
    assert!(message.contains("(command line): did you mean 'engine.timeframe'?"), "{message}");
    // RL-03: a key without its table is told its whole name.
    let message = refused(Sources { overrides: pairs(&[("trailing_stop_r", "1")]), ..Sources::default() });
    assert!(message.contains("did you mean 'risk.trailing_stop_r'?"), "{message}");
    let message = refused(Sources { environment: pairs(&[("DAYBOOK_HOLDOUT", "none")]), ..Sources::default() });
    assert!(message.contains("did you mean 'DAYBOOK_LEARN_HOLDOUT'?"), "{message}");
    let message = refused(Sources { overrides: pairs(&[("zzzzzzzzzz", "5m")]), ..Sources::default() });
    assert!(!message.contains("did you mean") && message.contains("config show"), "{message}");
}

#[test]
fn a_wrong_value_is_refused_even_where_it_is_overridden() {
    let folder = Folder::new();
    let file = folder.file("daybook.toml", "[exchange]\nparticipation_bps = 20000\n");
    let overrides = pairs(&[("exchange.participation_bps", "100")]);
    let message = refused(Sources { file, overrides, ..Sources::default() });
    for part in ["exchange.participation_bps", "'20000'", "daybook.toml:2", "from 1 to 10000"] {
        assert!(message.contains(part), "{message}");
    }
    for (key, value) in [
        ("cash", "0"),
        ("cash", "-5"),
        ("cash", "much"),
        ("cash", ""),
        ("costs", "zerodha"),
        ("profile", "Plain"),
        ("seed", "-1"),
        ("seed", "18446744073709551616"),
        ("seed", "1.0"),
        ("seed", ""),
        ("engine.timeframe", "5 minutes"),
        ("exchange.participation_bps", "0"),
        ("exchange.slippage", "bps:0"),
        ("exchange.slippage", "linear:5"),
        ("journal.segment_mib", "0"),
        ("seal.key_file", "~/seal.key"),
    ] {
        let error = Settings::resolve(Sources { overrides: pairs(&[(key, value)]), ..Sources::default() }).unwrap_err();
        assert!(matches!(&error, ConfigError::WrongValue { key: at, .. } if at == key), "{key}={value}: {error}");
    }
}

#[test]
fn broken_files_are_refused_with_their_line_and_without_their_text() {
    let folder = Folder::new();
    for (text, line) in [
        ("cash = 5\nseed = hunter2\n", ":2"),
        ("cash = 5\n\nseed = [1, 2]\n", ":3"),
        ("seed = 2025-01-01\n", ":1"),
        ("seed = 0xff\n", ":1"),
        ("cash = 1\ncash = 2\n", ":2"),
        ("\"engine.timeframe\" = \"5m\"\n[engine]\ntimeframe = \"5m\"\n", ":3"),
        ("[engine\n", ":1"),
        ("cash", ":1"),
    ] {
        let file = folder.file("daybook.toml", text);
        let message = refused(Sources { file, ..Sources::default() });
        assert!(message.contains(&format!("daybook.toml{line}")), "{text:?}: {message}");
        assert!(!message.contains("hunter2") && !message.contains('\n'), "{message}");
    }
    for (text, line) in [
        ("A=1\nDAYBOOK_TOKEN hunter2\n", ":2"),
        ("DAYBOOK_TOKEN='hunter2\n", ":1"),
        ("DAYBOOK_SEED=1\nDAYBOOK_SEED=1\n", ":2"),
    ] {
        let dotenv = folder.file(".env", text);
        let message = refused(Sources { dotenv, ..Sources::default() });
        assert!(message.contains(&format!(".env{line}")) && !message.contains("hunter2"), "{message}");
    }
    let message = refused(Sources { file: Some(PathBuf::from("no/such/daybook.toml")), ..Sources::default() });
    assert!(message.contains("no/such/daybook.toml"), "{message}");
    let message = refused(Sources { environment: pairs(&[("DAYBOOK_KITE_TOKEN", "hunter2")]), ..Sources::default() });
    assert!(message.contains("DAYBOOK_KITE_TOKEN") && !message.contains("hunter2"), "{message}");
}

#[test]
fn the_canonical_form_has_what_changes_results_and_nothing_else() {
    let resolve = |overrides: &[(&str, &str)]| {
        Settings::resolve(Sources { overrides: pairs(overrides), ..Sources::default() }).unwrap()
    };
    let plain = resolve(&[]);
    assert_eq!(
        plain.canonical_json(),
        r#"{"cash":"1000000","costs":"none","engine.timeframe":"none","exchange.participation_bps":"none","profile":"plain","seed":"0"}"#
    );
    let elsewhere = resolve(&[
        ("seal.key_file", "/a/b"),
        ("snapshot.every", "5"),
        ("report.chart_trades", "1"),
        ("calendar.file", "c.toml"),
    ]);
    assert_eq!(elsewhere.hash(), plain.hash());
    assert_eq!(resolve(&[("cash", "1000000.00")]).hash(), plain.hash(), "the same value written otherwise");
    for key in KEYS.iter().filter(|key| key.scope == Scope::Results && key.name != "profile") {
        let value = match key.name {
            "costs" => "zerodha-delivery",
            "engine.timeframe" => "7m",
            "exchange.slippage" => "bps:5",
            key if key.ends_with("_start") || key.ends_with("_end") => "12:34:56",
            "risk.flatten_on_trip" => "no",
            "risk.sectors" => "IDEA:Telecommunication",
            "risk.max_factor" => "value:-0.5..1",
            "risk.factors" => "IDEA:value=0.25",
            "risk.var_confidence_pct" => "99",
            "risk.protective_stop" => "atr:3",
            "live.reconcile" => "adopt",
            "live.venue" => "broker",
            "exchange.limit_fill" => "through",
            "exchange.off_tick" | "exchange.wrong_side" => "refuse",
            "exchange.bands" | "exchange.liquidity_caps" => "IDEA:500",
            "exchange.liquidity" => "depleting:500:1000",
            "exchange.hours" => "continuous",
            "exchange.product" => "intraday",
            "exchange.adaptive_cap" => "200:2500",
            "exchange.fill_bar" | "exchange.trail_from" => "close",
            "exchange.sequence" => "queue",
            "exchange.exits_from" => "next",
            "exchange.buying_power" => "free",
            "exchange.closing_auction" => "IDEA",
            "exchange.auction_square_off" => "15:05",
            "exchange.square_off" => "15:10",
            "exchange.expiries" => "X:2026-11-24",
            "exchange.market_price" => "vwap",
            "exchange.stop_fill" => "extreme",
            "exchange.stop_basis" => "signal",
            "exchange.trail_timing" => "before",
            "exchange.settlement" => "1",
            "exchange.lag_bars" => "2",
            "portfolio.rebalance" => "hybrid",
            "portfolio.headroom" => "0.998",
            "portfolio.missing" => "wait",
            _ => "77",
        };
        let margin = [(key.name, value), ("risk.margin_pct", "100")];
        let plain = if key.name.ends_with("maintenance_pct") { resolve(&margin[1..]) } else { plain.clone() };
        let own = if key.name.ends_with("maintenance_pct") { &margin[..] } else { &margin[..1] };
        let other = resolve(own);
        assert_ne!(other.hash(), plain.hash(), "{}", key.name);
        assert_eq!(Settings::from_canonical_json(&other.canonical_json()).unwrap(), other.settings);
    }
}

/// A profile fills what nobody set, the header says what it filled, and an explicit key wins over it.
#[test]
fn a_profile_sets_what_nobody_else_did() {
    let resolve = |overrides: &[(&str, &str)]| {
        Settings::resolve(Sources { overrides: pairs(overrides), ..Sources::default() }).unwrap()
    };
    let realistic = resolve(&[("profile", "realistic"), ("costs", "bps:2")]);
    assert_eq!(
        realistic.canonical_json(),
        r#"{"cash":"1000000","costs":"bps:2","engine.timeframe":"none","exchange.band_bps":"2000","exchange.hours":"continuous","exchange.limit_fill":"through","exchange.participation_bps":"1000","exchange.slippage":"volume-share:100","exchange.wrong_side":"refuse","profile":"realistic","risk.daily_max_loss_pct":"5","risk.max_age_seconds":"60","risk.max_deviation_bps":"2000","seed":"0"}"#
    );
    let origin = |resolved: &daybook_config::Resolved, key: &str| resolved.origin(key).unwrap().to_string();
    assert_eq!(origin(&realistic, "exchange.slippage"), "profile realistic");
    assert_eq!(origin(&realistic, "costs"), "command line");
    let own =
        resolve(&[("exchange.slippage", "none"), ("profile", "realistic"), ("exchange.participation_bps", "none")]);
    assert_eq!((own.settings.exchange_participation_bps, own.settings.exchange_slippage), (None, SlippageModel::None));
    assert_eq!(origin(&own, "exchange.slippage"), "command line");
    for (given, costs) in [
        (&[("profile", "realistic")][..], "zerodha-delivery"),
        (&[("exchange.product", "intraday"), ("profile", "realistic")], "zerodha-intraday"),
        (&[("costs", "none"), ("profile", "realistic")], "none"),
        (&[("profile", "backtrader")], "none"),
        (&[], "none"),
    ] {
        let resolved = resolve(given);
        assert_eq!(resolved.settings.costs.as_str(), costs, "{given:?}");
        assert!(resolved.canonical_json().contains(&format!(r#""costs":"{costs}""#)), "written out");
    }
    assert_eq!(origin(&own, "costs"), "profile realistic");
    for resolved in [realistic, own] {
        assert_eq!(Settings::from_canonical_json(&resolved.canonical_json()).unwrap(), resolved.settings);
    }
    assert_eq!(resolve(&[("profile", "plain")]).hash(), resolve(&[]).hash());
}

#[test]
fn a_header_from_elsewhere_is_refused_and_a_shorter_one_is_read() {
    assert_eq!(Settings::from_canonical_json("{}").unwrap(), Settings::default());
    for bad in ["", "[]", "{\"cash\":5}", "{\"cash\":\"-1\"}", "{\"seal.key_file\":\"/x\"}", "{\"colour\":\"red\"}"] {
        let message = Settings::from_canonical_json(bad).unwrap_err().to_string();
        assert!(message.contains("header"), "{bad:?}: {message}");
    }
}

#[test]
fn the_files_of_a_directory_are_found() {
    let folder = Folder::new();
    let none = Sources::ambient(folder.0.path(), None, Vec::new());
    assert_eq!((none.file, none.dotenv), (None, None));
    let (file, dotenv) = (folder.file("daybook.toml", ""), folder.file(".env", ""));
    let both = Sources::ambient(folder.0.path(), None, pairs(&[("cash", "5")]));
    assert_eq!((&both.file, &both.dotenv), (&file, &dotenv));
    assert_eq!(both.overrides, pairs(&[("cash", "5")]));
    let named = Sources::ambient(folder.0.path(), Some(PathBuf::from("other.toml")), Vec::new());
    assert_eq!(named.file, Some(PathBuf::from("other.toml")));
}

proptest! {
    #[test]
    fn effective_values_read_back(cash in 1i128..1_000_000_000_000_000_000, seed in any::<u64>(), minutes in 1u32..2_000, bps in 1u32..=10_000) {
        let overrides = vec![
            ("cash".to_owned(), Money(cash).to_string()),
            ("seed".to_owned(), seed.to_string()),
            ("engine.timeframe".to_owned(), Interval::minutes(minutes).to_string()),
            ("exchange.participation_bps".to_owned(), bps.to_string()),
        ];
        let resolved = Settings::resolve(Sources { overrides, ..Sources::default() }).unwrap();
        prop_assert_eq!(resolved.settings.cash, Money(cash));
        let again = resolved.rows().into_iter().map(|row| (row.key.to_owned(), row.value)).collect();
        let again = Settings::resolve(Sources { overrides: again, ..Sources::default() }).unwrap();
        prop_assert_eq!(&again.settings, &resolved.settings);
        prop_assert_eq!(Settings::from_canonical_json(&resolved.canonical_json()).unwrap(), resolved.settings);
    }

    #[test]
    fn any_text_in_any_source_is_taken_or_refused(key in "\\PC{0,20}", value in "\\PC{0,20}") {
        let folder = Folder::new();
        let text = format!("{key}={value}\n");
        let file = folder.file("daybook.toml", &text);
        let dotenv = folder.file(".env", &format!("DAYBOOK_{text}"));
        let _ = Settings::resolve(Sources { file, ..Sources::default() });
        let _ = Settings::resolve(Sources { dotenv, ..Sources::default() });
        let environment = vec![(format!("DAYBOOK_{key}"), value.clone())];
        let _ = Settings::resolve(Sources { environment, overrides: vec![(key, value)], ..Sources::default() });
    }
}

/// RL-03: hours of trading are in the order start, end, hard end; the message names both keys.
#[test]
fn hours_of_trading_are_in_order() {
    let resolve = |pairs: &[(&str, &str)]| {
        let overrides = pairs.iter().map(|(key, value)| (format!("risk.{key}"), (*value).to_owned())).collect();
        Settings::resolve(Sources { overrides, ..Sources::default() })
    };
    let (start, end, hard) = ("safe_trading_start", "safe_trading_end", "hard_trading_end");
    resolve(&[(start, "09:20"), (end, "15:20"), (hard, "15:29:30")]).expect("in order");
    resolve(&[(start, "09:20"), (hard, "15:29:30")]).expect("one may be missing");
    for wrong in
        [[(start, "15:20"), (end, "15:20")], [(end, "15:20"), (hard, "15:10")], [(start, "15:20"), (hard, "09:00")]]
    {
        let error = resolve(&wrong).expect_err("refused").to_string();
        assert!(error.contains(wrong[0].0) && error.contains(wrong[1].0) && error.contains("command line"), "{error}");
    }
}

/// BT-27: every value of every knob has a header of its own, and reads back from it.
#[test]
fn bt_27_every_knob_is_in_the_hash() {
    let knobs: &[(&str, &[&str])] = &[
        ("exchange.fill_bar", &["next", "close", "close-once"]),
        ("exchange.lag_bars", &["0", "1", "5"]),
        ("exchange.market_price", &["none", "open", "close", "vwap", "mid"]),
        ("exchange.sequence", &["path", "exits-first", "queue"]),
        ("exchange.stop_fill", &["stop", "close", "extreme", "next-open"]),
        ("exchange.stop_basis", &["fill", "signal"]),
        ("exchange.trail_from", &["extreme", "close"]),
        ("exchange.trail_timing", &["after", "before"]),
        ("exchange.settlement", &["0", "1", "2"]),
        ("exchange.cash_buffer_pct", &["none", "2", "10"]),
        ("exchange.limit_fill", &["touch", "through"]),
        ("exchange.exits_from", &["fill", "next"]),
        ("exchange.buying_power", &["held", "free", "shrink"]),
        ("risk.margin_pct", &["none", "50", "20"]),
        ("portfolio.rebalance", &["snapshot", "incremental", "hybrid"]),
        ("portfolio.headroom", &["1", "0.998"]),
        ("portfolio.missing", &["skip", "wait", "error"]),
        ("costs", &["none", "bps:10", "per-share:0.005", "flat:1", "tiered:10@0,5@100000", "asset-class:future"]),
    ];
    let resolve = |overrides: &[(&str, &str)]| {
        let resolved = Settings::resolve(Sources { overrides: pairs(overrides), ..Sources::default() }).unwrap();
        assert_eq!(Settings::from_canonical_json(&resolved.canonical_json()).unwrap(), resolved.settings);
        resolved.hash()
    };
    let plain = resolve(&[]);
    let mut hashes = std::collections::BTreeSet::from([plain]);
    for (key, values) in knobs {
        for (number, value) in values.iter().enumerate() {
            let hash = resolve(&[(key, value)]);
            assert_eq!(hash == plain, number == 0, "{key}={value}: the first is the default");
            assert_eq!(hashes.insert(hash), number > 0, "{key}={value} has a hash of its own");
        }
    }
    let kept = ["25", "30"].map(|kept| resolve(&[("risk.margin_pct", "50"), ("risk.maintenance_pct", kept)]));
    let short = resolve(&[("risk.margin_pct", "50"), ("risk.short_maintenance_pct", "30")]);
    assert!(kept.into_iter().chain([short]).all(|hash| hashes.insert(hash)));
}

/// BT-27: knobs that contradict each other are refused, in a header too; the message names both.
#[test]
fn bt_27_knobs_that_contradict_each_other_are_refused() {
    for (pairs_, key, other) in [
        ([("exchange.market_price", "open"), ("exchange.fill_bar", "close")], "exchange.market_price", "fill_bar"),
        (
            [("exchange.trail_timing", "before"), ("exchange.trail_from", "close")],
            "exchange.trail_timing",
            "trail_from",
        ),
        ([("exchange.lag_bars", "1"), ("exchange.fill_bar", "close")], "exchange.lag_bars", "fill_bar"),
        ([("risk.maintenance_pct", "25"), ("seed", "1")], "risk.maintenance_pct", "risk.margin_pct"),
        (
            [("risk.short_maintenance_pct", "60"), ("risk.margin_pct", "50")],
            "risk.short_maintenance_pct",
            "which is 50",
        ),
    ] {
        let sources = Sources { overrides: pairs(&pairs_), ..Sources::default() };
        let message = Settings::resolve(sources).unwrap_err().to_string();
        assert!(message.contains(key) && message.contains(other) && message.contains("command line"), "{message}");
        let header = serde_json::to_string(&std::collections::BTreeMap::from(pairs_)).unwrap();
        let message = Settings::from_canonical_json(&header).unwrap_err().to_string();
        assert!(message.contains(key) && message.contains("header"), "{message}");
    }
    for (key, bad) in [
        ("exchange.market_price", "high"),
        ("exchange.stop_fill", "low"),
        ("exchange.settlement", "11"),
        ("exchange.cash_buffer_pct", "100"),
        ("portfolio.headroom", "0"),
        ("portfolio.headroom", "1.01"),
        ("portfolio.missing", "panic"),
    ] {
        let message = Settings::resolve(Sources { overrides: pairs(&[(key, bad)]), ..Sources::default() }).unwrap_err();
        assert!(message.to_string().contains(key) && message.to_string().contains(bad), "{message}");
    }
}
