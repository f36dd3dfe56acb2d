//! A time of day on the exchange's clock.
//!
//! - Seconds after midnight, 00:00:00 to 23:59:59; no date and no zone: whoever asks has both.
//! - What is printed reads back as the same time.

use std::fmt;
use std::str::FromStr;

/// A time of day, to the second. Written `HH:MM` or `HH:MM:SS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u32);

impl TimeOfDay {
    /// Seconds after midnight.
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl FromStr for TimeOfDay {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(':');
        let mut part = |below: u32| -> Result<u32, ()> {
            let part = parts.next().filter(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()));
            part.and_then(|part| part.parse().ok()).filter(|number| *number < below).ok_or(())
        };
        let (hour, minute) = (part(24)?, part(60)?);
        let second = if text.len() > 5 { part(60)? } else { 0 };
        parts.next().is_none().then_some(Self(hour * 3_600 + minute * 60 + second)).ok_or(())
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second) = (self.0 / 3_600, self.0 / 60 % 60, self.0 % 60);
        write!(out, "{hour:02}:{minute:02}:{second:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_printed() {
        for (text, printed) in [("09:20", "09:20:00"), ("15:29:30", "15:29:30"), ("00:00", "00:00:00")] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), printed);
        }
        for second in (0..86_400).step_by(61) {
            let time = TimeOfDay(second);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        for bad in ["", "9:20", "24:00", "09:60", "09:20:60", "09:20:", "09:20:00:00", "0920", "+9:20", "09:2 "] {
            assert_eq!(bad.parse::<TimeOfDay>(), Err(()), "{bad}");
        }
    }
}
