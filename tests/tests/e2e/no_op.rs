//! Without a change there is no write, and no line in the log.

use super::SOON;
use super::proxy::Proxy;
use super::world::{World, check_clean, writes};

#[tokio::test]
async fn equal_content_is_never_written() {
    let Some((world, api)) = World::shared("no-op").await else { return };
    let proxy = Proxy::before(&world.polaris).await;
    let hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    world.register("cart", &hosts).await;
    world.create(&world.entry("cart")).await;
    let start = world.controller().flag("polaris-address", &proxy.address()).flag("poll-interval", "50ms");
    let controller = start.start();
    world.endpoints("cart", &hosts).await;
    // The entry's own event is the last thing to be heard of a write, and may come after some polls.
    proxy.more_polls("cart", 5).await;
    let (before, log) = (writes(api, &world.namespace).await, controller.log());
    assert_eq!(before.len(), 1);
    // In every order: Polaris lists instances by chance, and their changes in the order of arrival.
    for order in [[2, 1, 0], [1, 0, 2], [0, 2, 1], [2, 0, 1]] {
        world.register("cart", &order.map(|position| hosts[position])).await;
        proxy.more_polls("cart", 20).await;
    }
    // Away and back between two polls: the revision is another, the content is not.
    proxy.hold();
    world.deregister("cart", &hosts[..1]).await;
    world.register("cart", &hosts[..1]).await;
    proxy.release();
    proxy.more_polls("cart", 20).await;
    assert_eq!(writes(api, &world.namespace).await, before);
    assert_eq!(controller.log(), log);
    // It was not asleep: the next change is written, and is the only one.
    world.register("cart", &["10.0.0.4"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]).await;
    assert_eq!(writes(api, &world.namespace).await.len(), 2);
    assert_eq!(controller.writes().len(), 2);
    assert_eq!(controller.log().len(), log.len() + 1);
}

#[tokio::test]
async fn a_restart_writes_only_what_changed_meanwhile() {
    let Some((world, api)) = World::shared("restart").await else { return };
    let proxy = Proxy::before(&world.polaris).await;
    for name in ["cart", "other"] {
        world.register(name, &["10.0.0.1", "10.0.0.2"]).await;
        world.create(&world.entry(name)).await;
    }
    let mut controller = world.controller().flag("polaris-address", &proxy.address()).start();
    for name in ["cart", "other"] {
        world.endpoints(name, &["10.0.0.1", "10.0.0.2"]).await;
    }
    for round in 0..2 {
        let begun = tokio::time::Instant::now();
        check_clean(controller.stop().await, begun.elapsed());
        if round == 1 {
            world.register("other", &["10.0.0.3"]).await;
        }
        controller.start_again();
        proxy.more_polls("cart", 5).await;
    }
    world.endpoints("other", &["10.0.0.1", "10.0.0.2", "10.0.0.3"]).await;
    let writes = writes(api, &world.namespace).await;
    let written: Vec<_> = writes.iter().map(|write| write.name.as_str()).collect();
    let count = |name| written.iter().filter(|written| **written == name).count();
    assert_eq!((count("cart"), count("other")), (1, 2), "{written:?}");
    assert_eq!(controller.said(&["\"stopped\""]), 2);
}

#[tokio::test]
async fn sigterm_ends_it_while_servers_are_away() {
    let Some((world, _)) = World::shared("sigterm").await else { return };
    // No process listens there, so each search for servers waits.
    let nowhere = format!("127.0.0.1:{}", polaris2istio_tests::servers::free_port());
    let mut controller = world.controller().flag("polaris-address", &nowhere).start();
    world.create(&world.entry("cart")).await;
    controller.says(&["WARN", "cannot be reached", &nowhere]).await;
    let begun = tokio::time::Instant::now();
    check_clean(controller.process.terminate(SOON).await, begun.elapsed());
}
