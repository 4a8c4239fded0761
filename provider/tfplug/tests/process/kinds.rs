//! Functions, ephemeral resources, lists, actions, capabilities, and what is not offered.

use std::time::Duration;

use tfplug::{
    value::{Type, Value},
    wire::tfplugin6 as wire,
};
use tokio::time::timeout;

use crate::{
    host::{decode, encode},
    provider::{Kennel, dog, dog_type, summaries},
};

#[tokio::test]
async fn everything_is_named_and_described() {
    let mut kennel = Kennel::start().await;
    let schema = kennel
        .client
        .get_provider_schema(wire::get_provider_schema::Request {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(schema.diagnostics, []);
    let metadata = kennel
        .client
        .get_metadata(wire::get_metadata::Request {})
        .await
        .unwrap()
        .into_inner();
    let capabilities = wire::ServerCapabilities {
        plan_destroy: true,
        get_provider_schema_optional: true,
        move_resource_state: true,
        generate_resource_config: true,
    };
    assert_eq!(schema.server_capabilities, Some(capabilities));
    assert_eq!(metadata.server_capabilities, Some(capabilities));
    assert_eq!(metadata.resources.len(), schema.resource_schemas.len());
    assert_eq!(metadata.list_resources[0].type_name, "kennel_dog");
    assert!(schema.list_resource_schemas.contains_key("kennel_dog"));
    assert!(
        schema
            .ephemeral_resource_schemas
            .contains_key(&metadata.ephemeral_resources[0].type_name)
    );
    assert!(schema.action_schemas.contains_key(&metadata.actions[0].type_name));
    assert!(
        schema
            .data_source_schemas
            .contains_key(&metadata.data_sources[0].type_name)
    );
    let functions = kennel
        .client
        .get_functions(wire::get_functions::Request {})
        .await
        .unwrap()
        .into_inner()
        .functions;
    assert_eq!(functions, schema.functions);
    assert_eq!(metadata.functions.len(), functions.len());
    let greet = &functions["greet"];
    assert_eq!(greet.parameters[0].description, "Who is greeted.");
    assert!(!greet.parameters[0].allow_null_value && greet.parameters[1].allow_null_value);
    assert_eq!(
        functions["heaviest"].variadic_parameter.as_ref().unwrap().name,
        "weights"
    );
}

#[tokio::test]
async fn functions_answer_or_say_which_argument_is_wrong() {
    let mut kennel = Kennel::start().await;
    let mut call = async |name: &str, arguments: &[(Value, Type)]| {
        let request = wire::call_function::Request {
            name: name.to_owned(),
            arguments: arguments
                .iter()
                .filter_map(|(value, ty)| encode(value, ty))
                .collect(),
        };
        let answer = kennel.client.call_function(request).await.unwrap().into_inner();
        match answer.error {
            Some(error) => Err((error.text, error.function_argument)),
            None => Ok(answer.result),
        }
    };
    let text = |text: &str| (Value::from(text), Type::String);
    let null = (Value::Null, Type::String);
    let said = async |answer: Result<Option<wire::DynamicValue>, _>, ty: &Type| {
        decode(answer.unwrap().as_ref(), ty).reveal()
    };
    let hello = call("greet", &[text("Rex"), null.clone()]).await;
    assert_eq!(said(hello, &Type::String).await, r#""Hello, Rex!""#);
    let number = |number: &str| (Value::Number(number.parse().unwrap()), Type::Number);
    let heaviest = call("heaviest", &[number("2"), number("30.1"), number("30.01")]).await;
    assert_eq!(said(heaviest, &Type::Number).await, "30.1");
    let none = call("heaviest", &[]).await;
    assert_eq!(said(none, &Type::Number).await, "null");
    let unknown = call("greet", &[(Value::Unknown, Type::String), null.clone()]).await;
    assert_eq!(said(unknown, &Type::String).await, "(unknown)");

    let wrong = call("greet", &[text(""), null.clone()]).await.unwrap_err();
    assert_eq!(wrong, ("Somebody has to be greeted.".to_owned(), Some(0)));
    let wrong = call("greet", &[null.clone(), null.clone()]).await.unwrap_err();
    assert_eq!(wrong, ("The argument must not be null.".to_owned(), Some(0)));
    let panicked = call("greet", &[text("Cerberus"), null]).await.unwrap_err();
    assert!(panicked.0.contains("which head?"), "{}", panicked.0);
    assert!(
        call("greet", &[text("x")])
            .await
            .unwrap_err()
            .0
            .contains("takes 2 arguments")
    );
    assert!(
        call("bark", &[])
            .await
            .unwrap_err()
            .0
            .contains("no function `bark`")
    );
}

#[tokio::test]
async fn an_ephemeral_resource_is_opened_renewed_and_closed() {
    let mut kennel = Kennel::start().await;
    let ty = Type::object([("pitch", Type::Number), ("tone", Type::String)]);
    let config = |pitch: Value| encode(&Value::object([("pitch", pitch), ("tone", Value::Null)]), &ty);
    let type_name = "kennel_whistle".to_owned();
    let checked = kennel
        .client
        .validate_ephemeral_resource_config(wire::validate_ephemeral_resource_config::Request {
            type_name: type_name.clone(),
            config: config(60_i64.into()),
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(summaries(&checked.diagnostics), ["Too high"]);
    let opened = kennel
        .client
        .open_ephemeral_resource(wire::open_ephemeral_resource::Request {
            type_name: type_name.clone(),
            config: config(3_i64.into()),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(opened.diagnostics, []);
    assert_eq!(decode(opened.result.as_ref(), &ty).get("tone"), &"fweeep".into());
    let renewed = kennel
        .client
        .renew_ephemeral_resource(wire::renew_ephemeral_resource::Request {
            type_name: type_name.clone(),
            private: opened.private.clone(),
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(renewed.private, opened.private);
    assert!(renewed.renew_at.unwrap().seconds > opened.renew_at.unwrap().seconds);
    let mut close = async || {
        let request = wire::close_ephemeral_resource::Request {
            type_name: type_name.clone(),
            private: renewed.private.clone(),
        };
        let answer = kennel.client.close_ephemeral_resource(request).await;
        answer.unwrap().into_inner().diagnostics
    };
    assert_eq!(close().await, []);
    assert_eq!(summaries(&close().await), ["Not open"]);
}

#[tokio::test]
async fn a_list_streams_what_exists_up_to_its_limit() {
    let mut kennel = Kennel::start().await;
    for name in ["Ada", "Bo", "Rex", "Rolf"] {
        kennel.create(&dog(&[("name", name.into())])).await;
    }
    let ty = Type::object([("prefix", Type::String)]);
    let mut list = async |prefix: Value, limit, whole| {
        let request = wire::list_resource::Request {
            type_name: "kennel_dog".to_owned(),
            config: encode(&Value::object([("prefix", prefix)]), &ty),
            include_resource_object: whole,
            limit,
        };
        let mut stream = kennel.client.list_resource(request).await.unwrap().into_inner();
        let mut events = Vec::new();
        while let Some(event) = stream.message().await.unwrap() {
            events.push(event);
        }
        events
    };
    let names = |events: &[wire::list_resource::Event]| {
        let names = events.iter().map(|event| event.display_name.as_str());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&list(Value::Null, 100, false).await), "ada bo rex rolf");
    assert_eq!(names(&list(Value::Null, 2, false).await), "ada bo");
    let whole = list("r".into(), 0, true).await;
    assert_eq!(names(&whole), "rex rolf");
    for event in &whole {
        assert_eq!(event.diagnostic, []);
        let dog = decode(event.resource_object.as_ref(), &dog_type());
        assert_eq!(dog.get("id").as_str(), Some(event.display_name.as_str()));
        assert!(event.identity.is_some());
    }
    let panicked = list("panic".into(), 0, false).await;
    assert!(panicked[0].diagnostic[0].detail.contains("the dogs ran away"));
    // What is no text cannot even be sent as one, so there is no configuration.
    let wrong = list(true.into(), 0, false).await;
    assert_eq!(summaries(&wrong[0].diagnostic), ["Invalid value"]);
}

#[tokio::test]
async fn an_action_reports_its_progress_and_ends_once() {
    use wire::invoke_action::event::Type as Event;
    let mut kennel = Kennel::start().await;
    kennel.create(&dog(&[("name", "Rex".into())])).await;
    let ty = Type::object([("name", Type::String), ("times", Type::Number)]);
    let config = |name: &str, times: i64| {
        encode(
            &Value::object([("name", name.into()), ("times", times.into())]),
            &ty,
        )
    };
    let checked = kennel
        .client
        .validate_action_config(wire::validate_action_config::Request {
            type_name: "kennel_call".to_owned(),
            config: config("Rex", 0),
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(summaries(&checked.diagnostics), ["Never"]);
    let unknown = Value::object([("name", Value::Unknown), ("times", Value::Null)]);
    let planned = kennel
        .client
        .plan_action(wire::plan_action::Request {
            action_type: "kennel_call".to_owned(),
            config: encode(&unknown, &ty),
            client_capabilities: None,
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(summaries(&planned.diagnostics), ["Somebody will be called"]);

    let mut invoke = async |name: &str, times| {
        let request = wire::invoke_action::Request {
            action_type: "kennel_call".to_owned(),
            config: config(name, times),
            client_capabilities: None,
        };
        let mut stream = kennel.client.invoke_action(request).await.unwrap().into_inner();
        let mut lines = Vec::new();
        let mut ends = Vec::new();
        while let Some(event) = stream.message().await.unwrap() {
            match event.r#type.unwrap() {
                Event::Progress(progress) => lines.push(progress.message),
                Event::Completed(completed) => ends.push(completed.diagnostics),
            }
        }
        assert_eq!(ends.len(), 1);
        (lines.len(), ends.remove(0))
    };
    assert_eq!(invoke("Rex", 50).await, (50, Vec::new()));
    let (_, nobody) = invoke("Bo", 1).await;
    assert_eq!(summaries(&nobody), ["No such dog"]);
    let (lines, panicked) = invoke("Cerberus", 1).await;
    assert_eq!(lines, 1);
    assert!(panicked[0].detail.contains("three heads"));
}

#[tokio::test]
async fn what_the_host_no_longer_reads_is_stopped() {
    let mut kennel = Kennel::start().await;
    let ty = Type::object([("name", Type::String), ("times", Type::Number)]);
    let config = Value::object([("name", "Godot".into()), ("times", 1_i64.into())]);
    let request = wire::invoke_action::Request {
        action_type: "kennel_call".to_owned(),
        config: encode(&config, &ty),
        client_capabilities: None,
    };
    let mut stream = kennel.client.invoke_action(request).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    kennel
        .client
        .stop_provider(wire::stop_provider::Request {})
        .await
        .unwrap();
    // It waits for nobody any more, and says so.
    let end = timeout(Duration::from_secs(20), stream.message()).await.unwrap();
    assert!(end.unwrap().is_some());
}

#[tokio::test]
async fn a_plan_waits_only_where_the_host_allows_it() {
    let mut kennel = Kennel::start().await;
    let config = dog(&[("name", "Rex".into()), ("trick", "wait".into())]);
    let mut plan = async |deferral_allowed| {
        let request = wire::plan_resource_change::Request {
            type_name: "kennel_dog".to_owned(),
            prior_state: encode(&Value::Null, &dog_type()),
            proposed_new_state: encode(&config, &dog_type()),
            config: encode(&config, &dog_type()),
            client_capabilities: Some(wire::ClientCapabilities {
                deferral_allowed,
                ..Default::default()
            }),
            ..Default::default()
        };
        let answer = kennel.client.plan_resource_change(request).await.unwrap();
        answer.into_inner().deferred.map(|deferred| deferred.reason)
    };
    assert_eq!(plan(false).await, None);
    assert_eq!(
        plan(true).await,
        Some(wire::deferred::Reason::AbsentPrereq.into())
    );
}

#[tokio::test]
async fn state_stores_are_refused_in_words() {
    let mut kennel = Kennel::start().await;
    let client = &mut kennel.client;
    let words = ["State stores are not supported"];
    let configured = client
        .configure_state_store(wire::configure_state_store::Request::default())
        .await
        .unwrap();
    assert_eq!(summaries(&configured.into_inner().diagnostics), words);
    let validated = client
        .validate_state_store_config(wire::validate_state_store::Request::default())
        .await
        .unwrap();
    assert_eq!(summaries(&validated.into_inner().diagnostics), words);
    let mut read = client
        .read_state_bytes(wire::read_state_bytes::Request::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        summaries(&read.message().await.unwrap().unwrap().diagnostics),
        words
    );
    let chunk = wire::write_state_bytes::RequestChunk::default();
    let written = client.write_state_bytes(tokio_stream_of(chunk)).await.unwrap();
    assert_eq!(summaries(&written.into_inner().diagnostics), words);
    let locked = client
        .lock_state(wire::lock_state::Request::default())
        .await
        .unwrap();
    assert_eq!(summaries(&locked.into_inner().diagnostics), words);
    let unlocked = client
        .unlock_state(wire::unlock_state::Request::default())
        .await
        .unwrap();
    assert_eq!(summaries(&unlocked.into_inner().diagnostics), words);
    let listed = client
        .get_states(wire::get_states::Request::default())
        .await
        .unwrap();
    assert_eq!(summaries(&listed.into_inner().diagnostics), words);
    let deleted = client
        .delete_state(wire::delete_state::Request::default())
        .await
        .unwrap();
    assert_eq!(summaries(&deleted.into_inner().diagnostics), words);
}

fn tokio_stream_of<T: Send + 'static>(only: T) -> impl futures_util::Stream<Item = T> + Send + 'static {
    futures_util::stream::iter([only])
}
