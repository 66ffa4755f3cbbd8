//! What each template does about clusters that failed, with a verdict for every place that is hit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::fleet::{Fleet, Guard, Standing, Timed, soonest};
use super::tasks::{Change, Task, change};
use super::{Millis, NOT_READY, Settings, UNREACHABLE};
use crate::filter::{show, tolerates};
use crate::policy::{ClusterFailover, Toleration};

/// Where a template is placed, and what its policy says of failures.
#[derive(Clone, Debug, Default)]
pub struct Placed {
    pub id: String,
    pub clusters: BTreeSet<String>,
    pub tolerations: Vec<Toleration>,
    /// `failover.cluster` of the policy.
    pub behaviour: Option<ClusterFailover>,
    /// It is a volume claim, or its pods mount some: its data stays where it is.
    pub keeps_data: bool,
    /// It ran to its end: to move it would run it again.
    pub finished: bool,
    /// It is healthy on every cluster that it is placed on.
    pub healthy: bool,
    pub tasks: Vec<Task>,
}

/// A template leaves these clusters in one move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eviction {
    pub id: String,
    /// By name, with the reason in words.
    pub from: BTreeMap<String, String>,
}

/// What is to be said of a template on a cluster that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is being moved: the word is given.
    Moves(String),
    /// It was moved, and why.
    Moved,
    /// Its policy tolerates the taint until then.
    Waits {
        taint: String,
        until: Millis,
    },
    /// So many moved within this second that the rest waits for the next.
    WaitsForTurn,
    Held(Guard),
    Tolerated(String),
    NowhereElse(String),
    KeepsData,
    Finished,
}

impl Verdict {
    /// One word, for conditions.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Moves(_) => "Moving",
            Self::Moved => "Moved",
            Self::Waits { .. } => "TolerationRuns",
            Self::WaitsForTurn => "WaitsForTurn",
            Self::Held(_) => "WaitsForApproval",
            Self::Tolerated(_) => "Tolerated",
            Self::NowhereElse(_) => "NowhereElse",
            Self::KeepsData => "KeepsData",
            Self::Finished => "Finished",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moves(why) => write!(f, "is being moved {why}"),
            Self::Moved => f.write_str("was moved away"),
            Self::Waits { taint, .. } => write!(f, "stays while {taint} is tolerated"),
            Self::WaitsForTurn => f.write_str("waits for its turn: moves are limited in rate"),
            Self::Held(guard) => {
                write!(f, "stays until a person says so (kogge failover approve): {guard}")
            }
            Self::Tolerated(taint) => {
                write!(f, "stays: the policy tolerates {taint} without a limit")
            }
            Self::NowhereElse(why) => write!(f, "stays: it has nowhere else to go: {why}"),
            Self::KeepsData => f.write_str(
                "stays: its data is on volumes there; with failover.cluster in the policy it \
                 moves without them",
            ),
            Self::Finished => f.write_str("stays: it ran to its end, and moved it would run again"),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    pub evictions: Vec<Eviction>,
    /// By template and by the cluster that was left.
    pub changes: BTreeMap<(String, String), Change>,
    /// An entry for every place on a cluster with a `NoExecute` taint, and for every task.
    pub report: BTreeMap<(String, String), Verdict>,
    /// When to look again, if nothing else happens.
    pub again: Option<Millis>,
}

/// Whether a template could run without these clusters; if not, why not.
pub type Elsewhere<'a> = dyn Fn(&Placed, &BTreeSet<String>) -> Result<(), String> + 'a;

/// How often what has nowhere to go is tried again: room elsewhere comes without a word.
const TRY_AGAIN: Millis = 10_000;

/// A large move takes so long.
const LATELY: Millis = 10_000;

/// Says what moves now. `recent` are the times of the moves before.
pub fn plan<'a>(
    now: Millis,
    fleet: &Fleet,
    placed: impl IntoIterator<Item = &'a Placed>,
    recent: &[Millis],
    elsewhere: &Elsewhere<'_>,
    settings: &Settings,
) -> Moves {
    let spent = recent.iter().filter(|it| now - **it < 1_000).count();
    let mut order: Vec<&Placed> = placed.into_iter().collect();
    order.sort_by(|a, b| a.id.cmp(&b.id));
    let turn = next_turn(now, recent);
    let mut planner = Planner { now, fleet, settings, budget: 0, turn, moves: Moves::default() };
    let due: Vec<Due> = order.iter().map(|it| planner.due(it)).collect();
    // With those that have to leave now, and those that left just now, the rate is measured.
    let afoot = |(it, due): &(&&Placed, &Due)| !due.is_empty() || planner.has_left_lately(it);
    let afoot = order.iter().zip(&due).filter(afoot).count();
    let share = afoot.checked_div(settings.share_a_second).unwrap_or(0);
    planner.budget = settings.moves_a_second.max(share).saturating_sub(spent);
    // Who has to leave goes before who may return.
    for (it, due) in order.iter().zip(due) {
        planner.leave(it, due, elsewhere);
    }
    for it in order {
        planner.follow(it);
    }
    planner.moves
}

/// When those that find no turn now get theirs: a second after the oldest of this second's moves.
fn next_turn(now: Millis, recent: &[Millis]) -> Millis {
    let oldest = recent.iter().filter(|it| now - **it < 1_000).min();
    oldest.unwrap_or(&now) + 1_000
}

/// The clusters that a template has to leave now, and why.
type Due = BTreeMap<String, String>;

struct Planner<'a> {
    now: Millis,
    fleet: &'a Fleet,
    settings: &'a Settings,
    budget: usize,
    turn: Millis,
    moves: Moves,
}

impl Planner<'_> {
    fn has_left_lately(&self, placed: &Placed) -> bool {
        placed.tasks.iter().any(|it| self.now - it.since < LATELY)
    }

    /// What it has to leave now, if there is a turn and room elsewhere.
    fn due(&mut self, placed: &Placed) -> Due {
        let mut due = Due::new();
        let mut held = None;
        for cluster in &placed.clusters {
            if placed.tasks.iter().any(|it| it.from == *cluster) {
                continue;
            }
            match self.judge(placed, cluster) {
                None => {}
                Some(Ok(why)) => drop(due.insert(cluster.clone(), why)),
                Some(Err(verdict)) => {
                    if let Verdict::Held(guard) = verdict {
                        held = Some(guard);
                    }
                    self.say(placed, cluster, verdict);
                }
            }
        }
        // Its share could go to the cluster that is held, and be gone there as well.
        if let Some(guard) = held {
            for cluster in due.keys() {
                self.say(placed, cluster, Verdict::Held(guard));
            }
            return Due::new();
        }
        due
    }

    fn leave(&mut self, placed: &Placed, due: Due, elsewhere: &Elsewhere<'_>) {
        if due.is_empty() {
            return;
        }
        if self.budget == 0 {
            self.look_again(self.turn);
            for cluster in due.keys() {
                self.say(placed, cluster, Verdict::WaitsForTurn);
            }
            return;
        }
        let left = placed.tasks.iter().map(|it| it.from.clone()).chain(due.keys().cloned());
        if let Err(why) = elsewhere(placed, &left.collect()) {
            self.look_again(self.now + TRY_AGAIN);
            for cluster in due.keys() {
                self.say(placed, cluster, Verdict::NowhereElse(why.clone()));
            }
            return;
        }
        self.budget -= 1;
        for (cluster, why) in &due {
            self.say(placed, cluster, Verdict::Moves(why.clone()));
        }
        self.moves.evictions.push(Eviction { id: placed.id.clone(), from: due });
    }

    /// `None`: nothing is wrong there. `Ok`: it has to leave now, and why.
    fn judge(&self, placed: &Placed, cluster: &str) -> Option<Result<String, Verdict>> {
        let member = self.fleet.members.get(cluster)?;
        let evicting = member.taints.iter().filter(|it| it.taint.effect == "NoExecute");
        let deadlines: Vec<(Option<Millis>, &Timed)> =
            evicting.map(|it| (self.deadline(placed, it), it)).collect();
        let (_, any) = deadlines.first()?;
        if placed.finished {
            return Some(Err(Verdict::Finished));
        }
        if placed.keeps_data && placed.behaviour.is_none() {
            return Some(Err(Verdict::KeepsData));
        }
        let due = deadlines.iter().filter_map(|(at, it)| Some(((*at)?, *it)));
        let Some((until, taint)) = due.min_by_key(|it| it.0) else {
            return Some(Err(Verdict::Tolerated(show(&any.taint))));
        };
        // What a person tainted by hand is a person's word.
        if let Some(guard) = member.held.filter(|_| is_ours(taint)) {
            return Some(Err(Verdict::Held(guard)));
        }
        if self.now < until {
            return Some(Err(Verdict::Waits { taint: show(&taint.taint), until }));
        }
        let lasted = (self.now - taint.since.unwrap_or(self.now)) / 1_000;
        let why = match &member.standing {
            Standing::Dead { by, .. } if is_ours(taint) => by.to_string(),
            _ => format!("got the taint {}", show(&taint.taint)),
        };
        Some(Ok(format!("{lasted} s after {cluster} {why}")))
    }

    /// When a taint is tolerated no longer; never is `None`. The shortest toleration counts.
    fn deadline(&self, placed: &Placed, it: &Timed) -> Option<Millis> {
        let since = it.since.unwrap_or(self.now);
        let mut matching =
            placed.tolerations.iter().filter(|one| tolerates(one, &it.taint)).peekable();
        if matching.peek().is_none() {
            let default = if is_ours(it) { self.settings.toleration } else { 0 };
            return Some(since + default);
        }
        let seconds = matching.filter_map(|one| one.toleration_seconds).min()?;
        Some(since.saturating_add(seconds.max(0).saturating_mul(1_000)))
    }

    fn follow(&mut self, placed: &Placed) {
        for task in &placed.tasks {
            let (change, again) = change(self.now, placed, task, self.fleet, self.settings);
            if let Some(at) = again {
                self.look_again(at);
            }
            let moving = placed.clusters.contains(&task.from);
            let verdict = if moving {
                Verdict::Moves("as soon as its new place is decided".to_owned())
            } else {
                Verdict::Moved
            };
            self.say(placed, &task.from, verdict);
            let Some(change) = change else { continue };
            // To come back is a move as well.
            if change == Change::End && !moving {
                if self.budget == 0 {
                    self.look_again(self.turn);
                    continue;
                }
                self.budget -= 1;
            }
            self.moves.changes.insert((placed.id.clone(), task.from.clone()), change);
        }
    }

    fn say(&mut self, placed: &Placed, cluster: &str, verdict: Verdict) {
        if let Verdict::Waits { until, .. } = &verdict {
            self.look_again(*until);
        }
        self.moves.report.insert((placed.id.clone(), cluster.to_owned()), verdict);
    }

    fn look_again(&mut self, at: Millis) {
        self.moves.again = Some(soonest(self.moves.again, at));
    }
}

fn is_ours(it: &Timed) -> bool {
    matches!(it.taint.key.as_str(), NOT_READY | UNREACHABLE)
}
