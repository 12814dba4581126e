//! Each command: what it asks the hub, and what it tells.
//!
//! One function a command. Owns no printing, no connecting and no words of the command line.

mod about;
mod apply;
mod audit;
mod clusters;
mod contexts;
mod describe;
mod diff;
mod events;
mod expand;
mod explain;
mod follow;
mod get;
mod list;
mod plan;
mod release;
mod render;
mod runs;
mod sets;
mod trace;
mod tree;
mod users;
mod view;
mod wait;
mod watch;
mod why;

use crate::{
    args::{AuditCommand, Cli, Command, DeleteCommand, HoldCommand, RunCommand},
    connect::{self, Hub},
    error::Error,
    output::Output,
    up,
};

pub(crate) use follow::{draw, outcome, show};

/// Does what the command line says.
pub(crate) async fn run(cli: &Cli, output: &mut Output) -> Result<(), Error> {
    match &cli.command {
        Command::Version => return about::version(output),
        Command::Completion { shell } => return about::completion(*shell, output),
        Command::Config(command) => return contexts::run(&cli.global, command, output).await,
        Command::Expand(options) => {
            output.progress().say("expanding");
            return expand::expand(options, output);
        }
        Command::Render(options) => {
            output.progress().say("rendering");
            return render::render(options, output);
        }
        Command::Up(options) => return Box::pin(up::up(options, output)).await,
        Command::Down(options) => return up::down(options, output),
        // Input is read before the hub is asked for: what is wrong here needs no network.
        Command::Apply(options) => {
            let files = apply::read(&options.files, options.recursive)?;
            let hub = reach(cli, output).await?;
            output.progress().say(waiting_for(&cli.command));
            return apply::send(&hub, files, options.dry_run, output).await;
        }
        Command::Diff(options) => {
            let asked = diff::read(options)?;
            let hub = reach(cli, output).await?;
            return diff::diff(&hub, asked, options, output).await;
        }
        Command::Plan(options) => {
            let asked = plan::read(options)?;
            let hub = reach(cli, output).await?;
            output.progress().say(waiting_for(&cli.command));
            return plan::plan(&hub, asked, output).await;
        }
        Command::Get(options) => get::check(options)?,
        Command::Wait(options) => options.condition.check(options)?,
        Command::Describe(options) => options.one().map(drop)?,
        Command::Audit(command) => {
            audit::check_options(command)?;
            match command {
                AuditCommand::Verify(options) if let Some(file) = &options.file => {
                    return audit::verify_file(file, options, output);
                }
                AuditCommand::Replay(options) if let Some(file) = &options.file => {
                    return audit::replay_file(file, options, output);
                }
                _ => {}
            }
        }
        _ => {}
    }
    let hub = reach(cli, output).await?;
    output.progress().say(waiting_for(&cli.command));
    ask(&hub, &cli.command, output).await
}

/// Asks a hub that was reached.
async fn ask(hub: &Hub, command: &Command, output: &mut Output) -> Result<(), Error> {
    match command {
        Command::Get(options) => get::get(hub, options, output).await,
        Command::Describe(options) => describe::describe(hub, options, output).await,
        Command::Delete(DeleteCommand::Set(options)) => sets::delete(hub, options, output).await,
        Command::Delete(DeleteCommand::WavePlan(options)) => {
            sets::delete_plan(hub, options, output).await
        }
        Command::Run(command) => run_command(hub, command, output).await,
        Command::Why(options) => why::why(hub, options, output).await,
        Command::Tree(options) => tree::tree(hub, options, output).await,
        Command::Trace(options) => trace::trace(hub, options, output).await,
        Command::Events(options) => events::events(hub, options, output).await,
        Command::Rollback(options) => sets::rollback(hub, options, output).await,
        Command::Unpin(options) => sets::unpin(hub, options, output).await,
        Command::Refresh(options) => sets::refresh(hub, options, output).await,
        Command::Sync(options) => sets::sync(hub, options, output).await,
        Command::Hold(HoldCommand::Approve(options)) => {
            sets::approve_hold(hub, options, output).await
        }
        Command::Wait(options) => wait::wait(hub, options, output).await,
        Command::Cluster(command) => clusters::run(hub, command, output).await,
        Command::Release(command) => release::run(hub, command, output).await,
        Command::Audit(command) => audit::run(hub, command, output).await,
        Command::User(command) => users::run(hub, command, output).await,
        Command::Whoami => about::whoami(hub, output).await,
        Command::Apply(_)
        | Command::Diff(_)
        | Command::Plan(_)
        | Command::Config(_)
        | Command::Up(_)
        | Command::Down(_)
        | Command::Expand(_)
        | Command::Render(_)
        | Command::Version
        | Command::Completion { .. } => Ok(()),
    }
}

async fn reach(cli: &Cli, output: &mut Output) -> Result<Hub, Error> {
    output.progress().say("connecting to the hub");
    let now_ms = output.now_ms();
    connect::hub(&cli.global, now_ms, |warning| output.note(warning)).await
}

/// What takes long when a command takes long.
fn waiting_for(command: &Command) -> &'static str {
    match command {
        Command::Apply(_) => "waiting for the hub to check and write the sets",
        Command::Delete(_) => "waiting for the hub to begin deleting",
        Command::Rollback(_) => "waiting for the hub to begin the rollback",
        Command::Diff(_) => "waiting for the hub to fetch, render and compare",
        Command::Plan(_) => "waiting for the hub to plan",
        Command::Refresh(_) => "waiting for the hub to fetch the sources",
        Command::Sync(_) => "waiting for the hub to reach the agents",
        Command::Audit(_) => "reading the audit log",
        _ => "waiting for the hub to answer",
    }
}

async fn run_command(hub: &Hub, command: &RunCommand, output: &mut Output) -> Result<(), Error> {
    match command {
        RunCommand::Watch(options) => follow::watch(hub, options, output).await,
        RunCommand::Explain(run) => explain::explain(hub, run, output).await,
        RunCommand::Approve(options) => runs::approve(hub, options, false, output).await,
        RunCommand::Reject(options) => runs::approve(hub, &options.word(), true, output).await,
        RunCommand::Pause(options) => runs::control(hub, options, runs::PAUSE, output).await,
        RunCommand::Resume(options) => runs::control(hub, options, runs::RESUME, output).await,
        RunCommand::Cancel(options) => runs::control(hub, options, runs::CANCEL, output).await,
        RunCommand::BreakGlass(options) => runs::break_glass(hub, options, output).await,
        RunCommand::Retry(options) => runs::control(hub, options, runs::RETRY, output).await,
        RunCommand::Skip(options) => runs::skip(hub, options, output).await,
    }
}
