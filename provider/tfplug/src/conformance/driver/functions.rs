//! Functions: what they say of themselves, and calls.

use std::collections::{BTreeMap, HashMap};

use tonic::{
    body::Body,
    client::GrpcService,
    codegen::{Body as HttpBody, Bytes, StdError},
};

use super::{Driver, encode};
use crate::{
    conformance::{Violation, exchange},
    path::Path,
    value::{Type, Value},
    wire::tfplugin6 as wire,
};

/// The types of a function.
#[derive(Debug, Clone)]
pub(super) struct Signature {
    parameters: Vec<Type>,
    variadic: Option<Type>,
    returns: Type,
}

impl Signature {
    /// Reads what is said of a function, or says what is wrong with it.
    fn read(function: &wire::Function) -> Result<Self, Vec<Violation>> {
        let mut broken = Vec::new();
        let mut ty = |place: &str, json: &[u8]| {
            let read = Type::from_json(json);
            if read.is_err() {
                let sentence = format!("the type of {place} is no type");
                broken.push(Violation::new("S11", &Path::root(), sentence));
            }
            read.unwrap_or(Type::Dynamic)
        };
        let parameters: Vec<Type> = function
            .parameters
            .iter()
            .map(|parameter| ty(&format!("`{}`", parameter.name), &parameter.r#type))
            .collect();
        let variadic = function
            .variadic_parameter
            .as_ref()
            .map(|parameter| ty(&format!("`{}`", parameter.name), &parameter.r#type));
        let returns = function.r#return.clone().unwrap_or_default();
        let returns = ty("the result", &returns.r#type);
        let mut names = std::collections::BTreeSet::new();
        for parameter in function.parameters.iter().chain(&function.variadic_parameter) {
            let name = &parameter.name;
            let begins = name.starts_with(|first: char| first.is_alphabetic() || first == '_');
            let goes_on = name
                .chars()
                .all(|next| next.is_alphanumeric() || next == '_' || next == '-');
            if !begins || !goes_on || !names.insert(name) {
                let sentence = format!("`{name}` is no name, or not the only one, of a parameter");
                broken.push(Violation::new("S11", &Path::root(), sentence));
            }
        }
        if broken.is_empty() {
            Ok(Self {
                parameters,
                variadic,
                returns,
            })
        } else {
            Err(broken)
        }
    }

    /// The type of the argument at a position; none where there is no such argument.
    fn parameter(&self, position: usize) -> Option<&Type> {
        self.parameters.get(position).or(self.variadic.as_ref())
    }
}

impl<T> Driver<T>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    /// Reads what is said of the functions, in the schema and where OpenTofu asks: S11.
    pub(super) async fn read_functions(&mut self, functions: HashMap<String, wire::Function>) {
        let answer = self.client.get_functions(wire::get_functions::Request {}).await;
        if let Some(answer) = self.take("provider", "GetFunctions", answer)
            && answer.functions != functions
        {
            let sentence = "it names other functions than the schema";
            self.find(
                "provider",
                "GetFunctions",
                [Violation::new("S11", &Path::root(), sentence)],
            );
        }
        for (name, function) in functions.into_iter().collect::<BTreeMap<_, _>>() {
            match Signature::read(&function) {
                Ok(signature) => _ = self.functions.insert(name, signature),
                Err(broken) => self.find(&name, "GetProviderSchema", broken),
            }
        }
    }

    /// Calls a function twice, as core may: the same arguments have the same result, which is of the type that was said,
    /// and an error names an argument that was given. Returns the result, or the error's text; nothing where the function
    /// or an argument does not exist.
    pub async fn call(&mut self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        let signature = self.functions.get(name)?.clone();
        let mut written = Vec::with_capacity(arguments.len());
        for (position, argument) in arguments.iter().enumerate() {
            written.push(encode(argument, signature.parameter(position)?)?);
        }
        let request = wire::call_function::Request {
            name: name.to_owned(),
            arguments: written,
        };
        let answer = self.client.call_function(request.clone()).await;
        let answer = self.take(name, "CallFunction", answer)?;
        let again = self.client.call_function(request).await;
        let again = self.take(name, "CallFunction", again)?;
        let mut broken = Vec::new();
        if again != answer {
            broken.push(("X2", "the same arguments have another result"));
        }
        let result = match (&answer.result, &answer.error) {
            (_, Some(error)) => {
                let given = i64::try_from(arguments.len()).unwrap_or(i64::MAX);
                if error
                    .function_argument
                    .is_some_and(|position| !(0..given).contains(&position))
                {
                    broken.push(("X9", "the error names an argument that was not given"));
                }
                Some(Err(error.text.clone()))
            }
            (result, None) => {
                if let Ok(result) = exchange::decode(result.as_ref(), &signature.returns, "X9") {
                    if !result.is_wholly_known() && arguments.iter().all(Value::is_wholly_known) {
                        broken.push(("X9", "the result of known arguments is not known"));
                    }
                    Some(Ok(result))
                } else {
                    broken.push(("X9", "the result is not of the type that the function returns"));
                    None
                }
            }
        };
        let broken = broken
            .into_iter()
            .map(|(rule, sentence)| Violation::new(rule, &Path::root(), sentence));
        self.find(name, "CallFunction", broken);
        result
    }
}
