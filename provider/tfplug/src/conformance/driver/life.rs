//! The life of a managed resource, from its first plan to its end.

use tonic::{
    body::Body,
    client::GrpcService,
    codegen::{Body as HttpBody, Bytes, StdError},
};

use super::{CAPABILITIES, Driver, Step, encode, whole};
use crate::{
    conformance::{
        Violation,
        exchange::{self, Contract},
        proposed_new,
    },
    path::Path,
    value::Value,
    wire::tfplugin6 as wire,
};

/// What Terraform keeps of a resource.
#[derive(Debug, Clone, Default)]
struct Kept {
    state: Value,
    private: Vec<u8>,
    identity: Option<wire::ResourceIdentityData>,
}

/// How often a change is begun that fails as expected, before that is a finding.
const TRIES: u32 = 8;

/// How applying went.
enum Applied {
    /// It is made.
    Done(Kept),
    /// What is behind the provider failed, as was expected; this is what the provider says exists.
    Failed(Kept),
}

/// A plan, as the provider made it.
struct Planned {
    state: Value,
    private: Vec<u8>,
    identity: Option<wire::ResourceIdentityData>,
    replaces: bool,
}

impl<T> Driver<T>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    /// Leads a resource through these configurations, and destroys it. It ends at the first answer that is an error.
    pub async fn live(&mut self, type_name: &str, steps: &[Step]) {
        let Some(contract) = self.resources.get(type_name).cloned() else {
            let unknown = Violation::new("refused", &Path::root(), "there is no such resource type");
            self.find(type_name, "GetProviderSchema", [unknown]);
            return;
        };
        let mut life = Life {
            driver: self,
            type_name,
            contract: &contract,
            kept: Kept::default(),
        };
        life.lead(steps).await;
    }
}

struct Life<'a, T> {
    driver: &'a mut Driver<T>,
    type_name: &'a str,
    contract: &'a Contract,
    kept: Kept,
}

impl<T> Life<'_, T>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    async fn lead(&mut self, steps: &[Step]) -> Option<()> {
        let ty = self.contract.schema.ty();
        for step in steps {
            let step = &Step {
                planned: whole(&step.planned, &ty),
                applied: whole(&step.applied, &ty),
            };
            self.driver.remember_secrets(&self.contract.schema, &step.planned);
            self.driver.remember_secrets(&self.contract.schema, &step.applied);
            self.make(step).await?;
            self.settle(&step.applied).await?;
        }
        self.import().await?;
        self.take_over().await?;
        self.destroy().await
    }

    /// Makes a change, again where it fails as expected, as somebody would who applies again.
    async fn make(&mut self, step: &Step) -> Option<()> {
        for _ in 0..TRIES {
            if self.change(step).await? {
                return Some(());
            }
        }
        self.same(
            "ApplyResourceChange",
            "X6",
            false,
            "the change fails however often it is made",
        );
        None
    }

    fn encode(&self, value: &Value) -> Option<wire::DynamicValue> {
        encode(value, &self.contract.schema.ty())
    }

    fn find(&mut self, operation: &'static str, violations: impl IntoIterator<Item = Violation>) {
        self.driver.find(self.type_name, operation, violations);
    }

    /// Notes that two things differ which should not.
    fn same(&mut self, operation: &'static str, rule: &'static str, same: bool, sentence: &str) {
        if !same {
            self.find(operation, [Violation::new(rule, &Path::root(), sentence)]);
        }
    }

    fn look_for_secrets(&mut self, operation: &'static str, answer: &impl prost::Message) {
        let found = exchange::keeps_secrets(answer, &self.driver.secrets);
        self.find(operation, found);
    }

    async fn validate(&mut self, config: &Value) -> Option<()> {
        let request = wire::validate_resource_config::Request {
            type_name: self.type_name.to_owned(),
            config: self.encode(config),
            client_capabilities: CAPABILITIES,
        };
        let answer = self.driver.client.validate_resource_config(request).await;
        let answer = self
            .driver
            .take(self.type_name, "ValidateResourceConfig", answer)?;
        self.look_for_secrets("ValidateResourceConfig", &answer);
        self.driver
            .accept(self.type_name, "ValidateResourceConfig", &answer.diagnostics)
    }

    async fn plan(&mut self, kept: &Kept, config: &Value) -> Option<Planned> {
        let schema = &self.contract.schema;
        let proposed = proposed_new(schema, &kept.state, config);
        let request = wire::plan_resource_change::Request {
            type_name: self.type_name.to_owned(),
            prior_state: self.encode(&kept.state),
            proposed_new_state: self.encode(&proposed),
            config: self.encode(config),
            prior_private: kept.private.clone(),
            client_capabilities: CAPABILITIES,
            prior_identity: kept.identity.clone(),
            ..Default::default()
        };
        let answer = self.driver.client.plan_resource_change(request.clone()).await;
        let answer = self.driver.take(self.type_name, "PlanResourceChange", answer)?;
        self.look_for_secrets("PlanResourceChange", &answer);
        self.driver
            .accept(self.type_name, "PlanResourceChange", &answer.diagnostics)?;
        let broken = exchange::plan(self.contract, &request, &answer);
        self.find("PlanResourceChange", broken);

        // The same question has the same answer.
        let again = self.driver.client.plan_resource_change(request).await;
        let again = self.driver.take(self.type_name, "PlanResourceChange", again)?;
        self.same(
            "PlanResourceChange",
            "X2",
            again == answer,
            "the same question has another answer",
        );
        let state = exchange::decode(answer.planned_state.as_ref(), &schema.ty(), "P3").ok()?;
        Some(Planned {
            replaces: !kept.state.is_null() && !answer.requires_replace.is_empty() && state != kept.state,
            state,
            private: answer.planned_private,
            identity: answer.planned_identity,
        })
    }

    async fn apply(&mut self, kept: &Kept, config: &Value, planned: Planned) -> Option<Applied> {
        let request = wire::apply_resource_change::Request {
            type_name: self.type_name.to_owned(),
            prior_state: self.encode(&kept.state),
            planned_state: self.encode(&planned.state),
            config: self.encode(config),
            planned_private: planned.private,
            planned_identity: planned.identity,
            ..Default::default()
        };
        let answer = self.driver.client.apply_resource_change(request.clone()).await;
        let answer = self.driver.take(self.type_name, "ApplyResourceChange", answer)?;
        self.look_for_secrets("ApplyResourceChange", &answer);
        let broken = exchange::apply(self.contract, &request, &answer);
        self.find("ApplyResourceChange", broken);
        let failed = self.driver.failed_as_expected(&answer.diagnostics);
        if !failed {
            self.driver
                .accept(self.type_name, "ApplyResourceChange", &answer.diagnostics)?;
        }
        let ty = self.contract.schema.ty();
        let left = Kept {
            state: exchange::decode(answer.new_state.as_ref(), &ty, "A2").ok()?,
            private: answer.private,
            identity: answer.new_identity,
        };
        Some(if failed {
            Applied::Failed(left)
        } else {
            Applied::Done(left)
        })
    }

    /// Goes on after a change that failed half way: what the provider says exists does, and a creation that left
    /// something says what, so that nothing is lost. Core destroys that before it makes it anew.
    async fn survive(&mut self, was_creation: bool, left: Kept) -> Option<()> {
        if left.state.is_null() {
            let sentence = "a creation that failed half way returned no state, so whatever exists is lost";
            self.same("ApplyResourceChange", "X6", !was_creation, sentence);
            self.kept = if was_creation { Kept::default() } else { left };
            return was_creation.then_some(());
        }
        let named = left.identity.is_some() || self.contract.identity.is_none();
        let sentence = "a creation that failed half way returned no identity";
        self.same("ApplyResourceChange", "X6", named, sentence);
        let read = self.read(&left).await?;
        let sentence = "what a change that failed half way returned is not there";
        self.same("ReadResource", "X6", !read.state.is_null(), sentence);
        self.kept = read;
        if was_creation {
            self.destroy().await?;
        }
        Some(())
    }

    async fn read(&mut self, kept: &Kept) -> Option<Kept> {
        let request = wire::read_resource::Request {
            type_name: self.type_name.to_owned(),
            current_state: self.encode(&kept.state),
            private: kept.private.clone(),
            client_capabilities: CAPABILITIES,
            current_identity: kept.identity.clone(),
            ..Default::default()
        };
        let answer = self.driver.client.read_resource(request.clone()).await;
        let answer = self.driver.take(self.type_name, "ReadResource", answer)?;
        self.look_for_secrets("ReadResource", &answer);
        let broken = exchange::read(self.contract, &request, &answer);
        self.find("ReadResource", broken);
        self.driver
            .accept(self.type_name, "ReadResource", &answer.diagnostics)?;
        let ty = self.contract.schema.ty();
        Some(Kept {
            state: exchange::decode(answer.new_state.as_ref(), &ty, "R1").ok()?,
            private: answer.private,
            identity: answer.new_identity,
        })
    }

    /// Plans and applies a configuration: as an update, a replacement, or nothing. Returns whether it is made; it is not,
    /// where that failed as expected.
    async fn change(&mut self, step: &Step) -> Option<bool> {
        self.validate(&step.planned).await?;
        let prior = self.kept.clone();
        let first = self.plan(&prior, &step.planned).await?;
        if first.replaces {
            // Core asks again as for a new resource, and destroys the old one first.
            let fresh = Kept {
                state: Value::Null,
                private: first.private,
                identity: first.identity,
            };
            let first = self.plan(&fresh, &step.planned).await?;
            self.destroy().await?;
            return self.finish(&fresh, step, &first).await;
        }
        if first.state == prior.state && step.planned == step.applied {
            return Some(true);
        }
        self.finish(&prior, step, &first).await
    }

    /// Plans again with what is known when a plan is applied, and applies that.
    async fn finish(&mut self, prior: &Kept, step: &Step, first: &Planned) -> Option<bool> {
        let last = self.plan(prior, &step.applied).await?;
        self.find("PlanResourceChange", exchange::replan(&first.state, &last.state));
        self.same(
            "PlanResourceChange",
            "Q1",
            last.replaces == first.replaces,
            "the plan replaces the resource only once it is applied",
        );
        if last.state == prior.state {
            return Some(true);
        }
        match self.apply(prior, &step.applied, last).await? {
            Applied::Done(made) => {
                self.kept = made;
                Some(true)
            }
            Applied::Failed(left) => {
                self.survive(prior.state.is_null(), left).await?;
                Some(false)
            }
        }
    }

    /// Looks at what was made: it is there as it was made, plans nothing, and is stored and written down as it is.
    async fn settle(&mut self, config: &Value) -> Option<()> {
        let kept = self.kept.clone();
        let planned = self.plan(&kept, config).await?;
        self.same(
            "PlanResourceChange",
            "X1",
            planned.state == kept.state && !planned.replaces,
            "the plan after an apply is not empty",
        );
        let read = self.read(&kept).await?;
        self.same(
            "ReadResource",
            "X7",
            read.state == kept.state,
            "what is read is not what was made",
        );
        let planned = self.plan(&read, config).await?;
        self.same(
            "PlanResourceChange",
            "X1",
            planned.state == read.state,
            "the plan after a refresh is not empty",
        );
        self.kept = read;
        self.upgrade().await?;
        self.generate().await
    }

    /// Core asks for an upgrade even where there is nothing to upgrade.
    async fn upgrade(&mut self) -> Option<()> {
        let ty = self.contract.schema.ty();
        let json = self.kept.state.to_json(&ty).ok()?;
        let request = wire::upgrade_resource_state::Request {
            type_name: self.type_name.to_owned(),
            version: self.contract.schema.version,
            raw_state: Some(wire::RawState {
                json: json.into_bytes(),
                ..Default::default()
            }),
        };
        let answer = self.driver.client.upgrade_resource_state(request).await;
        let answer = self.driver.take(self.type_name, "UpgradeResourceState", answer)?;
        let broken = exchange::upgrade(self.contract, &answer);
        self.find("UpgradeResourceState", broken);
        self.driver
            .accept(self.type_name, "UpgradeResourceState", &answer.diagnostics)?;
        let same = exchange::decode(answer.upgraded_state.as_ref(), &ty, "U2") == Ok(self.kept.state.clone());
        self.same(
            "UpgradeResourceState",
            "X10",
            same,
            "a state of the current version is changed",
        );
        Some(())
    }

    /// The configuration that is generated for the state is one, and plans nothing.
    async fn generate(&mut self) -> Option<()> {
        let request = wire::generate_resource_config::Request {
            type_name: self.type_name.to_owned(),
            state: self.encode(&self.kept.state),
        };
        let answer = self.driver.client.generate_resource_config(request).await;
        let answer = self
            .driver
            .take(self.type_name, "GenerateResourceConfig", answer)?;
        let broken = exchange::generated(&self.contract.schema, &answer);
        self.find("GenerateResourceConfig", broken);
        self.driver
            .accept(self.type_name, "GenerateResourceConfig", &answer.diagnostics)
    }

    /// What is imported by its identity, and read, is what is kept.
    async fn import(&mut self) -> Option<()> {
        let Some(identity) = self.kept.identity.clone() else {
            return Some(());
        };
        let request = wire::import_resource_state::Request {
            type_name: self.type_name.to_owned(),
            identity: Some(identity),
            client_capabilities: CAPABILITIES,
            ..Default::default()
        };
        let answer = self.driver.client.import_resource_state(request.clone()).await;
        let answer = self.driver.take(self.type_name, "ImportResourceState", answer)?;
        self.driver
            .accept(self.type_name, "ImportResourceState", &answer.diagnostics)?;
        let broken = exchange::import(self.contract, &request, &answer);
        self.find("ImportResourceState", broken);
        let imported = answer.imported_resources.into_iter().next()?;
        let ty = self.contract.schema.ty();
        let kept = Kept {
            state: exchange::decode(imported.state.as_ref(), &ty, "I4").ok()?,
            private: imported.private,
            identity: imported.identity,
        };
        let read = self.read(&kept).await?;
        let same = read.state == self.kept.state;
        self.same(
            "ImportResourceState",
            "X8",
            same,
            "what is imported is not what was made",
        );
        self.same(
            "ImportResourceState",
            "X3",
            read.identity == self.kept.identity,
            "what is imported has another identity",
        );
        Some(())
    }

    /// What another type has stored is taken over, or refused in words.
    async fn take_over(&mut self) -> Option<()> {
        let ty = self.contract.schema.ty();
        let json = self.kept.state.to_json(&ty).ok()?;
        let request = wire::move_resource_state::Request {
            source_provider_address: "registry.terraform.io/example/other".to_owned(),
            source_type_name: format!("other_{}", self.type_name),
            source_schema_version: self.contract.schema.version,
            source_state: Some(wire::RawState {
                json: json.into_bytes(),
                ..Default::default()
            }),
            target_type_name: self.type_name.to_owned(),
            source_private: self.kept.private.clone(),
            ..Default::default()
        };
        let answer = self.driver.client.move_resource_state(request).await;
        let answer = self.driver.take(self.type_name, "MoveResourceState", answer)?;
        self.look_for_secrets("MoveResourceState", &answer);
        if exchange::failed(&answer.diagnostics) {
            // Not every type takes over others.
            return Some(());
        }
        let broken = exchange::take_over(self.contract, &answer);
        self.find("MoveResourceState", broken);
        let moved = Kept {
            state: exchange::decode(answer.target_state.as_ref(), &ty, "M4").ok()?,
            private: answer.target_private,
            identity: answer.target_identity,
        };
        let read = self.read(&moved).await?;
        let sentence = "what was taken over is read as something else";
        self.same("MoveResourceState", "X8", read.state == self.kept.state, sentence);
        self.kept = read;
        Some(())
    }

    async fn destroy(&mut self) -> Option<()> {
        let kept = std::mem::take(&mut self.kept);
        let planned = self.plan(&kept, &Value::Null).await?;
        if let Applied::Failed(left) = self.apply(&kept, &Value::Null, planned).await? {
            // It is still there, and destroyed by the next try.
            let planned = self.plan(&left, &Value::Null).await?;
            self.apply(&left, &Value::Null, planned).await?;
        }
        let gone = self.read(&kept).await?;
        self.same(
            "ReadResource",
            "X7",
            gone.state.is_null(),
            "what was deleted is still there",
        );
        Some(())
    }
}
