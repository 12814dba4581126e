//! Quantities: `100m`, `1Gi`, `1e3`. Their syntax, their value and the one form in which they are
//! kept (apimachinery `pkg/api/resource/quantity.go`). Pure.

/// How a quantity was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Decimal,
    Binary,
    Exponent,
}

/// A quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantity {
    /// In billionths: nothing is smaller.
    nano: i128,
    format: Format,
}

const NANO: i128 = 1_000_000_000;
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, u32); 10] = [
    ("n", 0),
    ("u", 3),
    ("m", 6),
    ("", 9),
    ("k", 12),
    ("M", 15),
    ("G", 18),
    ("T", 21),
    ("P", 24),
    ("E", 27),
];

impl Quantity {
    /// Reads a quantity; none if it is no such.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, suffix) = rest.split_at(end.unwrap_or(rest.len()));
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if part.contains('.') || (whole.is_empty() && part.is_empty()) {
            return None;
        }
        let (format, times) = Self::suffix(suffix)?;
        let digits: i128 = format!("{whole}{part}").parse().ok()?;
        let parts = 10_i128.checked_pow(u32::try_from(part.len()).ok()?)?;
        let scaled = digits.checked_mul(times)?;
        // What is below a billionth is rounded up.
        let nano = scaled / parts + i128::from(scaled % parts != 0);
        let nano = if negative { -nano } else { nano };
        Some(Self { nano, format })
    }

    /// The format of a suffix and what it stands for, in billionths.
    fn suffix(suffix: &str) -> Option<(Format, i128)> {
        if let Some(at) = BINARY.iter().position(|it| *it == suffix) {
            let power = u32::try_from(at + 1).ok()?;
            return Some((Format::Binary, NANO * 1024_i128.pow(power)));
        }
        if let Some((_, power)) = DECIMAL.iter().find(|(it, _)| *it == suffix) {
            return Some((Format::Decimal, 10_i128.pow(*power)));
        }
        let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
        let power = u32::try_from(exponent + 9).ok()?;
        Some((Format::Exponent, 10_i128.checked_pow(power)?))
    }

    pub(crate) fn is_negative(self) -> bool {
        self.nano < 0
    }

    /// Whether it is more than another one.
    pub(crate) fn exceeds(self, other: Self) -> bool {
        self.nano > other.nano
    }

    /// The form that is kept: no fraction, the largest suffix that loses nothing.
    pub(crate) fn canonical(self) -> String {
        if self.nano == 0 {
            return "0".to_owned();
        }
        let small = self.nano.abs() < 1024 * NANO;
        match self.format {
            Format::Binary if !small => self.binary(),
            Format::Binary | Format::Decimal => self.decimal(false),
            Format::Exponent => self.decimal(true),
        }
    }

    fn binary(self) -> String {
        // Fractions of a unit are rounded up.
        let mut number = self.nano / NANO + i128::from(self.nano % NANO > 0);
        let mut suffix = "";
        for next in BINARY {
            if number % 1024 != 0 {
                break;
            }
            number /= 1024;
            suffix = next;
        }
        format!("{number}{suffix}")
    }

    fn decimal(self, exponent: bool) -> String {
        let mut number = self.nano;
        let mut at = 0;
        while number % 1000 == 0 && at + 1 < DECIMAL.len() {
            number /= 1000;
            at += 1;
        }
        let (suffix, power) = DECIMAL[at];
        match i64::from(power) - 9 {
            0 => number.to_string(),
            power if exponent => format!("{number}e{power}"),
            _ => format!("{number}{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Forms as a real server writes them.

    use super::*;

    #[test]
    fn quantities_have_one_form() {
        for (text, form) in [
            ("1", "1"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1500m", "1500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("1000k", "1M"),
            ("1e3", "1e3"),
            ("12e4", "120e3"),
            ("100M", "100M"),
            ("0", "0"),
            ("-1", "-1"),
            ("0.0000000001", "1n"),
        ] {
            let found = Quantity::read(text).map(Quantity::canonical);
            assert_eq!(found.as_deref(), Some(form), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_not_read() {
        for text in ["", "abc", "1.2.3", "1Kb", "e3", "1e", "--1", "1 "] {
            assert_eq!(Quantity::read(text), None, "{text}");
        }
    }
}
