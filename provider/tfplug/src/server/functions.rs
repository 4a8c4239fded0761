//! Functions.

use std::collections::HashMap;

use super::{Inner, convert};
use crate::{
    diagnostics::Diagnostics, function::FunctionError, provider::Provider, value::Value,
    wire::tfplugin6 as wire,
};

impl<P: Provider> Inner<P> {
    pub(super) fn functions(&self) -> HashMap<String, wire::Function> {
        self.offers
            .functions
            .iter()
            .map(|(name, parts)| (name.clone(), convert::function(&parts.core.signature())))
            .collect()
    }

    /// What OpenTofu asks when the schema does not name a function that is called.
    pub(super) fn get_functions(&self, _: wire::get_functions::Request) -> wire::get_functions::Response {
        wire::get_functions::Response {
            functions: self.functions(),
            diagnostics: Vec::new(),
        }
    }

    pub(super) async fn call_function(
        &self,
        request: wire::call_function::Request,
    ) -> wire::call_function::Response {
        match self.call_function_into(&request).await {
            Ok(result) => wire::call_function::Response {
                result: Some(result),
                error: None,
            },
            Err(error) => wire::call_function::Response {
                result: None,
                error: Some(wire::FunctionError {
                    text: error.text,
                    function_argument: error.argument.and_then(|position| i64::try_from(position).ok()),
                }),
            },
        }
    }

    async fn call_function_into(
        &self,
        request: &wire::call_function::Request,
    ) -> Result<wire::DynamicValue, FunctionError> {
        let Some(parts) = self.offers.functions.get(&request.name) else {
            return Err(FunctionError::new(format!(
                "This provider has no function `{}`.",
                request.name
            )));
        };
        let signature = parts.core.signature();
        let fixed = signature.parameters.len();
        let given = request.arguments.len();
        if given < fixed || (given > fixed && signature.variadic.is_none()) {
            return Err(FunctionError::new(format!(
                "The function takes {fixed} arguments, and {given} were given."
            )));
        }
        let parameters = signature
            .parameters
            .iter()
            .chain(std::iter::repeat_with(|| signature.variadic.as_ref()).map_while(|parameter| parameter));
        let mut arguments = Vec::with_capacity(given);
        for (position, (wire, parameter)) in request.arguments.iter().zip(parameters).enumerate() {
            let mut told = Diagnostics::new();
            let Some(value) = convert::decode(Some(wire), &parameter.ty, "argument", &mut told) else {
                let text: Vec<String> = told.into_iter().map(|diagnostic| diagnostic.detail).collect();
                return Err(FunctionError::at(position, text.join(" ")));
            };
            if value.is_null() && !parameter.nullable {
                return Err(FunctionError::at(position, "The argument must not be null."));
            }
            // Core asks only once everything is known, unless a parameter says that it need not be.
            if !parameter.unknown && !value.is_wholly_known() {
                return Ok(convert::encode(
                    &Value::Unknown,
                    &signature.returns,
                    "result",
                    &mut Diagnostics::new(),
                ));
            }
            arguments.push(value);
        }
        let result = parts.core.call(&arguments).await?;
        let mut told = Diagnostics::new();
        let written = convert::encode(&result, &signature.returns, "result", &mut told);
        match told.into_iter().next() {
            None => Ok(written),
            Some(diagnostic) => Err(FunctionError::new(diagnostic.detail)),
        }
    }
}
