//! The audit log on its way to a destination that is to have it: entries in their order, before the feeds' events.

use engine_api::AuditEntry;
use serde_json::{Value, json};
use tracing::error;

use super::{
    batch,
    lane::{Ended, Run},
};
use crate::{
    destination::{Batch, Lines, WriteError},
    store::{
        Error,
        delivery::{Moved, PendingAudit},
    },
    telemetry::{DestinationFault, DestinationLabels},
};

/// So many entries are read at once.
const STEP: u32 = 200;
/// What audit entries are delivered as, beside `Zoom.Operation` and `Zoom.Activity`.
const LOG_TYPE: &str = "ZoomLogEngine.Audit";

impl Run<'_> {
    /// Writes what the destination lacks of the audit log.
    pub(super) async fn deliver_audit(&self) -> Result<Ended, Error> {
        // Less than the limits allow, once a batch was refused: one entry at fault must not keep the others.
        let mut most = usize::MAX;
        while self.goes_on() {
            let Some(pending) = self.store().pending_audit(&self.claim, STEP).await? else {
                return Ok(Ended::Drained);
            };
            let (lines, to) = self.cut_audit(&pending, most)?;
            let Some(to) = to else { return Ok(Ended::Drained) };
            let bounds = (pending.number, to);
            let count = lines.len();
            let id = batch::audit_id(&self.claim.destination, bounds.0, bounds.1);
            let batch = Batch::new(id, lines, count);
            let prepared = match self.prepare().await {
                Ok(prepared) => prepared,
                Err(failure) => return Ok(self.pause(failure)),
            };
            let lease = self.means.options.lease;
            match self
                .store()
                .stage_audit(&self.claim, lease, bounds, prepared.as_deref())
                .await?
            {
                Moved::Done => {}
                Moved::Gone => return Ok(Ended::Drained),
                Moved::Fenced => return Ok(self.fenced()),
            }
            self.remember(prepared);
            let (settled, delivered) = match self.destination.write(&batch).await {
                Ok(settled) => (settled, true),
                Err(WriteError::Refused { .. } | WriteError::TooLarge { .. }) if count > 1 => {
                    most = 1;
                    self.answered();
                    continue;
                }
                Err(WriteError::Refused { reason } | WriteError::TooLarge { reason }) => {
                    error!(
                        number = to,
                        reason, "an audit entry was refused for good and is passed; `/v1/audit` has it"
                    );
                    (None, false)
                }
                Err(failure) => return Ok(self.pause(failure)),
            };
            let moved = self
                .store()
                .settle_audit(&self.claim, bounds, settled.as_deref(), delivered)
                .await?;
            if moved == Moved::Fenced {
                return Ok(self.fenced());
            }
            self.remember(settled);
            self.answered();
            self.count_audit(count as u64, delivered);
        }
        Ok(Ended::More)
    }

    /// The batch to write, and the number that it ends with; `None` where nothing waits. What was staged is cut again
    /// exactly.
    fn cut_audit(&self, pending: &PendingAudit, most: usize) -> Result<(Lines, Option<i64>), Error> {
        let limits = self.destination.limits();
        let staged = pending.staged.filter(|_| most == usize::MAX);
        let mut lines = Lines::default();
        let mut to = None;
        for entry in &pending.entries {
            let number = i64::try_from(entry.number).unwrap_or(i64::MAX);
            let line = self.line(entry)?;
            let fits = match staged {
                Some(end) => number <= end,
                None => {
                    lines.len() < most.min(limits.max_events) && lines.bytes() + line.len() < limits.max_bytes
                }
            };
            if !fits && to.is_some() {
                break;
            }
            lines.push_line(&line);
            to = Some(number);
        }
        Ok((lines, to))
    }

    /// An entry as one event.
    fn line(&self, entry: &AuditEntry) -> Result<String, Error> {
        let unwritable =
            |error: serde_json::Error| Error::Damaged(format!("an audit entry has no JSON form: {error}"));
        let mut value = serde_json::to_value(entry).map_err(unwritable)?;
        if let (Value::Object(members), true) = (&mut value, self.wanted.metadata) {
            let engine = self.means.options.engine_id();
            members.insert(
                "zoom_log".to_owned(),
                json!({
                    "id": format!("{engine}.audit.{}", entry.number),
                    "log_type": LOG_TYPE,
                    "event_time": entry.at,
                }),
            );
        }
        Ok(value.to_string())
    }

    fn count_audit(&self, count: u64, delivered: bool) {
        let destination = self.claim.destination.to_string();
        let telemetry = &self.means.telemetry;
        if delivered {
            telemetry
                .destination_events_sent
                .add(&DestinationLabels { destination }, count);
        } else {
            let reason = "refused";
            telemetry
                .destination_events_refused
                .add(&DestinationFault { destination, reason }, count);
        }
    }
}
