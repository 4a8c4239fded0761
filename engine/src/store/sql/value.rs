//! What can be bound to a placeholder.

use std::borrow::Cow;

use sqlx::{Arguments as _, postgres::PgArguments, sqlite::SqliteArguments};

/// A value of a placeholder.
#[derive(Debug)]
pub(in crate::store) enum Value<'q> {
    /// Nothing, of the type that PostgreSQL must be told all the same.
    Null(Kind),
    Number(i64),
    Text(Cow<'q, str>),
    Bytes(Cow<'q, [u8]>),
}

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Kind {
    Number,
    Text,
    Bytes,
}

/// What can be bound.
pub(in crate::store) trait Bind<'q> {
    const KIND: Kind;

    fn value(self) -> Value<'q>;
}

macro_rules! binds {
    ($($kind:ident: $($type:ty => |$value:ident| $form:expr),+;)+) => {
        $($(impl<'q> Bind<'q> for $type {
            const KIND: Kind = Kind::$kind;

            fn value(self) -> Value<'q> {
                let $value = self;
                Value::$kind($form)
            }
        })+)+
    };
}

binds! {
    Number:
        i64 => |number| number,
        &i64 => |number| *number,
        i32 => |number| number.into(),
        u32 => |number| number.into(),
        bool => |flag| flag.into();
    Text:
        &'q str => |text| text.into(),
        &'q String => |text| text.as_str().into(),
        String => |text| text.into();
    Bytes:
        &'q [u8] => |bytes| bytes.into(),
        &'q Vec<u8> => |bytes| bytes.as_slice().into(),
        Vec<u8> => |bytes| bytes.into();
}

impl<'q, T: Bind<'q>> Bind<'q> for Option<T> {
    const KIND: Kind = T::KIND;

    fn value(self) -> Value<'q> {
        self.map_or(Value::Null(Self::KIND), T::value)
    }
}

pub(super) fn for_sqlite(values: Vec<Value<'_>>) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        match value {
            Value::Null(_) => arguments.add(None::<i64>),
            Value::Number(number) => arguments.add(number),
            Value::Text(Cow::Borrowed(text)) => arguments.add(text),
            Value::Text(Cow::Owned(text)) => arguments.add(text),
            Value::Bytes(Cow::Borrowed(bytes)) => arguments.add(bytes),
            Value::Bytes(Cow::Owned(bytes)) => arguments.add(bytes),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

pub(super) fn for_postgres(values: Vec<Value<'_>>) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        match value {
            Value::Null(Kind::Number) => arguments.add(None::<i64>),
            Value::Null(Kind::Text) => arguments.add(None::<&str>),
            Value::Null(Kind::Bytes) => arguments.add(None::<&[u8]>),
            Value::Number(number) => arguments.add(number),
            Value::Text(text) => arguments.add(&*without_nul(text)),
            Value::Bytes(bytes) => arguments.add(&*bytes),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// PostgreSQL has no NUL in a text. What others say of a failure may hold one, and must be kept all the same.
fn without_nul(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_with_a_nul_is_changed() {
        assert!(matches!(without_nul("plain".into()), Cow::Borrowed("plain")));
        assert_eq!(without_nul("a\0b".into()), "a\u{fffd}b");
    }
}
