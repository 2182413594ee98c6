//! What a plain scalar means, by the rules of YAML 1.1 as RKE 1's reader had them.

use crate::yaml::{Scalar, Value};

/// The boolean that a scalar is; a quoted one is a text.
pub(crate) fn flag(scalar: &Scalar<'_>) -> Option<bool> {
    if scalar.quoted { None } else { flag_of(&scalar.text) }
}

/// The boolean that a text would be without quotes.
pub(crate) fn flag_of(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// The whole number that a scalar is; a quoted one is a text.
pub(crate) fn integer(scalar: &Scalar<'_>) -> Option<i64> {
    if scalar.quoted { None } else { integer_of(&scalar.text) }
}

/// The number that a scalar is, perhaps with a fraction; a quoted one is a text.
pub(crate) fn number(scalar: &Scalar<'_>) -> Option<f64> {
    if scalar.quoted
        || !scalar.text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first))
    {
        return None;
    }
    scalar.text.replace('_', "").parse().ok().filter(|number: &f64| number.is_finite())
}

/// The whole number that a text would be without quotes: decimal, `0x`, `0b`, `0o` or octal after a zero.
pub(crate) fn integer_of(text: &str) -> Option<i64> {
    if text.len() > 64 || !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return None;
    }
    let text = text.replace('_', "");
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let magnitude = if let Some(digits) = digits.strip_prefix("0x") {
        i128::from_str_radix(digits, 16).ok()
    } else if let Some(digits) = digits.strip_prefix("0b") {
        i128::from_str_radix(digits, 2).ok()
    } else if let Some(digits) = digits.strip_prefix("0o") {
        i128::from_str_radix(digits, 8).ok()
    } else if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        i128::from_str_radix(digits, 8).ok()
    } else if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.parse().ok()
    } else {
        whole_float(digits)
    }?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// `6.0` and `1e3` are whole numbers too; `1.5` is not.
fn whole_float(digits: &str) -> Option<i128> {
    let number: f64 = digits.parse().ok()?;
    // Beyond this, a float no longer tells neighbouring whole numbers apart.
    let exact = number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and fits, as just checked")]
    exact.then_some(number as i128)
}

/// Whether a text is digits alone, and more of them than a number has.
fn is_too_large(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && integer_of(text).is_none()
}

/// What a value is, in words.
pub(crate) fn form_of(value: &Value<'_>) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Scalar(scalar) if scalar.block => "a text",
        Value::Scalar(scalar) if scalar.quoted => "a quoted text",
        Value::Scalar(scalar) if flag(scalar).is_some() => "a boolean",
        Value::Scalar(scalar) if integer(scalar).is_some() => "a number",
        Value::Scalar(scalar) if is_too_large(&scalar.text) => "one that is too large",
        Value::Scalar(scalar) if scalar.text.parse::<f64>().is_ok() => "a fraction",
        Value::Scalar(_) => "a text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_yaml_1_1_has_them() {
        let cases = [
            ("0", 0),
            ("22", 22),
            ("-1", -1),
            ("+7", 7),
            ("1_000", 1000),
            ("0x1F", 31),
            ("0b101", 5),
            ("0o17", 15),
            ("010", 8),
            ("6.0", 6),
            ("1e3", 1000),
        ];
        for (text, number) in cases {
            assert_eq!(integer_of(text), Some(number), "{text}");
        }
        for text in
            ["", "-", "1.5", "08", "0x", "1h", "10%", "nan", "inf", ".", "--1", "99999999999999999999"]
        {
            assert_eq!(integer_of(text), None, "{text}");
        }
    }
}
