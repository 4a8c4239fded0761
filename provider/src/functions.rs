//! The functions: the engine's own rules about rows, without an engine.

use std::sync::LazyLock;

use engine_api::{
    LogType,
    detail::Detail,
    label::{Labelled, Labeller},
};
use tfplug::{
    function::{Arguments, Function, FunctionError},
    model::{Model, Value},
    value::{self, Dynamic},
};

/// The built-in rules, compiled once.
static LABELLER: LazyLock<Labeller> = LazyLock::new(Labeller::default);

/// The arguments of [`Labels`].
#[derive(Debug, Arguments)]
pub struct Row {
    /// The row: an object or a map, such as one line of a file destination after `jsondecode`. Of it `category_type`,
    /// `action`, `operation_detail` and `operator` count; a row with none of the first three is a sign-in or sign-out.
    row: Dynamic,
}

/// `provider::zoom::labels`: the labels of a row.
#[derive(Debug, Clone, Copy)]
pub struct Labels;

impl Function for Labels {
    type Arguments = Row;
    type Output = Vec<Value<String>>;

    fn name(&self) -> &'static str {
        "labels"
    }

    fn summary(&self) -> &'static str {
        "Labels a row as the engine's built-in rules do."
    }

    fn description(&self) -> &'static str {
        "Returns the labels that the engine's built-in rules give a row: `account_settings`, `role_and_license`, \
         `billing`, `sso`, several of them where several fit, and `unclassified` alone where none does. Rules that an \
         engine's configuration adds or switches off are not known here."
    }

    fn call(&self, arguments: Row) -> Result<Vec<Value<String>>, FunctionError> {
        let row = &arguments.row.value;
        let Some(fields) = row.entries() else {
            return Err(FunctionError::at(
                0,
                format!(
                    "A row is an object or a map with members such as `operation_detail`; this is {}. The text of a row \
                     becomes one with `jsondecode`.",
                    row.kind()
                ),
            ));
        };
        let text = |name: &str| match fields.get(name) {
            None | Some(value::Value::Null) => Ok(""),
            Some(value) => value.as_str().ok_or_else(|| {
                FunctionError::at(
                    0,
                    format!("`{name}` of a row is text; here it is {}.", value.kind()),
                )
            }),
        };
        let labelled = Labelled {
            category: text("category_type")?,
            action: text("action")?,
            detail: text("operation_detail")?,
            operator: text("operator")?,
        };
        let is_operation = ["category_type", "action", "operation_detail"]
            .iter()
            .any(|name| fields.get(*name).is_some_and(value::Value::is_known));
        let log_type = if is_operation {
            LogType::Operation
        } else {
            LogType::Activity
        };
        let mut labeller = LABELLER.clone();
        let labels = labeller.labels(log_type, &labelled);
        Ok(labeller
            .names(labels)
            .map(|name| Value::Known(name.to_owned()))
            .collect())
    }
}

/// The arguments of [`ParseOperationDetail`].
#[derive(Debug, Arguments)]
pub struct Text {
    /// The `operation_detail` of a row.
    text: String,
}

/// What an operation changed.
#[derive(Debug, Model)]
pub struct OperationDetail {
    /// What was acted on.
    #[tf(computed)]
    subject: Value<String>,
    /// The fields that were changed, in the order of the text.
    #[tf(computed)]
    changes: Value<Vec<Value<Change>>>,
}

/// One field that an operation changed.
#[derive(Debug, Model)]
pub struct Change {
    /// The field.
    #[tf(computed)]
    field: Value<String>,
    /// The old value; null where the text tells none.
    #[tf(computed)]
    from: Value<String>,
    /// The new value, or the only one.
    #[tf(computed)]
    to: Value<String>,
}

/// `provider::zoom::parse_operation_detail`: what an operation changed.
#[derive(Debug, Clone, Copy)]
pub struct ParseOperationDetail;

impl Function for ParseOperationDetail {
    type Arguments = Text;
    type Output = Option<OperationDetail>;

    fn name(&self) -> &'static str {
        "parse_operation_detail"
    }

    fn summary(&self) -> &'static str {
        "Takes an `operation_detail` apart as the engine does."
    }

    fn description(&self) -> &'static str {
        "Returns what an operation changed, as the engine delivers it in `zoom_log.detail`: an object with the `subject` \
         and a list of `changes`, each with `field`, `from` (null where the text tells no old value) and `to`. It is \
         null where the text does not follow the form that Zoom usually writes."
    }

    fn call(&self, arguments: Text) -> Result<Option<OperationDetail>, FunctionError> {
        let text = |text: &str| Value::Known(text.to_owned());
        Ok(Detail::parse(&arguments.text).map(|detail| OperationDetail {
            subject: text(detail.subject),
            changes: Value::Known(
                detail
                    .changes()
                    .map(|change| {
                        Value::Known(Change {
                            field: text(change.field),
                            from: change.from.map(str::to_owned).into(),
                            to: text(change.to),
                        })
                    })
                    .collect(),
            ),
        }))
    }
}
