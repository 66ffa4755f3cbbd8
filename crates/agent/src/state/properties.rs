//! What holds of the state whatever happens in whatever order.

use proptest::{prelude::*, sample::Index};

use super::world::{KINDS, Meddling, NAMES, Op, World};

fn op() -> impl Strategy<Value = Op> {
    let meddling =
        prop_oneof![Just(Meddling::Make), Just(Meddling::Change), Just(Meddling::Delete)];
    prop_oneof![
        4 => (any::<Index>(), proptest::option::weighted(0.6, 0..4_u8), any::<bool>())
            .prop_map(|(of, content, asked)| Op::Want(of, content, asked)),
        1 => any::<u32>().prop_map(Op::Reconnect),
        3 => (any::<Index>(), meddling).prop_map(|(of, how)| Op::Others(of, how)),
        6 => Just(Op::HubSays),
        6 => any::<Index>().prop_map(Op::MemberSays),
        1 => any::<Index>().prop_map(Op::List),
        6 => proptest::bool::weighted(0.1).prop_map(|fails| Op::Step { fails }),
        6 => any::<Index>().prop_map(Op::Answer),
        2 => (0..3_000_u64).prop_map(Op::Wait),
    ]
}

/// Time stands still but for what the test lets pass.
fn at_rest<T>(of: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs nothing");
    runtime.block_on(of)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_member_becomes_what_the_hub_wants(
        before in 0..=KINDS.len() * NAMES,
        ops in prop::collection::vec(op(), 0..120),
    ) {
        at_rest(async {
            let mut world = World::new(before);
            for op in ops {
                world.go(op).await;
            }
            let theirs = world.theirs();
            world.settle().await;
            world.check_settled();
            prop_assert_eq!(world.theirs(), theirs);
            Ok(())
        })?;
    }
}
