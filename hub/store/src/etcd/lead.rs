//! Which hub leads: one key that lives as long as its holder's lease.
//!
//! Owns the campaign, the renewal, and the moment from which a hub must not believe any more that
//! it leads. Never the fence: a hub that is slower than its lease is stopped by the term that the
//! next one takes, which every transaction compares.

use std::{sync::Arc, time::Duration};

use etcd_client::{
    Compare, CompareOp, Error as Cause, GetOptions, PutOptions, Txn, TxnOp, TxnOpResponse,
};
use tokio::{
    sync::watch,
    time::{self, Instant},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Etcd, Link, fault::Fault};
use crate::error::Error;

/// The key; its value is the holder's name. Outside the store's keys: it is no record.
pub const LEADER: &str = "/tidegate/leader";

/// How long etcd waits for a leader that is silent.
const TTL: Duration = Duration::from_secs(15);
/// How long after it asked for a renewal a leader is sure to lead: less than [`TTL`].
const SURE: Duration = Duration::from_secs(12);
/// How often the lease is renewed.
const RENEW: Duration = Duration::from_secs(4);
/// How often a standby looks.
const LOOK: Duration = Duration::from_secs(1);

/// Leadership that was won. Dropped, it is no longer renewed and ends with its lease.
#[derive(Debug)]
pub struct Lead {
    link: Arc<Link>,
    lease: i64,
    lost: CancellationToken,
    _renewing: DropGuard,
}

impl Lead {
    /// Cancelled when this hub no longer leads.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Lets the next hub lead at once.
    ///
    /// # Errors
    /// [`Error::Etcd`]; the lease ends by itself then.
    pub async fn resign(self) -> Result<(), Error> {
        self.link.revoke(self.lease).await?;
        Ok(())
    }
}

impl Etcd {
    /// Waits until nobody leads, then leads as `holder`. `leader` shows who does meanwhile.
    ///
    /// # Errors
    /// [`Error::Etcd`] that cannot be tried again.
    pub async fn lead(
        &self,
        holder: &str,
        leader: &watch::Sender<Option<String>>,
    ) -> Result<Lead, Error> {
        loop {
            match self.link.claim(holder).await {
                Ok(Claim::Won { lease, at }) => return Ok(self.renewed(lease, at)),
                Ok(Claim::Led(by)) => {
                    leader.send_replace(Some(by));
                }
                Err(fault) if fault.is_retryable() => {
                    if let Fault::Stale { .. } = fault {
                        self.link.renew_token("see who leads").await?;
                    }
                    tracing::warn!(error = %fault, "cannot see who leads; looking again");
                }
                Err(fault) => return Err(fault.into()),
            }
            time::sleep(LOOK).await;
        }
    }

    fn renewed(&self, lease: i64, at: Instant) -> Lead {
        let (lost, renewing) = (CancellationToken::new(), CancellationToken::new());
        let renewal = renew(Arc::clone(&self.link), lease, at, lost.clone());
        let stop = renewing.clone();
        tokio::spawn(async move { stop.run_until_cancelled(renewal).await });
        Lead {
            link: Arc::clone(&self.link),
            lease,
            lost,
            _renewing: renewing.drop_guard(),
        }
    }
}

/// What became of one try.
enum Claim {
    /// Ours, with a lease that was asked for `at` this time.
    Won { lease: i64, at: Instant },
    /// Somebody's.
    Led(String),
}

/// Renews the lease until it is gone, or may be because etcd has not answered in time.
async fn renew(link: Arc<Link>, lease: i64, granted: Instant, lost: CancellationToken) {
    let mut sure_until = granted + SURE;
    loop {
        let asked = Instant::now();
        let mut client = link.client.lease_client();
        match time::timeout_at(sure_until, client.keep_alive(lease)).await {
            Ok(Ok(_)) => {
                sure_until = asked + SURE;
                time::sleep(RENEW).await;
            }
            Ok(Err(Cause::LeaseKeepAliveError(_))) => {
                tracing::warn!("the lease of the leadership is gone");
                break;
            }
            Ok(Err(error)) if asked < sure_until => {
                let fault = link.options.fault("renew the leadership", &error);
                tracing::warn!(error = %fault, "failed to renew the leadership; trying again");
                if let Fault::Stale { .. } = fault {
                    // What it comes to shows in the next try.
                    drop(link.renew_token("renew the leadership").await);
                }
                time::sleep(LOOK).await;
            }
            Ok(Err(_)) | Err(_) => {
                tracing::warn!("etcd has not renewed the leadership in time");
                break;
            }
        }
    }
    lost.cancel();
}

impl Link {
    async fn claim(&self, holder: &str) -> Result<Claim, Fault> {
        let found = self
            .call("see who leads", |mut kv| async move {
                kv.get(LEADER, None).await
            })
            .await?;
        if let Some(found) = found.kvs().first() {
            return Ok(led(found.value()));
        }
        let at = Instant::now();
        let ttl = i64::try_from(TTL.as_secs()).unwrap_or(i64::MAX);
        let mut leases = self.client.lease_client();
        let lease = self
            .within("take a lease", leases.grant(ttl, None))
            .await?
            .id();
        let absent = Compare::create_revision(LEADER, CompareOp::Equal, 0);
        let ours = TxnOp::put(LEADER, holder, Some(PutOptions::new().with_lease(lease)));
        let who = TxnOp::get(LEADER, Some(GetOptions::new()));
        let txn = Txn::new().when([absent]).and_then([ours]).or_else([who]);
        // Not tried twice: where the answer is lost, the lease ends and takes the key with it.
        let mut kv = self.kv();
        let answer = self.within("take the leadership", kv.txn(txn)).await?;
        if answer.succeeded() {
            return Ok(Claim::Won { lease, at });
        }
        self.revoke(lease).await?;
        let responses = answer.op_responses();
        let holder = match responses.first() {
            Some(TxnOpResponse::Get(get)) => get.kvs().first(),
            _ => None,
        };
        Ok(led(holder.map_or(&[], |found| found.value())))
    }

    async fn revoke(&self, lease: i64) -> Result<(), Fault> {
        let mut leases = self.client.lease_client();
        self.within("give the lease back", leases.revoke(lease))
            .await
            .map(drop)
    }
}

fn led(by: &[u8]) -> Claim {
    Claim::Led(String::from_utf8_lossy(by).into_owned())
}
