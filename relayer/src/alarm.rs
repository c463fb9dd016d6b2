//! What keeps the relayer from being ready, each reason under the name of the task that has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// In words.
    pub reason: String,
    /// Unix milliseconds since when this task has had an alarm.
    pub since_ms: i64,
}

/// For how long an alarm must have been on before the operator is paged, in milliseconds: a restart of a neighbour is no
/// reason to wake anybody.
pub const PAGE_AFTER_MS: i64 = 60_000;

/// The alarms that are on.
#[derive(Debug, Default)]
pub struct Alarms {
    on: Mutex<BTreeMap<&'static str, Alarm>>,
    paged: Mutex<BTreeSet<&'static str>>,
}

impl Alarms {
    fn held(&self) -> MutexGuard<'_, BTreeMap<&'static str, Alarm>> {
        self.on.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that have been on for long, and for which nobody was paged yet.
    pub fn unpaged(&self, now_ms: i64) -> Vec<(&'static str, Alarm)> {
        let paged = self.paged.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let old = |alarm: &Alarm| now_ms.saturating_sub(alarm.since_ms) >= PAGE_AFTER_MS;
        let held = self.held();
        let due = held.iter().filter(|(task, alarm)| old(alarm) && !paged.contains(*task));
        due.map(|(task, alarm)| (*task, alarm.clone())).collect()
    }

    /// Notes that somebody was paged for a task's alarm that began then; until it is over nobody is again. Of one that ended
    /// meanwhile nothing is noted: the next is another.
    pub fn paged(&self, task: &'static str, since_ms: i64) {
        if self.held().get(task).is_none_or(|alarm| alarm.since_ms != since_ms) {
            return;
        }
        self.paged.lock().unwrap_or_else(PoisonError::into_inner).insert(task);
    }

    /// Turns a task's alarm on, or changes its reason; logged when it is new.
    pub fn raise(&self, task: &'static str, reason: impl Into<String>, now_ms: i64) {
        let reason = reason.into();
        let mut held = self.held();
        match held.get_mut(task) {
            Some(alarm) if alarm.reason == reason => {}
            Some(alarm) => {
                tracing::warn!(task, reason, "alarm");
                alarm.reason = reason;
            }
            None => {
                tracing::warn!(task, reason, "alarm");
                held.insert(task, Alarm { reason, since_ms: now_ms });
            }
        }
    }

    /// Turns a task's alarm off.
    pub fn clear(&self, task: &'static str) {
        if self.held().remove(task).is_some() {
            self.paged.lock().unwrap_or_else(PoisonError::into_inner).remove(task);
            tracing::info!(task, "alarm is over");
        }
    }

    /// All that are on.
    pub fn all(&self) -> BTreeMap<&'static str, Alarm> {
        self.held().clone()
    }

    /// For `/ready`.
    ///
    /// # Errors
    /// The reasons, when there is any.
    pub fn ready(&self) -> Result<(), String> {
        let held = self.held();
        if held.is_empty() {
            return Ok(());
        }
        Err(held
            .iter()
            .map(|(task, alarm)| format!("{task}: {}", alarm.reason))
            .collect::<Vec<_>>()
            .join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_keeps_its_beginning_and_names_its_task() {
        let alarms = Alarms::default();
        assert_eq!(alarms.ready(), Ok(()));
        alarms.raise("bridge", "hub is away", 5);
        alarms.raise("bridge", "hub refuses the key", 9);
        assert_eq!(alarms.all().get("bridge").unwrap().since_ms, 5);
        assert_eq!(alarms.ready(), Err("bridge: hub refuses the key".to_owned()));
        alarms.clear("bridge");
        assert_eq!(alarms.ready(), Ok(()));
    }

    #[test]
    fn somebody_is_paged_once_for_an_alarm_that_stays() {
        let alarms = Alarms::default();
        alarms.raise("bridge", "hub is away", 5);
        assert!(alarms.unpaged(4 + PAGE_AFTER_MS).is_empty());
        assert_eq!(alarms.unpaged(5 + PAGE_AFTER_MS).len(), 1);
        alarms.paged("bridge", 4);
        assert_eq!(alarms.unpaged(5 + PAGE_AFTER_MS).len(), 1, "the page was for one that is over");
        alarms.paged("bridge", 5);
        alarms.raise("bridge", "hub refuses the key", 9);
        assert!(alarms.unpaged(i64::MAX).is_empty());
        alarms.clear("bridge");
        alarms.raise("bridge", "hub is away", 100);
        assert_eq!(alarms.unpaged(100 + PAGE_AFTER_MS).len(), 1);
    }
}
