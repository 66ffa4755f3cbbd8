//! Schedules as CronJobs write them: five fields, `@hourly` and its kin, `@every 90s`. Pure.
//!
//! Where both a day of the month and a day of the week are named, either is enough, as in cron.

use std::time::Duration;

use jiff::{
    SignedDuration, Timestamp, ToSpan as _, Zoned, civil,
    tz::{AmbiguousOffset, TimeZone},
};

/// The names of fields, with the least and the greatest value of each.
const FIELDS: [(&str, u32, u32); 5] =
    [("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 6)];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// The 29th of February is eight years away at most.
const HORIZON: i64 = 9 * 366;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Schedule {
    /// A bit for each value of each field, and whether the day fields were left open.
    At {
        fields: [u64; 5],
        any_day: bool,
        any_weekday: bool,
    },
    Every(Duration),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ScheduleError {
    #[error("expected exactly 5 fields, found {0}")]
    Count(usize),
    #[error("the {field} {text:?} cannot be read")]
    Field { field: &'static str, text: String },
    #[error("unrecognized descriptor: {0}")]
    Descriptor(String),
}

impl Schedule {
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        if let Some(wait) = text.strip_prefix("@every ") {
            let wait = kogge_api::parse_duration(wait.trim());
            let wait = wait.ok_or_else(|| ScheduleError::Descriptor(text.to_owned()))?;
            return Ok(Self::Every(Duration::from_secs(wait.as_secs().max(1))));
        }
        let five = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            it if it.starts_with('@') => return Err(ScheduleError::Descriptor(it.to_owned())),
            it => it,
        };
        let parts: Vec<&str> = five.split_whitespace().collect();
        if parts.len() != FIELDS.len() {
            return Err(ScheduleError::Count(parts.len()));
        }
        let mut fields = [0; 5];
        for (at, part) in parts.iter().enumerate() {
            let (field, ..) = FIELDS[at];
            fields[at] = field_bits(at, part)
                .ok_or_else(|| ScheduleError::Field { field, text: (*part).to_owned() })?;
        }
        let open = |part: &str| part.starts_with('*') || part.starts_with('?');
        Ok(Self::At { fields, any_day: open(parts[2]), any_weekday: open(parts[4]) })
    }

    /// The first moment after `after`, by the clocks of `zone`. None within years: none at all.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(wait) => after.checked_add(SignedDuration::try_from(*wait).ok()?).ok(),
            Self::At { fields, .. } => {
                let from = after.to_zoned(zone.clone());
                let days = (0..HORIZON).filter_map(|it| from.date().checked_add(it.days()).ok());
                days.filter(|day| self.has_day(*day))
                    .flat_map(|day| moments(fields, day, zone))
                    .map(|it| it.timestamp())
                    .find(|it| after < *it)
            }
        }
    }

    fn has_day(&self, date: civil::Date) -> bool {
        let Self::At { fields, any_day, any_weekday } = self else { return true };
        let has =
            |field: usize, value: i8| fields[field] >> u32::from(value.unsigned_abs()) & 1 == 1;
        let day = has(2, date.day());
        let weekday = has(4, date.weekday().to_sunday_zero_offset());
        let fits = if *any_day || *any_weekday { day && weekday } else { day || weekday };
        has(3, date.month()) && fits
    }
}

/// The moments of a day; those that the clocks skip are left out, of those that come twice the
/// first counts.
fn moments<'a>(
    fields: &'a [u64; 5],
    day: civil::Date,
    zone: &'a TimeZone,
) -> impl Iterator<Item = Zoned> + 'a {
    let set = move |field: usize| {
        let (_, least, most) = FIELDS[field];
        (least..=most).filter(move |it| fields[field] >> it & 1 == 1)
    };
    let times = set(1).flat_map(move |hour| set(0).map(move |minute| (hour, minute)));
    times.filter_map(move |(hour, minute)| {
        let (hour, minute) = (i8::try_from(hour).ok()?, i8::try_from(minute).ok()?);
        let local = zone.to_ambiguous_zoned(day.at(hour, minute, 0, 0));
        match local.offset() {
            AmbiguousOffset::Gap { .. } => None,
            _ => local.earlier().ok(),
        }
    })
}

fn field_bits(field: usize, text: &str) -> Option<u64> {
    text.split(',').try_fold(0, |bits, part| Some(bits | part_bits(field, part)?))
}

/// `*`, `7`, `1-5`, `*/15`, `9-17/2`, `7/2` (from 7 on), `MON`.
fn part_bits(field: usize, part: &str) -> Option<u64> {
    let (_, least, most) = FIELDS[field];
    let (range, step) = part.split_once('/').unwrap_or((part, "1"));
    let step: u32 = step.parse().ok().filter(|it| 0 < *it)?;
    let (from, to) = match range {
        "*" | "?" => (least, most),
        it => match it.split_once('-') {
            Some((from, to)) => (value(field, from)?, value(field, to)?),
            None if part.contains('/') => (value(field, it)?, most),
            None => (value(field, it)?, value(field, it)?),
        },
    };
    if to < from || from < least || most < to {
        return None;
    }
    Some((from..=to).step_by(step as usize).fold(0, |bits, it| bits | 1 << it))
}

fn value(field: usize, text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    let place = |names: &[&str]| names.iter().position(|it| *it == lower);
    let named = match field {
        3 => place(&MONTHS).map(|it| it + 1),
        4 => place(&WEEKDAYS),
        _ => None,
    };
    named.and_then(|it| u32::try_from(it).ok()).or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schedule: &str, zone: &str, after: &str, want: &[&str]) {
        let schedule = Schedule::parse(schedule).unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let mut at: Timestamp = after.parse().unwrap();
        for want in want {
            at = schedule.next(at, &zone).unwrap();
            assert_eq!(at.to_string(), *want);
        }
    }

    #[test]
    fn fields_name_moments() {
        let from = "2026-11-27T22:10:30Z";
        check("* * * * *", "UTC", from, &["2026-11-27T22:11:00Z", "2026-11-27T22:12:00Z"]);
        check("*/20 9-17/4 * * *", "UTC", from, &["2026-11-28T09:00:00Z", "2026-11-28T09:20:00Z"]);
        check("59/1 8,20 * * *", "UTC", from, &["2026-11-28T08:59:00Z", "2026-11-28T20:59:00Z"]);
        check("0 0 29 2 *", "UTC", from, &["2028-02-29T00:00:00Z"]);
        check("30 4 * JAN-FEB mon", "UTC", from, &["2027-01-04T04:30:00Z"]);
        check("@monthly", "UTC", from, &["2026-12-01T00:00:00Z"]);
        check("@every 90s", "UTC", from, &["2026-11-27T22:12:00Z"]);
    }

    #[test]
    fn either_day_is_enough_where_both_are_named() {
        let from = "2026-11-27T00:00:00Z";
        check("0 0 1 * fri", "UTC", from, &["2026-12-01T00:00:00Z", "2026-12-04T00:00:00Z"]);
        check("0 0 */10 * tue", "UTC", from, &["2026-12-01T00:00:00Z"]);
    }

    #[test]
    fn clocks_are_those_of_the_zone() {
        check("0 9 * * *", "Europe/Berlin", "2026-07-01T08:00:00Z", &["2026-07-02T07:00:00Z"]);
        check("0 9 * * *", "Europe/Berlin", "2026-12-01T08:30:00Z", &["2026-12-02T08:00:00Z"]);
        // 02:30 is skipped on the last Sunday of March, and comes twice in October.
        check("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", &["2026-03-30T00:30:00Z"]);
        check(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        );
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        let said = |text: &str| Schedule::parse(text).unwrap_err().to_string();
        assert_eq!(said("* * * *"), "expected exactly 5 fields, found 4");
        assert_eq!(said("61 * * * *"), "the minute \"61\" cannot be read");
        assert_eq!(said("* * * 5-2 *"), "the month \"5-2\" cannot be read");
        assert_eq!(said("* */0 * * *"), "the hour \"*/0\" cannot be read");
        assert_eq!(said("@often"), "unrecognized descriptor: @often");
    }

    #[test]
    fn a_day_that_never_comes_is_none() {
        let never = Schedule::parse("0 0 31 2 *").unwrap();
        assert_eq!(never.next(Timestamp::UNIX_EPOCH, &TimeZone::UTC), None);
    }
}
