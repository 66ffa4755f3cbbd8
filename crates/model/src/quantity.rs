//! Kubernetes' quantities: `100m`, `1.5Gi`, `2e3`. Exact to a nano, never a float.
//!
//! As upstream: finer than a nano rounds up (away from zero), beyond 2^63-1 is cut to it.

use std::fmt;
use std::str::FromStr;

const NANO: i128 = 1_000_000_000;
const MAX: i128 = i64::MAX as i128 * NANO;
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Why a string is no quantity, in Kubernetes' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseQuantityError {
    /// The string has not the shape of a quantity.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// The number before the suffix cannot be read.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// The suffix is none of Kubernetes'.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Format {
    #[default]
    Decimal,
    Binary,
    Exponent,
}

/// An amount. Two are equal when their values are: `1000m == 1`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

impl Quantity {
    /// `value` whole units.
    pub fn from_units(value: i64) -> Self {
        Self { nanos: i128::from(value) * NANO, format: Format::Decimal }
    }

    /// `value` thousandths, as for CPU.
    pub fn from_milli(value: i64) -> Self {
        Self { nanos: i128::from(value) * (NANO / 1000), format: Format::Decimal }
    }

    /// `value` bytes, printed with binary suffixes.
    pub fn from_bytes(value: i64) -> Self {
        Self { nanos: i128::from(value) * NANO, format: Format::Binary }
    }

    /// Whole units, rounded up (away from zero), saturating.
    pub fn units(self) -> i64 {
        saturate(divide_up(self.nanos, NANO))
    }

    /// Thousandths, rounded up (away from zero), saturating.
    pub fn milli(self) -> i64 {
        saturate(divide_up(self.nanos, NANO / 1000))
    }

    /// The sum, saturating; the format is the left one's, unless that is zero.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let format = if self.nanos == 0 { other.format } else { self.format };
        Self { nanos: clamp(self.nanos + other.nanos), format }
    }

    /// The difference, saturating; the format as for [`Quantity::plus`].
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(Self { nanos: -other.nanos, ..other })
    }

    /// `self` `n` times, saturating.
    #[must_use]
    pub fn times(self, n: i64) -> Self {
        Self { nanos: clamp(self.nanos.saturating_mul(i128::from(n))), ..self }
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Whether it is below nothing.
    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

fn clamp(nanos: i128) -> i128 {
    nanos.clamp(-MAX, MAX)
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

fn divide_up(value: i128, by: i128) -> i128 {
    let whole = value / by;
    if value % by == 0 { whole } else { whole + value.signum() }
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (negative, unsigned) = match text.as_bytes().first() {
            None => return Err(ParseQuantityError::Format),
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
        };
        let end =
            unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        if number.is_empty() {
            return Err(ParseQuantityError::Format);
        }
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(ParseQuantityError::Numeric);
        }
        let (scale, format) = suffix_of(suffix)?;
        let nanos = scale_number(whole, fraction, scale);
        Ok(Self { nanos: if negative { -nanos } else { nanos }, format })
    }
}

#[derive(Clone, Copy)]
enum Scale {
    Ten(i32),
    Two(u32),
}

fn suffix_of(suffix: &str) -> Result<(Scale, Format), ParseQuantityError> {
    if let Some(at) = DECIMAL.iter().position(|s| *s == suffix) {
        let power = i32::try_from(at).expect("a table of ten") * 3 - 9;
        return Ok((Scale::Ten(power), Format::Decimal));
    }
    if let Some(at) = BINARY.iter().position(|s| *s == suffix) {
        let power = u32::try_from(at).expect("a table of seven") * 10;
        return Ok((Scale::Two(power), Format::Binary));
    }
    let digits = suffix.strip_prefix(['e', 'E']).ok_or(ParseQuantityError::Suffix)?;
    let bare = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if bare.is_empty() || !bare.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ParseQuantityError::Suffix);
    }
    let power = digits.parse::<i32>().map_err(|_| ParseQuantityError::Suffix)?;
    Ok((Scale::Ten(power), Format::Exponent))
}

/// Nanos of `whole.fraction` scaled: digits are taken one by one, so that length is no danger.
fn scale_number(whole: &str, fraction: &str, scale: Scale) -> i128 {
    let (power, factor) = match scale {
        Scale::Ten(power) => (i64::from(power) + 9, 1),
        Scale::Two(bits) => (9, 1_i128 << bits),
    };
    // Digits beyond this many after the point cannot move a nano but by rounding up.
    let mut mantissa = 0_i128;
    let mut exponent = power - i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let mut rest = false;
    let digits = whole.bytes().chain(fraction.bytes()).skip_while(|b| *b == b'0');
    let mut taken = 0;
    for digit in digits {
        if taken < 19 {
            mantissa = mantissa * 10 + i128::from(digit - b'0');
            taken += 1;
        } else {
            exponent += 1;
            rest |= digit != b'0';
        }
    }
    scaled(mantissa, exponent, factor, rest)
}

fn scaled(mantissa: i128, exponent: i64, factor: i128, rest: bool) -> i128 {
    if mantissa == 0 {
        return 0;
    }
    // 19 digits and 60 bits are below 2^124: the product fits.
    let product = mantissa * factor;
    if exponent >= 0 {
        let exponent = u32::try_from(exponent).unwrap_or(u32::MAX);
        return 10_i128
            .checked_pow(exponent)
            .and_then(|p| product.checked_mul(p))
            .map_or(MAX, |v| clamp(v + i128::from(rest)));
    }
    let by = u32::try_from(-exponent).ok().and_then(|e| 10_i128.checked_pow(e));
    by.map_or(1, |by| clamp(divide_up(product, by) + i128::from(rest && product % by == 0)))
}

impl fmt::Display for Quantity {
    /// Canonical: no fraction, the largest suffix that leaves none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        if self.format == Format::Binary && self.nanos.abs() >= 1024 * NANO {
            let mut value = divide_up(self.nanos, NANO);
            let mut at = 0;
            while value % 1024 == 0 && at + 1 < BINARY.len() {
                value /= 1024;
                at += 1;
            }
            return write!(f, "{value}{}", BINARY[at]);
        }
        let mut value = self.nanos;
        let mut at = 0;
        while value % 1000 == 0 && at + 1 < DECIMAL.len() {
            value /= 1000;
            at += 1;
        }
        if self.format == Format::Exponent {
            let power = i32::try_from(at).expect("a table of ten") * 3 - 9;
            return if power == 0 { write!(f, "{value}") } else { write!(f, "{value}e{power}") };
        }
        write!(f, "{value}{}", DECIMAL[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, canonical: &str, milli: i64) {
        let q: Quantity = text.parse().unwrap();
        assert_eq!((q.to_string().as_str(), q.milli()), (canonical, milli), "{text}");
    }

    #[test]
    fn quantities_print_as_kubernetes_prints_them() {
        check("0", "0", 0);
        check("100m", "100m", 100);
        check("1000m", "1", 1000);
        check("0.5", "500m", 500);
        check(".5", "500m", 500);
        check("5.", "5", 5000);
        check("+1", "1", 1000);
        check("-1.5", "-1500m", -1500);
        check("1.5Gi", "1536Mi", 1_610_612_736_000);
        check("1Ki", "1Ki", 1_024_000);
        check("0.5Ki", "512", 512_000);
        check("2e3", "2e3", 2_000_000);
        check("1E", "1E", i64::MAX);
        check("1500k", "1500k", 1_500_000_000);
        check("1000k", "1M", 1_000_000_000);
        check("12E3", "12e3", 12_000_000);
    }

    #[test]
    fn finer_than_a_nano_rounds_up_and_too_much_is_cut() {
        assert_eq!("0.1n".parse::<Quantity>().unwrap().to_string(), "1n");
        assert_eq!("1.0000000001".parse::<Quantity>().unwrap().to_string(), "1000000001n");
        assert_eq!("9e99".parse::<Quantity>().unwrap().units(), i64::MAX);
        assert_eq!("100Ei".parse::<Quantity>().unwrap().units(), i64::MAX);
        assert_eq!("1e-99".parse::<Quantity>().unwrap().to_string(), "1e-9");
    }

    #[test]
    fn what_is_no_quantity_is_refused_by_part() {
        use ParseQuantityError::{Format, Numeric, Suffix};
        for (text, why) in [
            ("", Format),
            ("abc", Format),
            ("-", Format),
            ("1.2.3", Numeric),
            (".", Numeric),
            ("1KI", Suffix),
            ("1 Gi", Suffix),
            ("1e", Suffix),
            ("1e+-3", Suffix),
            ("1é", Suffix),
        ] {
            assert_eq!(text.parse::<Quantity>().unwrap_err(), why, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(units in proptest::num::i64::ANY, milli in proptest::bool::ANY) {
            let q = if milli { Quantity::from_milli(units) } else { Quantity::from_bytes(units.max(-i64::MAX)) };
            proptest::prop_assert_eq!(q.to_string().parse::<Quantity>().unwrap(), q);
        }

        #[test]
        fn no_string_panics(text in "[-+]?[0-9.]{0,40}[eEinumkKMGTP]{0,2}[-+]?[0-9]{0,12}") {
            if let Ok(q) = text.parse::<Quantity>() {
                let _ = (q.plus(q).times(i64::MAX).to_string(), q.milli(), q.units());
            }
        }
    }
}
