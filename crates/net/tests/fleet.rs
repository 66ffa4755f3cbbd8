//! Small fleets on loopback: real sockets, real certificates.
#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::{
    borrow::Borrow,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kogge_gossip::{Capacity, Floor, Head, Name, State, Word};
use kogge_net::{Authority, Gossip, Identity, Issued, Options};
use kogge_testkit::{Deadline, wait_until_async};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const SOON: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);

#[expect(clippy::disallowed_methods, reason = "certificates are judged by the real clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn fleet(id: &str) -> Authority {
    Authority::create(id, now()).unwrap()
}

fn member(fleet: &Authority, text: &str) -> Identity {
    fleet.identity(&name(text), &[7; 16], DAY, now()).unwrap()
}

fn options(identity: Identity, seeds: &[&Gossip]) -> Options {
    Options {
        carries_to: None,
        identity,
        listen: Some("127.0.0.1:0".parse().unwrap()),
        advertise: Vec::new(),
        seeds: seeds.iter().map(|it| it.address().to_string()).collect(),
        dir: None,
        head: Head::default(),
        now,
    }
}

async fn start(fleet: &Authority, text: &str, seeds: &[&Gossip]) -> Gossip {
    Gossip::start(options(member(fleet, text), seeds)).await.unwrap()
}

async fn state(gossip: &Gossip, of: &str) -> Option<State> {
    let members = gossip.view().await?.members;
    members.into_iter().find(|it| it.name.as_str() == of).map(|it| it.state)
}

/// Waits until `by` sees `of` so.
async fn sees(by: &Gossip, of: &str, wanted: State) {
    let what = format!("{of} is seen as {wanted:?}");
    let seen = async || (state(by, of).await == Some(wanted)).then_some(());
    wait_until_async(SOON, &what, seen).await;
}

async fn all_alive(fleet: &[impl Borrow<Gossip>]) {
    for by in fleet.iter().map(Borrow::borrow) {
        let what = format!("{} members are seen alive", fleet.len());
        wait_until_async(SOON, &what, async || {
            let view = by.view().await?;
            let alive = view.members.iter().filter(|it| it.state == State::Alive).count();
            (alive == fleet.len()).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_find_each_other_by_one_seed_and_hear_news() {
    let authority = fleet("f");
    let mut fleet = vec![start(&authority, "m0", &[]).await];
    for number in 1..6 {
        let next = start(&authority, &format!("m{number}"), &[&fleet[0]]).await;
        fleet.push(next);
    }
    all_alive(&fleet).await;
    let capacity = Capacity { nodes: 12, ready: 11, ..Capacity::default() };
    fleet[3].publish(Head { capacity: capacity.clone(), ..Head::default() }).await;
    for by in &fleet {
        wait_until_async(SOON, "the news is everywhere", async || {
            let head = by.head(&name("m3")).await?;
            (head.capacity.nodes == capacity.nodes).then_some(())
        })
        .await;
    }
    let seen = fleet[0].report_of(&name("m5")).await.unwrap();
    assert_eq!((seen.from.as_str(), seen.members.len()), ("m5", 6));
    // One stops without a word, one says goodbye.
    drop(fleet.remove(1));
    sees(&fleet[0], "m1", State::Dead).await;
    sees(&fleet[4], "m1", State::Dead).await;
    fleet[1].leave().await;
    sees(&fleet[0], "m2", State::Left).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_comes_back_in_a_new_life_with_what_it_knew() {
    let authority = fleet("f");
    let dir = tempfile::tempdir().unwrap();
    let seed = start(&authority, "seed", &[]).await;
    let identity = member(&authority, "m1");
    let again = |seeds: &[&Gossip], dir: &Path| {
        let mut options = options(identity.clone(), seeds);
        options.dir = Some(dir.to_owned());
        options
    };
    let first = Gossip::start(again(&[&seed], dir.path())).await.unwrap();
    sees(&seed, "m1", State::Alive).await;
    sees(&first, "seed", State::Alive).await;
    let before = first.view().await.unwrap().incarnation;
    wait_until_async(SOON, "the table is kept", async || {
        let kept: PathBuf = dir.path().join("table");
        std::fs::metadata(kept).ok().filter(|it| 300 < it.len()).map(drop)
    })
    .await;
    drop(first);
    sees(&seed, "m1", State::Dead).await;
    // No seed is needed a second time.
    let second = Gossip::start(again(&[], dir.path())).await.unwrap();
    sees(&second, "seed", State::Alive).await;
    sees(&seed, "m1", State::Alive).await;
    assert!(before < second.view().await.unwrap().incarnation);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_the_long_expired_are_refused_the_newly_expired_are_not() {
    let authority = fleet("f");
    let seed = start(&authority, "seed", &[]).await;
    let stranger = start(&fleet("f"), "stranger", &[&seed]).await;
    let old = |text: &str, days: i64| {
        let then = now() - SignedDuration::from_hours(24 * days);
        authority.identity(&name(text), &[7; 16], DAY, then).unwrap()
    };
    let late = Gossip::start(options(old("late", 5), &[&seed])).await.unwrap();
    let too_late = Gossip::start(options(old("too-late", 9), &[&seed])).await.unwrap();
    sees(&seed, "late", State::Alive).await;
    sees(&late, "seed", State::Alive).await;
    assert_eq!(state(&seed, "stranger").await, None);
    assert_eq!(state(&seed, "too-late").await, None);
    assert_eq!(stranger.view().await.unwrap().members.len(), 1);
    assert_eq!(too_late.view().await.unwrap().members.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_hub_removes_is_cut_off_until_it_is_admitted_again() {
    let authority = fleet("f");
    let mut fleet = vec![start(&authority, "hub", &[]).await];
    for text in ["m1", "m2"] {
        let next = start(&authority, text, &[&fleet[0]]).await;
        fleet.push(next);
    }
    all_alive(&fleet).await;
    let floor = Floor { serial: 1, incarnation: Floor::REMOVED, revoked: true };
    fleet[0].floor(authority.floor(&name("m2"), &floor, now())).await;
    sees(&fleet[1], "m2", State::Removed).await;
    for peer in ["hub", "m1"] {
        cannot_ask(&fleet[2], peer).await;
    }
    // What a member signs for itself is no floor.
    let forged = self::fleet("f").floor(&name("m1"), &floor, now());
    fleet[1].floor(forged).await;
    sees(&fleet[0], "m1", State::Alive).await;
    assert!(is_taken_out(&fleet[1], "m2").await);
    let floor = Floor { serial: 2, incarnation: 1 << 40, revoked: false };
    fleet[0].floor(authority.floor(&name("m2"), &floor, now())).await;
    all_alive(&fleet).await;
    assert!(!is_taken_out(&fleet[1], "m2").await);
}

/// No link opens from one to the other, however often it is tried.
async fn cannot_ask(from: &Gossip, whom: &str) {
    let whom = name(whom);
    let ask = async || from.report_of(&whom).await.is_none().then_some(());
    wait_until_async(SOON, "links are cut", ask).await;
    // Longer than one that could not be dialled is left alone.
    let rest = Deadline::after(Duration::from_millis(1_500));
    wait_until_async(SOON, "the rest is over", async || rest.is_over().then_some(())).await;
    assert_eq!(ask().await, Some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_removed_stays_cut_off_from_one_that_starts_anew() {
    let authority = fleet("f");
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(member(&authority, "hub"), &[]);
    options.dir = Some(dir.path().to_owned());
    let hub = Gossip::start(options.clone()).await.unwrap();
    let removed = start(&authority, "m1", &[&hub]).await;
    sees(&hub, "m1", State::Alive).await;
    sees(&removed, "hub", State::Alive).await;
    let floor = Floor { serial: 1, incarnation: Floor::REMOVED, revoked: true };
    hub.floor(authority.floor(&name("m1"), &floor, now())).await;
    sees(&hub, "m1", State::Removed).await;
    cannot_ask(&removed, "hub").await;
    options.listen = Some(hub.address());
    drop(hub);
    let hub = wait_until_async(SOON, "its port is free", async || {
        Gossip::start(options.clone()).await.ok()
    })
    .await;
    assert!(is_taken_out(&hub, "m1").await);
    cannot_ask(&removed, "hub").await;
    let welcome = start(&authority, "m2", &[&hub]).await;
    sees(&welcome, "hub", State::Alive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_dials_keeps_links_to_those_that_watch_it() {
    let authority = fleet("f");
    let mut fleet = vec![start(&authority, "m0", &[]).await];
    for number in 1..40 {
        let next = start(&authority, &format!("m{number}"), &[&fleet[0]]).await;
        fleet.push(next);
    }
    let mut hidden = options(member(&authority, "hidden"), &[&fleet[0]]);
    hidden.listen = None;
    fleet.push(Gossip::start(hidden).await.unwrap());
    all_alive(&fleet).await;
    let row = async |by: &Gossip| {
        let members = by.view().await.unwrap().members;
        members.into_iter().find(|it| it.name.as_str() == "hidden").unwrap()
    };
    let observers = row(&fleet[0]).await.observers;
    assert_eq!(observers.len(), 5);
    for (observer, _) in observers {
        let by: usize = observer.as_str()[1..].parse().unwrap();
        let what = format!("{observer} probes it");
        wait_until_async(SOON, &what, async || row(&fleet[by]).await.round_trip.map(drop)).await;
    }
    wait_until_async(SOON, "nobody has anything to say against it", async || {
        let mut broken = row(&fleet[0]).await.observers.into_iter().filter_map(|it| it.1);
        broken.all(|it| it == Word::Reached).then_some(())
    })
    .await;
}

async fn is_taken_out(by: &Gossip, who: &str) -> bool {
    let members = by.view().await.unwrap().members;
    members.iter().any(|it| it.name.as_str() == who && it.removed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_goes_from_one_key_to_another_while_it_runs() {
    let authority = fleet("f");
    let [a, b, c, d] = ["m1", "m2", "m3", "m4"].map(|it| member(&authority, it));
    let first = Gossip::start(options(a.clone(), &[])).await.unwrap();
    let second = Gossip::start(options(b.clone(), &[&first])).await.unwrap();
    sees(&first, "m2", State::Alive).await;
    sees(&second, "m1", State::Alive).await;

    // All trust both before anybody is signed by the new one, which began to sign an hour ago.
    let signs = now() - HOUR;
    let (before, over) = (signs - HOUR, signs + DAY * 8);
    authority.rotate(DAY, signs - DAY * 8).unwrap();
    let issued = |of: &Identity, when: Timestamp, trusts: Timestamp| {
        let key = of.key.public();
        let issued = authority.issue(&of.name, &of.uid, &key, DAY, when).unwrap();
        Issued { trust: authority.trust(trusts), ..issued }
    };
    second.renew(issued(&b, before, before)).await;
    let by_new = issued(&a, signs, signs);
    first.renew(by_new.clone()).await;
    has_credential(&second, "m1", &by_new).await;
    let has_admitted = async |of: &str, when: Timestamp| {
        let name = name(of);
        authority.has_admitted(&name, &first.head(&name).await.unwrap(), when)
    };
    assert!(has_admitted("m1", over).await);
    assert!(has_admitted("m2", signs).await && !has_admitted("m2", over).await);

    // A member that only the new one has signed is one for both.
    let c = Identity { issued: issued(&c, signs, signs), ..c };
    let third = Gossip::start(options(c.clone(), &[&second])).await.unwrap();
    all_alive(&[&first, &second, &third]).await;

    // And where the old one is not known, nothing of it is needed.
    let floor = Floor { serial: 1, incarnation: 1, revoked: false };
    let old = authority.floor(&name("gone"), &floor, before);
    assert!(authority.has_signed(&old, before) && !authority.has_signed(&old, signs));
    for (gossip, of) in [(&first, &a), (&second, &b), (&third, &c)] {
        let by_new = issued(of, signs, over);
        gossip.renew(by_new.clone()).await;
        has_credential(&first, of.name.as_str(), &by_new).await;
    }
    let d = Identity { issued: issued(&d, signs, over), ..d };
    let fourth = Gossip::start(options(d, &[&third])).await.unwrap();
    all_alive(&[&first, &second, &third, &fourth]).await;
    first.floor(old).await;
    let anew = Floor { serial: 2, ..floor };
    first.floor(authority.floor(&name("gone"), &anew, signs)).await;
    wait_until_async(SOON, "the floor is known, by the new key alone", async || {
        let floors = fourth.floors().await;
        floors.iter().any(|it| authority.has_signed(it, signs)).then_some(())
    })
    .await;
    assert_eq!(fourth.floors().await.len(), 1);
}

async fn has_credential(by: &Gossip, of: &str, issued: &Issued) {
    wait_until_async(SOON, "the new credential is in its head", async || {
        (by.head(&name(of)).await?.credential == issued.credential).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_udp_is_blocked_tcp_carries_it() {
    let authority = fleet("f");
    let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let door = inside.local_addr().unwrap();
    let mut hidden = options(member(&authority, "hidden"), &[]);
    hidden.advertise = vec![door.to_string()];
    hidden.carries_to = Some(echo().await.to_string());
    let hidden = Gossip::start(hidden).await.unwrap();
    tokio::spawn(forward(inside, hidden.address()));
    let mut outside = options(member(&authority, "outside"), &[]);
    outside.seeds = vec![door.to_string()];
    // It cannot be dialled, so that all goes through the door.
    outside.listen = None;
    let outside = Gossip::start(outside).await.unwrap();
    sees(&outside, "hidden", State::Alive).await;
    sees(&hidden, "outside", State::Alive).await;
    let head = Head { drifted: 3, ..Head::default() };
    outside.publish(head).await;
    wait_until_async(SOON, "the news is through", async || {
        let head = hidden.head(&name("outside")).await?;
        (head.drifted == 3).then_some(())
    })
    .await;
    carries(&outside, "hidden").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_carries_to_its_hub_and_nowhere_else() {
    let authority = fleet("f");
    let mut carrier = options(member(&authority, "carrier"), &[]);
    carrier.carries_to = Some(echo().await.to_string());
    let carrier = Gossip::start(carrier).await.unwrap();
    let idle = start(&authority, "idle", &[&carrier]).await;
    let lost = start(&authority, "lost", &[&carrier]).await;
    sees(&lost, "idle", State::Alive).await;
    carries(&lost, "carrier").await;
    let by = name("carrier");
    // More at a time than one member may have.
    let many = (0..40).map(|_| lost.carried_by(&by));
    let open: Vec<_> = futures::future::join_all(many).await.into_iter().flatten().collect();
    assert!(!open.is_empty() && open.len() < 40, "{} are open", open.len());
    drop(open);
    carries(&lost, "carrier").await;
    assert!(lost.carried_by(&name("idle")).await.is_none(), "it knows no hub");
    assert!(lost.carried_by(&name("nobody")).await.is_none());
    drop(idle);
}

/// What is said through `by` comes back from behind it.
async fn carries(lost: &Gossip, by: &str) {
    let mut carried = lost.carried_by(&name(by)).await.unwrap();
    let said = vec![7; 100_000];
    let mut heard = vec![0; said.len()];
    carried.write_all(&said).await.unwrap();
    carried.flush().await.unwrap();
    carried.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, said);
}

/// Says what it hears.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (mut read, mut write) = stream.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
        }
    });
    address
}

/// Lets TCP through, and nothing else.
async fn forward(listener: TcpListener, to: SocketAddr) {
    loop {
        let (mut inner, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut outer = TcpStream::connect(to).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
        });
    }
}
