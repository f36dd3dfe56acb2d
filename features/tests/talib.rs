//! Frozen values of TA-Lib 0.8.1 (its Python package, default settings) on the seeded market of these tests.
//!
//! - The same comparison on real candles, every bar, is made with `daybook features`; these few keep it from breaking.
//!   Last made with TA-Lib 0.8.2 on 191,245 bars of 5 minutes of four symbols: all outputs agree to 1e-11 or better
//!   relative to their size, warm-up included. ADOSC is a small difference of averages of a line as large as the whole
//!   volume: it agrees to 6e-16 of the line (1.8e-7 at 3.4e8), because that build fuses multiply and add in its averages;
//!   with that emulated, every bar has the same bits. Nothing is fused here.
//! - The first row of each is the first bar at which TA-Lib shows all outputs: warm-up is part of the comparison.

mod market;

use daybook_features::parse_indicators;
use market::Market;

/// Bars and what each output shows there.
type Rows = &'static [(usize, &'static [f64])];

const TALIB: &[(&str, Rows)] = &[
    (
        "sma(12)",
        &[
            (11, &[999.6291666666667]),
            (12, &[999.5458333333335]),
            (90, &[1006.8416666666667]),
            (159, &[1016.9166666666671]),
        ],
    ),
    (
        "ema(12)",
        &[
            (11, &[999.6291666666667]),
            (12, &[999.5785256410256]),
            (90, &[1006.9362413583775]),
            (159, &[1016.4993399493302]),
        ],
    ),
    (
        "dema(9)",
        &[
            (16, &[999.8068532321975]),
            (17, &[1000.0373168388425]),
            (90, &[1006.9621795021586]),
            (159, &[1016.1270977360781]),
        ],
    ),
    (
        "rsi(14)",
        &[
            (14, &[45.50898203592823]),
            (15, &[50.89248650892498]),
            (90, &[49.9734871411034]),
            (159, &[43.92704266897297]),
        ],
    ),
    (
        "stochrsi(14,14,3)",
        &[
            (29, &[0.0, 42.5758732905434]),
            (30, &[50.3335392627944, 28.361089527072494]),
            (90, &[21.323354991262907, 32.97725015578481]),
            (159, &[0.0, -2.338869838543663e-14]),
        ],
    ),
    (
        "stochastic(14,3,3)",
        &[
            (17, &[76.18801143645791, 57.90002957704689]),
            (18, &[86.04308390022577, 73.78142561372267]),
            (90, &[55.78231292516881, 62.58503401360494]),
            (159, &[14.27503053168121, 37.48004499917801]),
        ],
    ),
    (
        "stochastic_fast(14,3)",
        &[
            (15, &[63.76811594202827, 38.39889579019839]),
            (16, &[74.9999999999988, 59.11318150448435]),
            (90, &[48.97959183673327, 55.78231292516881]),
            (159, &[1.4084507042272465, 14.27503053168121]),
        ],
    ),
    (
        "macd(12,26,9)",
        &[
            (33, &[0.3022267340608096, 0.4291393177465655, -0.12691258368575592]),
            (34, &[0.29253379506803867, 0.40181821321086014, -0.10928441814282147]),
            (90, &[0.2557992081971179, 0.3503284330471063, -0.09452922484998844]),
            (159, &[0.6143854809864706, 1.0079135524406453, -0.3935280714541747]),
        ],
    ),
    (
        "atr(14)",
        &[
            (14, &[1.0785714285714303]),
            (15, &[1.101530612244898]),
            (90, &[0.8888972889404855]),
            (159, &[1.113104662461095]),
        ],
    ),
    (
        "adx(14)",
        &[
            (27, &[14.783622950114108, 23.50741369556034, 15.506516882897609]),
            (28, &[14.151562179985124, 21.388208070511432, 18.99174958216566]),
            (90, &[20.49749344850561, 18.6671775490716, 17.713134619652298]),
            (159, &[31.529720817981993, 20.350385856593274, 21.000763198537932]),
        ],
    ),
    (
        "bollinger(20,2)",
        &[
            (19, &[998.1770782754145, 999.8074999999999, 1001.4379217245853]),
            (20, &[998.1065462652239, 999.8599999999999, 1001.6134537347759]),
            (90, &[1005.7200862100999, 1006.8799999999999, 1008.0399137898999]),
            (159, &[1014.8652808435271, 1016.6900000000003, 1018.5147191564735]),
        ],
    ),
    ("obv", &[(0, &[4080.0]), (1, &[9262.0]), (90, &[48333.0]), (159, &[80350.0])]),
    (
        "adosc(3,10)",
        &[
            (9, &[1759.2526555136685]),
            (10, &[1822.1843738506814]),
            (90, &[242.01372201294726]),
            (159, &[-3255.333761547663]),
        ],
    ),
];

/// SQ-13, BT-35: equal to TA-Lib, from the same first bar on.
#[test]
fn equal_to_talib() {
    let market = Market::intraday(7, 8, 20);
    let bars = market.bars();
    for (text, rows) in TALIB {
        let columns = parse_indicators(text).expect(text).remove(0).batch(&bars);
        let (first, _) = rows[0];
        assert!(first == 0 || columns[0][first - 1].is_none(), "{text} speaks before bar {first}");
        for (bar, expected) in *rows {
            for (output, expected) in expected.iter().enumerate() {
                let found = columns[output][*bar].unwrap_or_else(|| panic!("{text} is silent at bar {bar}"));
                let error = (found - expected).abs();
                assert!(
                    error <= 1e-9 * expected.abs().max(1.0),
                    "{text}, output {output}, bar {bar}: {found}, not {expected}"
                );
            }
        }
    }
}
