//! Who belongs together. An executor knows its own tasks only, so tasks that may have to do with each other are a *party*, and stay on one worker.
//!
//! ```text
//! group g ◄── a, b          channels ◄── c, d (import `open`)          e may spawn x, and x imports `open`
//!
//! parties:  {a, b}          {c, d, e}                                  every other task, and every copy, by itself
//! ```
//!
//! In the order of their first tasks, party `i` goes to worker `i mod N`.

use crate::job::Job;
use crate::plan::Plan;
use std::collections::HashMap;

/// The worker of each job.
pub(super) fn share_out(plan: &Plan, jobs: &[Job], count: usize) -> Vec<usize> {
    let mut ties = Ties::new(plan, jobs);
    let mut workers: HashMap<usize, usize> = HashMap::new();
    let mut parties = (0..count).cycle();
    // The cycle does not end, as there is at least one worker.
    let mut next = || parties.next().unwrap_or(0);
    let home = |job: &Job| match ties.of(job.task) {
        // It is nobody's before it is spawned, and then its spawner's.
        _ if plan.tasks[job.task].on_spawn => 0,
        Some(tie) => *workers.entry(tie).or_insert_with(&mut next),
        None => next(),
    };
    jobs.iter().map(home).collect()
}

/// What ties tasks of a plan together: a node for each group, and the last one for the channels. Nodes that a task ties are one.
struct Ties {
    /// For each node another one of the same, nearer to the one that stands for all; that one names itself.
    nodes: Vec<usize>,
    /// A node that each task of the plan is tied to, if there is any.
    tasks: Vec<Option<usize>>,
}

impl Ties {
    /// Those of a plan.
    fn new(plan: &Plan, jobs: &[Job]) -> Ties {
        let channels = plan.groups.len();
        let mut ties = Ties { nodes: (0..=channels).collect(), tasks: vec![None; plan.tasks.len()] };
        for (position, task) in plan.tasks.iter().enumerate() {
            task.group.into_iter().for_each(|group| ties.tie(position, group));
        }
        for job in jobs.iter().filter(|job| opens_channels(job)) {
            ties.tie(job.task, channels);
        }
        ties.reach_spawners(plan);
        ties
    }

    /// A task is tied to whatever those are that it may spawn.
    fn reach_spawners(&mut self, plan: &Plan) {
        let mut spawners: Vec<Vec<usize>> = vec![Vec::new(); plan.tasks.len()];
        for (position, task) in plan.tasks.iter().enumerate() {
            task.spawns.iter().for_each(|child| spawners[*child].push(position));
        }
        let mut open: Vec<usize> = (0..plan.tasks.len()).filter(|task| self.tasks[*task].is_some()).collect();
        while let Some(child) = open.pop() {
            let Some(tie) = self.tasks[child] else {
                continue;
            };
            // Each is opened once, and visited once from each child.
            for spawner in std::mem::take(&mut spawners[child]) {
                let known = self.tasks[spawner].is_some();
                self.tie(spawner, tie);
                open.extend((!known).then_some(spawner));
            }
        }
    }

    /// Ties a task to a node, and all that it was tied to.
    fn tie(&mut self, task: usize, node: usize) {
        match self.tasks[task] {
            None => self.tasks[task] = Some(node),
            Some(other) => {
                let (one, other) = (self.root(node), self.root(other));
                self.nodes[one] = other;
            }
        }
    }

    /// The node that stands for all that are one with this.
    fn root(&mut self, mut node: usize) -> usize {
        while self.nodes[node] != node {
            // Halves the way for whoever comes next.
            self.nodes[node] = self.nodes[self.nodes[node]];
            node = self.nodes[node];
        }
        node
    }

    /// What ties a task, if anything does.
    fn of(&mut self, task: usize) -> Option<usize> {
        self.tasks[task].map(|node| self.root(node))
    }
}

/// Whether a job's module can open channels.
fn opens_channels(job: &Job) -> bool {
    let opens = |call: &crate::job::Call| {
        call.program.module().imports().iter().any(|import| import.module == "sched" && import.name == "open")
    };
    job.call.as_ref().is_ok_and(opens)
}
