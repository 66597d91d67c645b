//! The plain model between reading and writing: what generators of any language need to know.
//!
//! Everything is resolved here: each type has its name, each `$ref` is a name, scopes are parsed.
//! `taskcluster-codegen model --json` prints it.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

/// All services that code is generated for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Model {
    /// The services, in the order of their names.
    pub services: Vec<Service>,
}

impl Model {
    /// Gives the module of a service another name.
    pub(crate) fn rename_module(&mut self, from: &str, to: &str) {
        for service in &mut self.services {
            if service.module == from {
                to.clone_into(&mut service.module);
            }
            service.each_ref(&mut |of| of.rename_module(from, to));
        }
        self.services.sort_by(|one, other| one.module.cmp(&other.module));
    }
}

impl Service {
    /// The other modules whose types this service names.
    #[must_use]
    pub fn referred(&self) -> BTreeSet<String> {
        let mut modules = BTreeSet::new();
        self.clone().each_ref(&mut |of| modules.extend(of.module().map(str::to_owned)));
        modules.remove(&self.module);
        modules
    }

    /// Visits all uses of types.
    fn each_ref(&mut self, visit: &mut dyn FnMut(&mut TypeRef)) {
        let bodies = self.operations.iter_mut().flat_map(|operation| [&mut operation.input, &mut operation.output]);
        bodies.flatten().for_each(|body| visit(&mut body.of));
        self.exchanges.iter_mut().for_each(|exchange| visit(&mut exchange.message.of));
        self.types.iter_mut().for_each(|of| of.shape.each_ref(visit));
    }
}

impl Shape {
    /// Visits all uses of types.
    pub(crate) fn each_ref(&mut self, visit: &mut dyn FnMut(&mut TypeRef)) {
        match self {
            Self::Struct(structure) => {
                structure.fields.iter_mut().for_each(|field| visit(&mut field.of));
                if let Some((_, of)) = &mut structure.additional {
                    visit(of);
                }
            }
            Self::Union(union) => union.variants.iter_mut().for_each(|variant| visit(&mut variant.of)),
            Self::Newtype(of) => visit(of),
            Self::Enum { .. } => {}
        }
    }
}

impl TypeRef {
    /// The module of the type that is named here, be it inside of a list or the like.
    fn module(&self) -> Option<&str> {
        match self {
            Self::Named { module, .. } => Some(module),
            Self::List(of) | Self::Map(of) | Self::Nullable(of) | Self::Boxed(of) => of.module(),
            _ => None,
        }
    }

    fn rename_module(&mut self, from: &str, to: &str) {
        match self {
            Self::Named { module, .. } if module == from => to.clone_into(module),
            Self::List(of) | Self::Map(of) | Self::Nullable(of) | Self::Boxed(of) => of.rename_module(from, to),
            _ => {}
        }
    }
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Name on the wire, such as `worker-manager`.
    pub name: String,
    /// Version of the API, such as `v1`.
    pub version: String,
    /// Name of the module, such as `worker_manager`.
    pub module: String,
    /// Name of the client, such as `WorkerManager`; of a mere folder of shared schemas nothing.
    pub client: Option<String>,
    /// Title of the reference.
    pub title: String,
    /// What the service does, in Markdown.
    pub description: String,
    /// Its methods in the order of the reference.
    pub operations: Vec<Operation>,
    /// What its events have in common, in Markdown.
    pub events: String,
    /// Its exchanges in the order of the reference.
    pub exchanges: Vec<Exchange>,
    /// The types of its schemas, by name.
    pub types: Vec<Type>,
}

/// One method of an API.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Name on the wire, such as `createTask`.
    pub name: String,
    /// Name of the Rust method, such as `create_task`.
    pub function: String,
    /// Title, such as `Create New Task`.
    pub title: String,
    /// What it does, in Markdown.
    pub description: String,
    /// The group of methods it is listed in.
    pub category: Option<String>,
    /// HTTP method.
    pub method: Method,
    /// Route below the base of the API, such as `/task/<taskId>`.
    pub route: String,
    /// The arguments in the order of the route.
    pub args: Vec<Argument>,
    /// The query parameters.
    pub query: Vec<QueryParameter>,
    /// Type of the body.
    pub input: Option<Body>,
    /// Type of the answer.
    pub output: Option<Body>,
    /// Whether the answer has a body that no schema describes, such as a file or a stream.
    pub blob: bool,
    /// The scopes that it asks for; nothing if it is public.
    pub scopes: Option<Scopes>,
    /// Whether it may be sent again when an answer was lost.
    pub idempotent: bool,
    /// How far it can be relied on.
    pub stability: Stability,
    /// How its answers are taken page by page.
    pub pages: Option<Pages>,
    /// Name of the request's builder, if it has query parameters beyond those of all lists.
    pub builder: Option<String>,
}

/// What is sent or answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Body {
    /// The type.
    #[serde(rename = "type")]
    pub of: TypeRef,
    /// The id of its schema.
    pub schema: String,
}

/// A path argument.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    /// Name on the wire.
    pub name: String,
    /// Name in Rust.
    pub ident: String,
    /// What values it takes.
    pub kind: ArgumentKind,
}

/// What is known about the values of a path argument or of a word of a routing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub enum ArgumentKind {
    /// A task's or task group's id.
    TaskId,
    /// The number of a run.
    RunId,
    /// Any text.
    Text,
}

/// A query parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct QueryParameter {
    /// Name on the wire.
    pub name: String,
    /// Name in Rust.
    pub ident: String,
    /// Name of the builder's method.
    pub setter: String,
    /// What values it takes.
    pub kind: QueryKind,
}

/// What values a query parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub enum QueryKind {
    /// A text.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
}

/// How a list is taken page by page.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct Pages {
    /// Field of the answer that holds the items.
    pub items: String,
}

/// HTTP methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Patch,
}

/// How far a method can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum Stability {
    Stable,
    Experimental,
    Deprecated,
}

/// A scope expression with variables.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Scopes {
    /// One scope, such as `queue:status:<taskId>`.
    Scope(String),
    /// All of these.
    AllOf(Vec<Scopes>),
    /// At least one of these.
    AnyOf(Vec<Scopes>),
    /// One scope for each member of a list.
    ForEach {
        /// The variable.
        variable: String,
        /// The list.
        list: String,
        /// The scope in which the variable stands.
        each: String,
    },
    /// Depends on a flag.
    If {
        /// The flag.
        condition: String,
        /// What is asked for if it is set.
        then: Box<Scopes>,
        /// What is asked for otherwise.
        otherwise: Option<Box<Scopes>>,
    },
}

/// One kind of event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct Exchange {
    /// Name on the wire, such as `taskDefined`.
    pub name: String,
    /// Name in Rust, such as `TaskDefined`.
    pub ident: String,
    /// Name in Rust of the builder of its patterns, such as `TaskDefinedKey`.
    pub key: String,
    /// Title of the reference.
    pub title: String,
    /// When it happens, in Markdown.
    pub description: String,
    /// Full name of the exchange.
    pub exchange: String,
    /// The words of its routing key.
    pub words: Vec<Word>,
    /// Names of the words in Rust, in the same order.
    pub idents: Vec<String>,
    /// Type of its messages.
    pub message: Body,
}

/// One word of a routing key.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct Word {
    /// Name on the wire.
    pub name: String,
    /// What it stands for.
    pub summary: String,
    /// Its value, if that is always the same.
    pub constant: Option<String>,
    /// Whether it is always there; otherwise `_` may stand in its place.
    pub required: bool,
    /// Whether it may hold dots.
    pub multiple_words: bool,
}

/// A type with a name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct Type {
    /// Name in Rust.
    pub name: String,
    /// What it stands for, in Markdown.
    pub description: String,
    /// Id of its schema with the pointer to it.
    pub schema: String,
    /// Rules that only the server checks.
    pub has_rules: bool,
    /// What it is made of.
    pub shape: Shape,
}

/// What a type is made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub enum Shape {
    /// An object with known properties.
    Struct(Struct),
    /// A string out of a list that may grow.
    Enum {
        /// The values known today.
        variants: Vec<EnumVariant>,
    },
    /// One of several types.
    Union(Union),
    /// Another type under a name of its own.
    Newtype(TypeRef),
}

/// An object with known properties.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct Struct {
    /// The property that marks it inside of a union, and its value; it is not among the fields.
    pub tag: Option<(String, String)>,
    /// The properties.
    pub fields: Vec<Field>,
    /// Name of the field and type of the values of all other properties, if the schema invites them.
    pub additional: Option<(String, TypeRef)>,
}

/// A property.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// Name on the wire.
    pub name: String,
    /// Name in Rust.
    pub ident: String,
    /// What it stands for, in Markdown.
    pub description: String,
    /// Its type, without what comes from being optional.
    #[serde(rename = "type")]
    pub of: TypeRef,
    /// Whether it is always there.
    pub required: bool,
    /// What the server takes if it is not there.
    pub default: Option<Value>,
    /// Its value, if that is always the same.
    pub constant: Option<Value>,
}

/// A value of a string enumeration.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EnumVariant {
    /// Name in Rust.
    pub ident: String,
    /// The string.
    pub value: String,
}

/// One of several types.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct Union {
    /// The property whose value tells the variants apart.
    pub tag: Option<String>,
    /// The variants.
    pub variants: Vec<UnionVariant>,
}

/// A branch of a union.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct UnionVariant {
    /// Name in Rust.
    pub ident: String,
    /// What it stands for, in Markdown.
    pub description: String,
    /// Value of the tag.
    pub tag: Option<String>,
    /// The type.
    #[serde(rename = "type")]
    pub of: TypeRef,
    /// Properties that a value of this branch always has.
    pub required: Vec<String>,
    /// Properties that have one value only in this branch.
    pub constants: Vec<(String, Value)>,
}

/// The use of a type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum TypeRef {
    Bool,
    U32,
    U64,
    I64,
    F64,
    String,
    Timestamp,
    TaskId,
    RunId,
    TaskQueueId,
    Priority,
    Secret,
    /// Any JSON.
    Json,
    /// Any JSON object.
    Object,
    /// Any JSON object, which no log may show.
    SecretObject,
    List(Box<TypeRef>),
    /// An object whose properties are all alike.
    Map(Box<TypeRef>),
    /// The type, or null.
    Nullable(Box<TypeRef>),
    /// The type, on the heap since it contains itself.
    Boxed(Box<TypeRef>),
    /// A type with a name.
    Named {
        /// Name of the module.
        module: String,
        /// Name of the type.
        name: String,
    },
    /// While names are not known yet: the number of a type.
    #[doc(hidden)]
    #[serde(skip)]
    Numbered(usize),
}
