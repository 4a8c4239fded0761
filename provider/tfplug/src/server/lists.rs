//! List resources: a stream of what exists.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;
use tonic::Status;

use super::{
    Inner,
    begin::{Begun, find, run_validators},
    convert,
    describe::list_of,
    identity,
    managed::finish,
};
use crate::{
    conformance::rules,
    diagnostics::Diagnostics,
    list::{Found, Sent},
    offers::{ListParts, Managed, Wanted},
    provider::Provider,
    schema::Compiled,
    value::Value,
    wire::tfplugin6 as wire,
};

/// How many results wait for a slow host.
const WAITING: usize = 16;

pub(super) type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;
type Event = wire::list_resource::Event;

impl<P: Provider> Inner<P> {
    fn list_parts(
        &self,
        type_name: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<(&ListParts<P::Data>, &Compiled)> {
        let noun = "list resource type";
        let parts = find(&self.offers.resources, noun, type_name, diagnostics)?;
        let found = parts.list.as_ref().zip(list_of(parts));
        if found.is_none() {
            diagnostics.error(
                format!("Unknown {noun}"),
                format!("Resources of the type `{type_name}` cannot be listed."),
            );
        }
        found
    }

    pub(super) async fn validate_list(
        &self,
        request: wire::validate_list_resource_config::Request,
    ) -> wire::validate_list_resource_config::Response {
        let mut diagnostics = Diagnostics::new();
        if let Some((list, compiled)) = self.list_parts(&request.type_name, &mut diagnostics)
            && let Some(config) = convert::decode(
                request.config.as_ref(),
                &compiled.ty,
                "configuration",
                &mut diagnostics,
            )
        {
            run_validators(&compiled.schema.attributes, &config, &mut diagnostics);
            let context = self.context(None);
            list.list.validate(&context, &config, &mut diagnostics).await;
        }
        wire::validate_list_resource_config::Response {
            diagnostics: convert::diagnostics(diagnostics),
        }
    }

    /// Streams what exists. Where the host reads no more, the author's code is told to stop.
    pub(super) fn list(self: &Arc<Self>, request: wire::list_resource::Request) -> Events<Event> {
        let context = self.context(None);
        let stopped = context.cancelled().child_token();
        let context = context.cancelled_by(stopped.clone());
        let (sender, receiver) = mpsc::channel(WAITING);
        let (inner, type_name) = (Arc::clone(self), request.type_name.clone());
        let limit = u64::try_from(request.limit).ok().filter(|limit| *limit > 0);
        let wanted = Wanted {
            resource: request.include_resource_object,
            limit,
        };
        tokio::spawn(async move {
            let mut diagnostics = Diagnostics::new();
            if let Some((list, compiled)) = inner.list_parts(&request.type_name, &mut diagnostics)
                && let Some(config) = convert::decode(
                    request.config.as_ref(),
                    &compiled.ty,
                    "configuration",
                    &mut diagnostics,
                )
            {
                list.list
                    .list(&context, &config, wanted, sender.clone(), &mut diagnostics)
                    .await;
            }
            if !diagnostics.is_empty() {
                // With the host gone there is nobody left to tell.
                let _ = sender.send(Sent::Told(diagnostics)).await;
            }
        });
        let inner = Arc::clone(self);
        let whole = request.include_resource_object;
        stream::unfold((receiver, stopped.drop_guard()), |(mut receiver, guard)| async {
            let sent = receiver.recv().await?;
            Some((sent, (receiver, guard)))
        })
        .then(move |sent| {
            let (inner, type_name) = (Arc::clone(&inner), type_name.clone());
            async move { Ok(inner.event(&type_name, sent, whole)) }
        })
        .boxed()
    }

    /// Checks and writes one result.
    fn event(&self, type_name: &str, sent: Sent, whole: bool) -> Event {
        let found = match sent {
            Sent::Told(diagnostics) => {
                return Event {
                    diagnostic: convert::diagnostics(diagnostics),
                    ..Event::default()
                };
            }
            Sent::Found(found) => *found,
        };
        let Found {
            identity,
            display_name,
            resource,
            mut diagnostics,
        } = found;
        let begun = self.begin(&self.offers.resources, type_name, None, &mut diagnostics);
        let mut event = Event {
            display_name,
            ..Event::default()
        };
        if let Some(begun) = begun {
            event.identity = listed_identity(&begun, type_name, &identity, &mut diagnostics);
            event.resource_object = resource.filter(|_| whole).map(|resource| {
                let rules = ["L2", "L2", "L2"];
                finish(
                    begun.compiled,
                    type_name,
                    "listed",
                    resource,
                    rules,
                    &mut diagnostics,
                )
            });
            if whole && event.resource_object.is_none() && !diagnostics.has_errors() {
                diagnostics.error(
                    "Provider bug",
                    format!(
                        "L2: the provider listed a `{type_name}` without the resource that was asked for. This is a \
                         bug in the provider. Please report it."
                    ),
                );
            }
        }
        event.diagnostic = convert::diagnostics(diagnostics);
        event
    }
}

fn listed_identity<D: Send + Sync + 'static>(
    begun: &Begun<'_, D, Managed<D>>,
    type_name: &str,
    value: &Value,
    diagnostics: &mut Diagnostics,
) -> Option<wire::ResourceIdentityData> {
    let ty = begun.parts.identity.as_ref()?.schema().ty();
    let broken = rules::identity_stays(&ty, None, value, false);
    rules::report(type_name, "listed", &broken, diagnostics);
    Some(identity::encode(value, &ty, diagnostics))
}
