//! `tidegate config …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Look at and change the contexts of the configuration file.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show the contexts: each is a hub and who you are to it.
    #[command(after_help = "Examples:\n  tidegate config get-contexts")]
    GetContexts,
    /// Show the name of the context that is used when none is named.
    #[command(after_help = "Examples:\n  tidegate config current-context")]
    CurrentContext,
    /// Use a context from now on.
    #[command(after_help = "Examples:\n  tidegate config use-context prod")]
    UseContext(ContextName),
    /// Forget a context; its key is lost, the hub is not told.
    #[command(after_help = "Examples:\n  tidegate config delete-context staging")]
    DeleteContext(ContextName),
    /// Give a context another name.
    #[command(after_help = "Examples:\n  tidegate config rename-context default prod")]
    RenameContext(RenameContext),
    /// Show the file without its keys and certificates.
    #[command(after_help = "Examples:\n  tidegate config view")]
    View,
    /// Take over the contexts of another file: all of them or none.
    Add(AddContexts),
}

/// A context by its name.
#[derive(Clone, Debug, Args)]
pub struct ContextName {
    /// The context.
    pub name: String,
}

/// Options of `config rename-context`.
#[derive(Clone, Debug, Args)]
pub struct RenameContext {
    /// The context.
    pub old: String,
    /// Its name from now on.
    pub new: String,
}

/// Options of `config add`.
#[derive(Clone, Debug, Args)]
#[command(after_help = ADD)]
pub struct AddContexts {
    /// A file as `tidegate-hub init --admin-config` and `tidegate user create --out` write it.
    pub file: PathBuf,
    /// The context's name from now on; for a file that holds one.
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<String>,
    /// Replace contexts of the same names.
    #[arg(long)]
    pub overwrite: bool,
}

const ADD: &str = "\
The file that is added stays as it is: delete it when nobody needs it, a key is in it.

Examples:
  tidegate config add kim.yaml --as prod
  tidegate config add renewed.yaml --as prod --overwrite";
