//! What the members take by themselves: what is left of a figure without it is kogge's.

use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _};
use kogge_member::Apply;

use crate::{AT_ONCE, BETWEEN, Bench, DEPLOYMENTS, SINGLE, deployment, say};

const APPLY: Apply<'_> = Apply { manager: "bench", force: true, dry_run: false };

impl Bench {
    /// One at a time, on both members at once.
    pub async fn without_a_hub(&self) -> anyhow::Result<()> {
        let mut times = Vec::new();
        for number in 0..SINGLE {
            tokio::time::sleep(BETWEEN).await;
            let name = format!("direct-{number}");
            let object = deployment(&name);
            let started = Instant::now();
            let [first, second] = &self.members[..] else { anyhow::bail!("two members") };
            tokio::try_join!(
                first.client.apply(&self.deployments, &object, APPLY),
                second.client.apply(&self.deployments, &object, APPLY),
            )?;
            self.on_members(&name).await?;
            times.push(started.elapsed());
        }
        say("for comparison: applied on both members at once, without a hub", times);
        Ok(())
    }

    /// As many at a time as an agent sends.
    pub async fn many_without_a_hub(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let each = self.members.iter().map(|member| {
            let applied = (0..DEPLOYMENTS).map(async |number| {
                let object = deployment(&format!("direct-many-{number}"));
                member.client.apply(&self.deployments, &object, APPLY).await
            });
            futures::stream::iter(applied).buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(()))
        });
        futures::future::try_join_all(each).await?;
        let took = started.elapsed().as_millis();
        println!("for comparison: {DEPLOYMENTS} applied on both, without a hub: {took} ms");
        Ok(())
    }
}
