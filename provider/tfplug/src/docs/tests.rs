//! A page, whole, and the check for pages that are not current.

use async_trait::async_trait;

use super::*;
use crate::{
    diagnostics::Diagnostics,
    provider::{ConfigureRequest, Context},
    resource::{
        CreateRequest, DeleteRequest, ReadRequest, Resource, ResourceWithIdentity, StateResponse,
        UpdateRequest,
    },
    schema::{Attribute, Nesting, Schema, between, one_of},
    value::{Type, Value},
};

struct Cloud;

#[async_trait]
impl Provider for Cloud {
    type Data = ();
    type Model = Value;

    fn schema(&self) -> Schema {
        Schema::new([]).describe("The `cloud`.")
    }

    async fn configure(&self, _: ConfigureRequest<'_>, _: &mut Diagnostics) -> Option<()> {
        None
    }

    fn offer(&self, offers: &mut Offers<()>) {
        offers.resource(Server).with_identity();
    }
}

struct Server;

#[async_trait]
impl Resource<()> for Server {
    type Model = Value;

    fn type_name(&self) -> &'static str {
        "cloud_server"
    }

    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("id").computed().describe("The id."),
            Attribute::string("name")
                .required()
                .describe("The name,\non two lines."),
            Attribute::number("size")
                .default(2_i64)
                .validate(between(1, 9))
                .describe("The size."),
            Attribute::string("password")
                .write_only()
                .describe("The password."),
            Attribute::string("kind")
                .default("ssd")
                .validate(one_of(["ssd", "hdd"]))
                .describe("Fast (`ssd`) or cheap (`hdd`)."),
            Attribute::plain("tags", Type::map(Type::String)).default(Value::map::<String>([])),
            Attribute::nested(
                "disks",
                Nesting::List,
                [
                    Attribute::number("gigabytes").required(),
                    Attribute::single("key", [Attribute::string("kind").default("none")]),
                ],
            )
            .describe("The disks."),
            Attribute::string("old").deprecated("Use `name`."),
        ])
        .describe("A server.\n\nIt serves.")
    }

    async fn create(&self, _: &Context<()>, _: CreateRequest<'_>, _: &mut StateResponse) {}

    async fn read(&self, _: &Context<()>, _: ReadRequest<'_>, _: &mut StateResponse) {}

    async fn update(&self, _: &Context<()>, _: UpdateRequest<'_>, _: &mut StateResponse) {}

    async fn delete(&self, _: &Context<()>, _: DeleteRequest<'_>, _: &mut Diagnostics) {}
}

/// What names a server.
#[derive(crate::identity::Identity)]
struct ServerIdentity {
    /// The server's id.
    id: crate::model::Value<String>,
    /// The region; the usual one where it is left out.
    #[tf(optional)]
    region: crate::model::Value<String>,
}

impl ResourceWithIdentity<()> for Server {
    type Identity = ServerIdentity;

    fn identity(&self, _: &Context<()>, _: &Value) -> ServerIdentity {
        ServerIdentity {
            id: "srv-1".into(),
            region: crate::model::Value::Null,
        }
    }
}

const PAGE: &str = include_str!("tests/server.md");

#[test]
fn a_page_has_everything_that_the_schema_and_the_examples_say() {
    let examples = tempfile::tempdir().unwrap();
    let directory = examples.path().join("resources/cloud_server");
    fs::create_dir_all(&directory).unwrap();
    fs::write(
        directory.join("resource.tf"),
        "resource \"cloud_server\" \"one\" {}\n",
    )
    .unwrap();
    fs::write(
        directory.join("import.sh"),
        "terraform import cloud_server.one srv-1\n",
    )
    .unwrap();
    fs::write(
        directory.join("import-by-identity.tf"),
        "import {\n  to       = cloud_server.one\n  identity = { id = \"srv-1\" }\n}\n",
    )
    .unwrap();
    let pages = pages(&Cloud, "cloud", examples.path()).unwrap();
    assert_eq!(pages[Path::new("resources/server.md")], PAGE);
    assert!(pages[Path::new("index.md")].contains("# cloud Provider"));
}

#[test]
fn pages_that_are_not_current_are_found() {
    let out = tempfile::tempdir().unwrap();
    let pages = pages(&Cloud, "cloud", Path::new("/nowhere")).unwrap();
    assert_eq!(differences(&pages, out.path()).unwrap().len(), 2);
    // Pages that others wrote are none of ours.
    fs::write(out.path().join("architecture.md"), "by hand").unwrap();
    write(&pages, out.path()).unwrap();
    assert_eq!(
        fs::read_to_string(out.path().join("architecture.md")).unwrap(),
        "by hand"
    );
    assert_eq!(differences(&pages, out.path()).unwrap(), Vec::<String>::new());
    fs::write(out.path().join("resources/server.md"), "old").unwrap();
    fs::write(out.path().join("resources/gone.md"), "left over").unwrap();
    assert_eq!(
        differences(&pages, out.path()).unwrap(),
        [
            "`resources/gone.md` belongs to nothing in the schema.",
            "`resources/server.md` is out of date."
        ]
    );
}

#[derive(crate::function::Arguments)]
struct Words {
    /// What stands
    /// between them.
    separator: Option<String>,
    /// The words.
    #[tf(variadic)]
    words: Vec<String>,
}

struct Join;

impl crate::function::Function for Join {
    type Arguments = Words;
    type Output = String;

    fn name(&self) -> &'static str {
        "join_words"
    }

    fn summary(&self) -> &'static str {
        "Joins `words`."
    }

    fn call(&self, arguments: Words) -> Result<String, crate::function::FunctionError> {
        Ok(arguments.words.join(&arguments.separator.unwrap_or_default()))
    }
}

#[test]
fn a_function_has_a_page_with_its_signature() {
    let mut offers = Offers::<()>::new();
    offers.function(Join);
    let signature = offers.functions["join_words"].core.signature();
    let page = function::render("join_words", "cloud", &signature, Some("join_words(\",\")\n"));
    assert_eq!(
        page,
        "---\npage_title: \"join_words function - cloud\"\nsubcategory: \"\"\ndescription: |-\n  Joins words.\n---\n\n\
         # function: join_words\n\nJoins `words`.\n\n## Example Usage\n\n```terraform\njoin_words(\",\")\n```\n\n\
         ## Signature\n\n<!-- signature generated by tfplug -->\n```text\n\
         join_words(separator string, words string...) string\n```\n\n## Arguments\n\n\
         1. `separator` (String, Nullable) What stands between them.\n\
         2. `words` (Variadic, String) The words.\n"
    );
}
