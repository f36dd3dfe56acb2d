//! The quantile of Student's distribution: how far an interval reaches when its spread was estimated from few values.
//!
//! - The distribution is the incomplete beta function by its continued fraction (Abramowitz, Stegun, 26.5.8 and 26.7.1);
//!   its quantile is found by halving. Degrees of freedom need not be whole.
//! - Must never: be replaced by the normal distribution, which makes intervals of few values too narrow.

/// `t` such that a Student variable lies within ±t with a chance of 95 %; at least one degree of freedom is taken.
pub fn t95(freedom: f64) -> f64 {
    let freedom = if freedom.is_finite() { freedom.clamp(1.0, 1e6) } else { 1e6 };
    let (mut low, mut high) = (0.0, 20.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if beyond(middle, freedom) > 0.05 { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// Chance of a value farther from zero than `t`: `I_x(ν/2, 1/2)` with `x = ν / (ν + t²)`.
fn beyond(t: f64, freedom: f64) -> f64 {
    let x = freedom / (freedom + t * t);
    let (a, b) = (0.5 * freedom, 0.5);
    if x >= 1.0 {
        return 1.0;
    }
    let front = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * libm::log(x) + b * libm::log(1.0 - x);
    let front = libm::exp(front);
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(a, b, x) / a
    } else {
        1.0 - front * fraction(b, a, 1.0 - x) / b
    }
}

/// The continued fraction of the incomplete beta function, by Lentz's method.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let tiny = 1e-300;
    let keep = |value: f64| if value.abs() < tiny { tiny } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / keep(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for step in 1..2_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        for part in [even, odd] {
            d = 1.0 / keep(1.0 + part * d);
            c = keep(1.0 + part / c);
            value *= d * c;
        }
        if (d * c - 1.0).abs() < 1e-14 {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the usual table; the normal distribution's far out.
    #[test]
    fn the_quantiles_are_those_of_the_table() {
        for (freedom, expected) in [
            (1.0, 12.706_204_736),
            (2.0, 4.302_652_730),
            (3.0, 3.182_446_305),
            (5.0, 2.570_581_836),
            (10.0, 2.228_138_852),
            (30.0, 2.042_272_456),
            (100.0, 1.983_971_519),
            (1_000.0, 1.962_339_081),
            (1e9, 1.959_966_4),
        ] {
            let found = t95(freedom);
            assert!((found - expected).abs() < 1e-5, "{freedom}: {found}, {expected}");
        }
        assert!((t95(0.0) - t95(1.0)).abs() < 1e-12 && t95(f64::NAN) < 1.96 + 1e-3);
    }
}
