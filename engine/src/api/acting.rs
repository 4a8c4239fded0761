//! On whose behalf a handler changes something.

use std::{convert::Infallible, net::IpAddr, ops::Deref, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};
use engine_api::{Actor, ActorKind, Identity};

use super::{
    Api,
    access::{Caller, Peer},
    failure::Failure,
};
use crate::store::audit::By;

/// The name of a request, as the guard gave it.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) Arc<str>);

/// From where and by which request somebody comes.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) address: Option<IpAddr>,
    request_id: Option<Arc<str>>,
}

impl Visit {
    fn of(parts: &Parts) -> Self {
        Self {
            address: parts.extensions.get::<Peer>().map(|peer| peer.0),
            request_id: parts.extensions.get::<RequestId>().map(|id| Arc::clone(&id.0)),
        }
    }

    fn by(&self, actor: Actor) -> By {
        By {
            actor,
            request_id: self.request_id.clone(),
        }
    }

    /// A workload that a rule of this name let in.
    pub(super) fn by_workload(&self, rule: &str, identity: Identity) -> By {
        self.by(Actor {
            kind: ActorKind::Workload,
            token_id: None,
            name: rule.to_owned(),
            identity: Some(identity),
            address: self.address.map(|address| address.to_string()),
        })
    }

    /// The holder of a token.
    fn by_caller(&self, caller: &Caller) -> By {
        self.by(Actor {
            kind: match caller.token {
                Some(_) => ActorKind::Token,
                None => ActorKind::AdminToken,
            },
            token_id: caller.token.clone(),
            name: caller.name.clone(),
            identity: caller.identity.clone(),
            address: self.address.map(|address| address.to_string()),
        })
    }
}

impl FromRequestParts<Api> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

/// The API as the caller's token uses it: what is changed through it is noted as theirs.
#[derive(Debug, Clone)]
pub(super) struct Acting(pub(super) Api);

impl Deref for Acting {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.0
    }
}

impl FromRequestParts<Api> for Acting {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failure> {
        let Some(caller) = parts.extensions.get::<Caller>() else {
            return Err(Failure::internal(
                "a route without a token changes something as a caller",
            ));
        };
        Ok(Self(api.acting(Visit::of(parts).by_caller(caller))))
    }
}
