//! The thermal guard: training pauses while the machine is too hot, or while nobody can say how hot it is.
//!
//! - Below 70 °C normal, below 85 acceptable, below 95 warning, from 95 on critical; a sensor that fails is unknown.
//! - Critical and unknown pause before the next step, after a checkpoint; training goes on below 80 °C (hysteresis).
//! - The sensor is given from outside; without one there is no guard, and the caller says so.
//! - Must never: end only an inner loop; the caller asks before every step and obeys.

use serde::{Deserialize, Serialize};

/// Reads a temperature in °C, or says why it cannot.
pub trait Sensor {
    /// The hottest place now.
    fn celsius(&mut self) -> Result<f64, String>;
}

/// How hot it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heat {
    /// Below 70 °C.
    Normal,
    /// From 70 to below 85 °C.
    Acceptable,
    /// From 85 to below 95 °C.
    Warning,
    /// From 95 °C on.
    Critical,
    /// The sensor failed, or its reading is no temperature.
    Unknown,
}

/// What the caller has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Take the next step.
    Run,
    /// Write a checkpoint, then wait and ask again.
    CheckpointAndPause,
    /// Still too hot: wait and ask again.
    StayPaused,
}

/// Remembers whether training is paused.
#[derive(Debug, Default)]
pub struct ThermalGuard {
    paused: bool,
}

/// A paused run goes on below this, in °C.
pub const RESUME_BELOW: f64 = 80.0;

impl Heat {
    /// The class of a reading.
    pub fn of(reading: &Result<f64, String>) -> Self {
        match reading {
            Ok(celsius) if !(-50.0..=200.0).contains(celsius) => Self::Unknown,
            Ok(celsius) if *celsius >= 95.0 => Self::Critical,
            Ok(celsius) if *celsius >= 85.0 => Self::Warning,
            Ok(celsius) if *celsius >= 70.0 => Self::Acceptable,
            Ok(_) => Self::Normal,
            Err(_) => Self::Unknown,
        }
    }
}

impl ThermalGuard {
    /// Reads the sensor once and decides.
    pub fn check(&mut self, sensor: &mut dyn Sensor) -> (Advice, Heat) {
        let reading = sensor.celsius();
        let heat = Heat::of(&reading);
        let hot = matches!(heat, Heat::Critical | Heat::Unknown);
        let cool = heat != Heat::Unknown && reading.is_ok_and(|celsius| celsius < RESUME_BELOW);
        let advice = match (self.paused, hot, cool) {
            (false, true, _) => Advice::CheckpointAndPause,
            (false, false, _) | (true, _, true) => Advice::Run,
            (true, _, false) => Advice::StayPaused,
        };
        self.paused = advice != Advice::Run;
        (advice, heat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Script(Vec<Result<f64, String>>);

    impl Sensor for Script {
        fn celsius(&mut self) -> Result<f64, String> {
            self.0.remove(0)
        }
    }

    /// TS-06: the script of the row, and an error; a pause ends only below the lower bound.
    #[test]
    fn the_guard_follows_the_script() {
        use Advice::{CheckpointAndPause, Run, StayPaused};
        let script: [(Result<f64, String>, Heat, Advice); 14] = [
            (Ok(69.9), Heat::Normal, Run),
            (Ok(70.0), Heat::Acceptable, Run),
            (Ok(84.9), Heat::Acceptable, Run),
            (Ok(85.0), Heat::Warning, Run),
            (Ok(94.9), Heat::Warning, Run),
            (Ok(95.0), Heat::Critical, CheckpointAndPause),
            (Ok(94.9), Heat::Warning, StayPaused),
            (Ok(80.0), Heat::Acceptable, StayPaused),
            (Ok(79.9), Heat::Acceptable, Run),
            (Err("no sensor".to_owned()), Heat::Unknown, CheckpointAndPause),
            (Err("no sensor".to_owned()), Heat::Unknown, StayPaused),
            (Ok(f64::NAN), Heat::Unknown, StayPaused),
            (Ok(-273.0), Heat::Unknown, StayPaused),
            (Ok(20.0), Heat::Normal, Run),
        ];
        let mut guard = ThermalGuard::default();
        let mut sensor = Script(script.iter().map(|(reading, ..)| reading.clone()).collect());
        for (reading, heat, advice) in script {
            assert_eq!(guard.check(&mut sensor), (advice, heat), "{reading:?}");
        }
    }
}
