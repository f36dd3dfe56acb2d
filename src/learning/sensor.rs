//! The machine's temperature, free memory, processor and cores, as the operating system tells them.
//!
//! - A machine that tells nothing has no sensor: training then goes on without a guard, and says so once.

use daybook_train::thermal::Sensor;
use std::path::PathBuf;

/// The hottest of the system's thermal zones.
pub struct Zones(Vec<PathBuf>);

impl Zones {
    /// The zones there are; none where the system shows none.
    pub fn find() -> Option<Self> {
        let zones = std::fs::read_dir("/sys/class/thermal").ok()?;
        let files = zones.flatten().map(|zone| zone.path().join("temp")).filter(|file| file.exists());
        let files: Vec<PathBuf> = files.collect();
        (!files.is_empty()).then_some(Self(files))
    }
}

impl Sensor for Zones {
    fn celsius(&mut self) -> Result<f64, String> {
        let read = |file: &PathBuf| -> Result<f64, String> {
            let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let thousandths: f64 = text.trim().parse().map_err(|_| format!("{}: {text:?}", file.display()))?;
            Ok(thousandths / 1000.0)
        };
        self.0.iter().map(read).try_fold(f64::NEG_INFINITY, |top, one| one.map(|one| top.max(one)))
    }
}

/// Memory that can be had without swapping, in bytes; none where the system does not say.
pub fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The processor's model name; its architecture where the system does not say more.
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = |line: &str| {
        let (key, value) = line.split_once(':')?;
        matches!(key.trim(), "model name" | "Processor" | "CPU part").then(|| value.trim().to_owned())
    };
    let name = text.lines().find_map(named).unwrap_or_default();
    if name.is_empty() { std::env::consts::ARCH.to_owned() } else { format!("{} {name}", std::env::consts::ARCH) }
}

/// Cores to work with.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}
