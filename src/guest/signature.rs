//! What an export takes and returns, and arguments read by it.

use crate::error::{Error, ErrorKind, Result};
use crate::value::{Value, ValueType};
use std::fmt;
use wasmtime::{FuncType, Val, ValType};

/// A function's name and type, in terms of values that a host can pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The module, for messages.
    module: String,
    /// The export.
    name: String,
    /// What it takes.
    params: Vec<ValueType>,
    /// What it returns.
    results: Vec<ValueType>,
}

impl Signature {
    /// The signature of an exported function.
    pub(super) fn of(module: &str, name: &str, ty: &FuncType) -> Result<Signature> {
        let numbers = |types: &mut dyn Iterator<Item = ValType>| types.map(|ty| value_type(&ty)).collect();
        match (numbers(&mut ty.params()), numbers(&mut ty.results())) {
            (Some(params), Some(results)) => {
                Ok(Signature { module: module.into(), name: name.into(), params, results })
            }
            _ => Err(ErrorKind::Signature {
                module: module.into(),
                signature: describe(name, ty),
                message: "a host can pass and take only numbers and vectors".into(),
            }
            .into()),
        }
    }

    /// The types of its parameters.
    #[must_use]
    pub fn params(&self) -> &[ValueType] {
        &self.params
    }

    /// The types of its results.
    #[must_use]
    pub fn results(&self) -> &[ValueType] {
        &self.results
    }

    /// Reads arguments, each as [`Value::parse`] reads a value of its parameter's type.
    ///
    /// # Errors
    /// [`ErrorKind::Signature`]: there are more or fewer than the function takes, or one is not of its type.
    pub fn parse_args<S: AsRef<str>>(&self, args: &[S]) -> Result<Vec<Value>> {
        self.check_count(args.len())?;
        let read = |(i, (arg, ty)): (usize, (&S, &ValueType))| {
            let text = arg.as_ref().trim();
            Value::parse(*ty, text).ok_or_else(|| {
                let expected = ty.expected();
                self.error(format!("argument {} is '{}', which is no {ty}: it takes {expected}", i + 1, escape(text)))
            })
        };
        args.iter().zip(&self.params).enumerate().map(read).collect()
    }

    /// Checks arguments against the parameters.
    pub(super) fn check(&self, args: &[Value]) -> Result<()> {
        self.check_count(args.len())?;
        match args.iter().zip(&self.params).position(|(arg, ty)| arg.ty() != *ty) {
            None => Ok(()),
            Some(i) => Err(self.error(format!(
                "argument {} is of type {} where {} is wanted",
                i + 1,
                args[i].ty(),
                self.params[i]
            ))),
        }
    }

    /// Checks the number of arguments.
    fn check_count(&self, given: usize) -> Result<()> {
        let wanted = self.params.len();
        if given == wanted {
            return Ok(());
        }
        let plural = if wanted == 1 { "" } else { "s" };
        Err(self.error(format!("it takes {wanted} argument{plural}, and {given} were given")))
    }

    /// An error that shows the signature.
    fn error(&self, message: String) -> Error {
        ErrorKind::Signature { module: self.module.clone(), signature: self.to_string(), message }.into()
    }
}

impl fmt::Display for Signature {
    /// Writes `add(i32, i32) -> i32`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&arrow(&self.name, &self.params, &self.results))
    }
}

/// A function's type for people, whatever is in it.
pub(super) fn describe(name: &str, ty: &FuncType) -> String {
    let (params, results): (Vec<_>, Vec<_>) = (ty.params().collect(), ty.results().collect());
    arrow(name, &params, &results)
}

/// `name(params) -> results`.
fn arrow<T: fmt::Display>(name: &str, params: &[T], results: &[T]) -> String {
    let list = |types: &[T]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (name, params) = (escape(name), list(params));
    match results.len() {
        0 => format!("{name}({params})"),
        1 => format!("{name}({params}) -> {}", list(results)),
        _ => format!("{name}({params}) -> ({})", list(results)),
    }
}

/// A name from a module as it can safely be printed: a hostile one may hold anything that moves a terminal's cursor.
pub(super) fn escape(name: &str) -> std::str::EscapeDebug<'_> {
    name.escape_debug()
}

/// The type of a value, if a host can pass it.
pub(super) fn value_type(ty: &ValType) -> Option<ValueType> {
    match ty {
        ValType::I32 => Some(ValueType::I32),
        ValType::I64 => Some(ValueType::I64),
        ValType::F32 => Some(ValueType::F32),
        ValType::F64 => Some(ValueType::F64),
        ValType::V128 => Some(ValueType::V128),
        ValType::Ref(_) => None,
    }
}

/// A value as Wasmtime takes it.
pub(super) fn to_wasmtime(value: &Value) -> Val {
    match *value {
        Value::I32(v) => Val::I32(v),
        Value::I64(v) => Val::I64(v),
        Value::F32(v) => Val::F32(v.to_bits()),
        Value::F64(v) => Val::F64(v.to_bits()),
        Value::V128(v) => Val::V128(v.into()),
    }
}

/// A value as Wasmtime gives it; `None` for references, which [`Signature::of`] does not let through.
pub(super) fn from_wasmtime(value: &Val) -> Option<Value> {
    match *value {
        Val::I32(v) => Some(Value::I32(v)),
        Val::I64(v) => Some(Value::I64(v)),
        Val::F32(v) => Some(Value::F32(f32::from_bits(v))),
        Val::F64(v) => Some(Value::F64(f64::from_bits(v))),
        Val::V128(v) => Some(Value::V128(v.as_u128())),
        _ => None,
    }
}
