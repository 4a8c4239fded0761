//! Actions: planned without a result, and invoked with a stream of progress.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};

use super::{Inner, convert, lists::Events};
use crate::{
    action::{PlanActionResponse, Progress},
    diagnostics::Diagnostics,
    provider::{Deferred, Provider, Reason},
    wire::tfplugin6 as wire,
};

/// How many lines of progress wait for a slow host.
const WAITING: usize = 16;

type Event = wire::invoke_action::Event;

impl<P: Provider> Inner<P> {
    pub(super) async fn validate_action(
        &self,
        request: wire::validate_action_config::Request,
    ) -> wire::validate_action_config::Response {
        let (name, config) = (&request.type_name, request.config.as_ref());
        wire::validate_action_config::Response {
            diagnostics: self.validate(&self.offers.actions, name, config, None).await,
        }
    }

    pub(super) async fn plan_action(
        &self,
        request: wire::plan_action::Request,
    ) -> wire::plan_action::Response {
        let mut diagnostics = Diagnostics::new();
        let mut response = PlanActionResponse::default();
        let client = request.client_capabilities;
        if let Some(begun) = self.begin(
            &self.offers.actions,
            &request.action_type,
            client,
            &mut diagnostics,
        ) && let Some(config) = begun.config(request.config.as_ref(), &mut diagnostics)
            && let Some(plans) = &begun.parts.plan
        {
            plans.plan(&begun.context, &config, &mut response).await;
        }
        diagnostics.extend(response.diagnostics);
        // Core takes no other reason from an action.
        if let Some(Deferred(reason)) = response.deferred
            && reason != Reason::ProviderConfigUnknown
        {
            diagnostics.error(
                "Provider bug",
                format!(
                    "P15: the action `{}` waits for something else than the provider's configuration, which actions \
                     cannot. This is a bug in the provider. Please report it.",
                    request.action_type
                ),
            );
        }
        wire::plan_action::Response {
            diagnostics: convert::diagnostics(diagnostics),
            deferred: convert::deferred(response.deferred),
        }
    }

    /// Invokes an action: any number of lines of progress, then exactly one end. Where the host reads no more, the
    /// author's code is told to stop.
    pub(super) fn invoke_action(self: &Arc<Self>, request: wire::invoke_action::Request) -> Events<Event> {
        use wire::invoke_action::event::{Completed, Progress as Line, Type};
        let context = self.context(request.client_capabilities);
        let stopped = context.cancelled().child_token();
        let context = context.cancelled_by(stopped.clone());
        let (sender, receiver) = mpsc::channel(WAITING);
        let (end, ended) = oneshot::channel();
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            let mut diagnostics = Diagnostics::new();
            let client = request.client_capabilities;
            if let Some(begun) = inner.begin(
                &inner.offers.actions,
                &request.action_type,
                client,
                &mut diagnostics,
            ) && let Some(config) = begun.config(request.config.as_ref(), &mut diagnostics)
            {
                let progress = Progress::new(sender);
                let core = &begun.parts.core;
                core.invoke(&context, &config, progress, &mut diagnostics).await;
            }
            // With the host gone there is nobody left to tell.
            let _ = end.send(diagnostics);
        });
        let lines = stream::unfold((receiver, stopped.drop_guard()), |(mut receiver, guard)| async {
            let message = receiver.recv().await?;
            Some((message, (receiver, guard)))
        })
        .map(|message| Type::Progress(Line { message }));
        let completed = stream::once(async move {
            let diagnostics = ended.await.unwrap_or_else(|_| {
                let mut diagnostics = Diagnostics::new();
                diagnostics.error("Provider bug", "The action ended without an outcome.");
                diagnostics
            });
            Type::Completed(Completed {
                diagnostics: convert::diagnostics(diagnostics),
            })
        });
        lines
            .chain(completed)
            .map(|event| Ok(Event { r#type: Some(event) }))
            .boxed()
    }
}
