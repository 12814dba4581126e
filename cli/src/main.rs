//! The `tidegate` binary: parse, run, exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // Fails only if another provider was installed before, which then serves as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tidegate::run(std::env::args_os()).await
}
