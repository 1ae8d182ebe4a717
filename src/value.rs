//! WebAssembly values as the host sees them, free of Wasmtime: what a task is called with and what it returns.

use std::fmt;

/// The type of a [`Value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
    /// A 32-bit float.
    F32,
    /// A 64-bit float.
    F64,
    /// A 128-bit vector.
    V128,
}

impl ValueType {
    /// The type's name in the text format.
    const fn name(self) -> &'static str {
        match self {
            ValueType::I32 => "i32",
            ValueType::I64 => "i64",
            ValueType::F32 => "f32",
            ValueType::F64 => "f64",
            ValueType::V128 => "v128",
        }
    }

    /// What may be written for a value of this type, for error messages.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            ValueType::I32 => "an integer from -2147483648 to 4294967295, such as -5, 0xff or 1_000",
            ValueType::I64 => "an integer from -9223372036854775808 to 18446744073709551615, such as -5, 0xff or 1_000",
            ValueType::F32 | ValueType::F64 => "a number such as 1.5, -2e10, 0x1.8p3, inf, -inf or nan",
            ValueType::V128 => "a vector in lanes such as 'i32x4 1 2 3 4' or 'f64x2 1.5 nan'",
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One WebAssembly value.
///
/// Two values are equal when their types and bits are, so a NaN equals itself and `0.0` differs from `-0.0`: what a digest or a
/// comparison of two runs needs.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Value {
    /// A 32-bit integer.
    I32(i32),
    /// A 64-bit integer.
    I64(i64),
    /// A 32-bit float.
    F32(f32),
    /// A 64-bit float.
    F64(f64),
    /// A 128-bit vector, the first lane in the lowest bits.
    V128(u128),
}

impl Value {
    /// The value's type.
    #[must_use]
    pub const fn ty(&self) -> ValueType {
        match self {
            Value::I32(_) => ValueType::I32,
            Value::I64(_) => ValueType::I64,
            Value::F32(_) => ValueType::F32,
            Value::F64(_) => ValueType::F64,
            Value::V128(_) => ValueType::V128,
        }
    }

    /// The value of a type with these bits; bits beyond the type's own are left out. The inverse of [`Value::bits`].
    #[must_use]
    pub const fn from_bits(ty: ValueType, bits: u128) -> Value {
        match ty {
            ValueType::I32 => Value::I32(bits as i32),
            ValueType::I64 => Value::I64(bits as i64),
            ValueType::F32 => Value::F32(f32::from_bits(bits as u32)),
            ValueType::F64 => Value::F64(f64::from_bits(bits as u64)),
            ValueType::V128 => Value::V128(bits),
        }
    }

    /// The value's bits, in the low end of 128.
    #[must_use]
    pub const fn bits(&self) -> u128 {
        match self {
            Value::I32(v) => v.cast_unsigned() as u128,
            Value::I64(v) => v.cast_unsigned() as u128,
            Value::F32(v) => v.to_bits() as u128,
            Value::F64(v) => v.to_bits() as u128,
            Value::V128(v) => *v,
        }
    }

    /// Reads a value of type `ty`, written as the WebAssembly text format writes it: decimal or hexadecimal, with underscores,
    /// unsigned or signed, hexadecimal floats, `inf`, `nan`, `nan:0x…`; a vector as its shape and lanes.
    ///
    /// # Errors
    /// `None` when `text` is not such a literal or does not fit the type; [`ValueType::expected`] says what would be right.
    #[must_use]
    pub fn parse(ty: ValueType, text: &str) -> Option<Value> {
        let bytes = literal_bytes(ty, text)?;
        Some(match ty {
            ValueType::I32 => Value::I32(i32::from_le_bytes(tail(&bytes)?)),
            ValueType::I64 => Value::I64(i64::from_le_bytes(tail(&bytes)?)),
            ValueType::F32 => Value::F32(f32::from_le_bytes(tail(&bytes)?)),
            ValueType::F64 => Value::F64(f64::from_le_bytes(tail(&bytes)?)),
            ValueType::V128 => Value::V128(u128::from_le_bytes(tail(&bytes)?)),
        })
    }
}

/// A module whose last bytes are the literal `text`, little-endian.
///
/// The text format's number grammar is not small (hexadecimal floats, NaN payloads, exact rounding), and `wat` has it: a data
/// segment may be written as typed numbers (behind a string, or they would be its offset), and it ends the binary. Letters, digits and the few marks of numbers are let through,
/// so that a literal cannot close the parenthesis and write a module of its own.
fn literal_bytes(ty: ValueType, text: &str) -> Option<Vec<u8>> {
    let lanes = ty == ValueType::V128;
    let literal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.' | ':') || lanes && c == ' ';
    if text.trim().is_empty() || text.len() > 512 || !text.chars().all(literal) {
        return None;
    }
    wat::parse_str(format!("(module (data \"\" ({ty} {text})))")).ok()
}

/// The last `N` bytes.
fn tail<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.last_chunk::<N>().copied()
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.ty() == other.ty() && self.bits() == other.bits()
    }
}

impl Eq for Value {}

impl fmt::Display for Value {
    /// Writes the value as the text format would: integers in signed decimal, floats in the shortest form that reads back to the
    /// same bits, `nan`, `inf`; a vector as four 32-bit lanes. The payload of a NaN is not written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value::I32(v) => write!(f, "{v}"),
            Value::I64(v) => write!(f, "{v}"),
            Value::F32(v) if v.is_nan() => f.write_str(nan(v.is_sign_negative())),
            Value::F64(v) if v.is_nan() => f.write_str(nan(v.is_sign_negative())),
            Value::F32(v) => write!(f, "{}", Shortest(v)),
            Value::F64(v) => write!(f, "{}", Shortest(v)),
            Value::V128(v) => {
                let lane = |n: u32| (v >> (32 * n)) as u32;
                let (a, b, c, d) = (lane(0), lane(1), lane(2), lane(3));
                write!(f, "i32x4 {a:#010x} {b:#010x} {c:#010x} {d:#010x}")
            }
        }
    }
}

/// How a NaN is written.
const fn nan(negative: bool) -> &'static str {
    if negative { "-nan" } else { "nan" }
}

/// A float in its shortest form: plain where that is short, with an exponent where it would be long.
struct Shortest<T>(T);

impl<T: fmt::Display + fmt::LowerExp> fmt::Display for Shortest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.0.to_string();
        if plain.len() <= 24 { f.write_str(&plain) } else { write!(f, "{:e}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `text` as `ty` and writes it again.
    fn round(ty: ValueType, text: &str) -> Option<String> {
        Value::parse(ty, text).map(|v| v.to_string())
    }

    #[test]
    fn integers_read_as_in_the_text_format() {
        let read = |text| round(ValueType::I32, text);
        assert_eq!(read("-5").as_deref(), Some("-5"));
        assert_eq!(read("+5").as_deref(), Some("5"));
        assert_eq!(read("0xff").as_deref(), Some("255"));
        assert_eq!(read("1_000").as_deref(), Some("1000"));
        assert_eq!(read("-2147483648").as_deref(), Some("-2147483648"));
        assert_eq!(read("4294967295").as_deref(), Some("-1"), "unsigned is the same bits");
        for wrong in ["", " ", "x", "1.5", "4294967296", "1__0", "1 2", "5)", "-", "0x"] {
            assert_eq!(read(wrong), None, "{wrong:?} is no i32");
        }
        assert_eq!(round(ValueType::I64, "-9223372036854775808").as_deref(), Some("-9223372036854775808"));
    }

    #[test]
    fn floats_read_and_write_to_the_same_bits() {
        let read = |text| round(ValueType::F64, text);
        assert_eq!(read("0.1").as_deref(), Some("0.1"));
        assert_eq!(read("0x1.8p3").as_deref(), Some("12"));
        assert_eq!(read("-0").as_deref(), Some("-0"));
        assert_eq!(read("1e300").as_deref(), Some("1e300"));
        assert_eq!(read("nan").as_deref(), Some("nan"));
        assert_eq!(read("-inf").as_deref(), Some("-inf"));
        assert_eq!(read("1e999"), None, "out of range");
        assert_eq!(round(ValueType::F32, "0.1").as_deref(), Some("0.1"));
        assert_eq!(Value::parse(ValueType::F32, "nan:0x200000").map(|v| v.bits()), Some(0x7fa0_0000));
    }

    #[test]
    fn vectors_are_written_as_lanes_and_read_back() {
        let v = Value::parse(ValueType::V128, "i32x4 1 2 3 -1").unwrap();
        assert_eq!(v.to_string(), "i32x4 0x00000001 0x00000002 0x00000003 0xffffffff");
        assert_eq!(Value::parse(ValueType::V128, &v.to_string()), Some(v));
        assert_eq!(Value::parse(ValueType::V128, "i32x4 1 2 3"), None);
        assert_eq!(Value::parse(ValueType::V128, "1"), None);
    }

    #[test]
    fn equality_is_of_bits() {
        assert_eq!(Value::F64(f64::NAN), Value::F64(f64::NAN));
        assert_ne!(Value::F64(0.0), Value::F64(-0.0));
        assert_ne!(Value::I32(0), Value::I64(0));
    }
}
