//! `user create`: a key made here, a certificate made by the hub, a configuration file for both.

use rcgen::{CertificateParams, KeyPair};
use tidegate_proto::v1 as wire;

use crate::{
    args::{UserCommand, UserCreate},
    config::{Config, Context, Reserved},
    connect::Hub,
    error::Error,
    output::{Output, age::length, rows::role},
};

pub(super) async fn run(
    hub: &Hub,
    command: &UserCommand,
    output: &mut Output,
) -> Result<(), Error> {
    match command {
        UserCommand::Create(options) => create(hub, options, output).await,
    }
}

async fn create(hub: &Hub, options: &UserCreate, output: &mut Output) -> Result<(), Error> {
    let file = Reserved::make(&options.out)?;
    let key = KeyPair::generate()?;
    // The hub uses nothing of the request but its key: it fills in who this is.
    let csr = CertificateParams::default().serialize_request(&key)?;
    let wanted = wire::Role::from(options.role);
    let request = wire::CreateUserRequest {
        name: options.name.clone(),
        role: wanted.into(),
        csr: csr.der().to_vec(),
        groups: options.groups.clone(),
        no_groups: options.no_groups,
    };
    let answer = hub
        .call(async |fleet| fleet.create_user(request).await)
        .await?;
    let now_ms = output.now_ms();
    file.fill(&Config::single(Context {
        name: "default".to_owned(),
        server: hub.address().to_owned(),
        ca_data: answer.ca_pem.clone(),
        certificate_data: answer.certificate_pem.clone(),
        key_data: key.serialize_pem(),
    }))?;
    output.answer(&answer, &format!("user/{}", options.name), || {
        format!(
            "user/{} created as {}, for {}; their configuration is in {}: hand it over safely",
            options.name,
            role(wanted.into()),
            length(answer.not_after_ms.saturating_sub(now_ms)),
            options.out.display()
        )
    })
}
