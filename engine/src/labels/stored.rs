//! Labels that stored objects name, held against the rules that there are now.

use engine_api::{DestinationSpec, Kind, Only, label::Labeller};

use crate::store::{self, Store};

/// How many destinations are looked at at once.
const PAGE: u32 = 500;

/// Says of each stored destination which labels of its `only` no rule adds any more, and what to do. Events are left
/// out as before, so nobody else would say so: a rule was removed or renamed in the configuration, or switched off.
///
/// # Errors
///
/// Those of the store.
pub async fn unknown(store: &Store, labeller: &Labeller) -> Result<Vec<String>, store::Error> {
    let mut warnings = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store
            .objects(Kind::Destination, None, after.as_deref(), PAGE)
            .await?;
        let Some(last) = page.last() else {
            return Ok(warnings);
        };
        after = Some(last.id.clone());
        for object in page {
            // What cannot be read is told where it is used.
            let spec: Option<DestinationSpec> = serde_json::from_str(&object.spec).ok();
            let Some(Only {
                labels: Some(labels), ..
            }) = spec.and_then(|spec| spec.only)
            else {
                continue;
            };
            let gone: Vec<_> = labels.iter().filter(|label| !labeller.knows(label)).collect();
            let (Some(first), id, name) = (gone.first(), &object.id, &object.name) else {
                continue;
            };
            let all = if gone.len() == labels.len() {
                ", so it gets no event at all"
            } else {
                ""
            };
            warnings.push(format!(
                "`only.labels` of the destination `{name}` ({id}) names `{first}`, a label that no rule adds any more{all}: \
                 put the rule back into `labels.rules`, take it out of `labels.disabled`, or change the destination"
            ));
        }
    }
}
