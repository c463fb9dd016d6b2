//! What keeps the relayer from being ready, each reason under the name of the task that has it; and what an operator should know
//! of while it does all its work.

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

/// The alarms and notices that are on.
#[derive(Debug, Default)]
pub struct Alarms {
    on: Mutex<BTreeMap<&'static str, Alarm>>,
    notices: Mutex<BTreeMap<&'static str, Alarm>>,
    paged: Mutex<BTreeSet<&'static str>>,
}

impl Alarms {
    fn held(&self) -> MutexGuard<'_, BTreeMap<&'static str, Alarm>> {
        self.on.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that have been on for long, and for which nobody was paged yet; also those that began long after now, for the clock
    /// was set back.
    pub fn unpaged(&self, now_ms: i64) -> Vec<(&'static str, Alarm)> {
        let paged = self.paged.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let old = |alarm: &Alarm| now_ms.saturating_sub(alarm.since_ms).saturating_abs() >= PAGE_AFTER_MS;
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

    fn noticed(&self) -> MutexGuard<'_, BTreeMap<&'static str, Alarm>> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns a task's alarm on, or changes its reason; logged when it is new.
    pub fn raise(&self, task: &'static str, reason: impl Into<String>, now_ms: i64) {
        let reason = reason.into();
        if turn_on(&mut self.held(), task, &reason, now_ms) {
            tracing::warn!(task, reason, "alarm");
        }
    }

    /// Says something that keeps nothing from being done, or changes its reason; logged when it is new. It is in `/status` and
    /// `/metrics`, leaves `/ready` as it is, and pages nobody.
    pub fn notice(&self, about: &'static str, reason: impl Into<String>, now_ms: i64) {
        let reason = reason.into();
        if turn_on(&mut self.noticed(), about, &reason, now_ms) {
            tracing::warn!(about, reason, "notice");
        }
    }

    /// Takes a notice back.
    pub fn forget(&self, about: &'static str) {
        if self.noticed().remove(about).is_some() {
            tracing::info!(about, "notice is over");
        }
    }

    /// All notices that are on.
    pub fn notices(&self) -> BTreeMap<&'static str, Alarm> {
        self.noticed().clone()
    }

    /// Takes back all that was said, and says this of these tasks in its place: who works under a lease says what is true, and
    /// nothing of what was under another one counts.
    pub fn begin_anew(&self, tasks: impl IntoIterator<Item = &'static str>, reason: &str, now_ms: i64) {
        let begun =
            tasks.into_iter().map(|task| (task, Alarm { reason: reason.to_owned(), since_ms: now_ms }));
        *self.held() = begun.collect();
        self.paged.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.noticed().clear();
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

/// Whether that is new.
fn turn_on(all: &mut BTreeMap<&'static str, Alarm>, name: &'static str, reason: &str, now_ms: i64) -> bool {
    let alarm = all.entry(name).or_insert(Alarm { reason: String::new(), since_ms: now_ms });
    if alarm.reason == reason {
        return false;
    }
    reason.clone_into(&mut alarm.reason);
    true
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
    fn a_notice_is_said_and_keeps_nobody_from_being_ready() {
        let alarms = Alarms::default();
        alarms.notice("cost of cases", "dear", 5);
        alarms.notice("cost of cases", "dearer", 9);
        let said = alarms.notices();
        assert_eq!((said["cost of cases"].reason.as_str(), said["cost of cases"].since_ms), ("dearer", 5));
        assert_eq!((alarms.ready(), alarms.all().len()), (Ok(()), 0));
        assert!(alarms.unpaged(i64::MAX).is_empty());
        alarms.forget("cost of cases");
        assert!(alarms.notices().is_empty());
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

    #[test]
    fn a_clock_that_is_set_back_delays_no_page() {
        let alarms = Alarms::default();
        let raised_ms = 1_000 * PAGE_AFTER_MS;
        alarms.raise("bridge", "hub is away", raised_ms);
        // Whoever looked at the clock a moment before the alarm was raised is not deceived.
        assert!(alarms.unpaged(raised_ms - 1).is_empty());
        assert_eq!(alarms.unpaged(PAGE_AFTER_MS).len(), 1);
    }

    #[test]
    fn what_was_said_under_another_lease_is_neither_said_nor_paged() {
        let alarms = Alarms::default();
        alarms.raise("bridge", "hub is away", 5);
        alarms.paged("bridge", 5);
        alarms.raise("balance", "poor", 5);
        alarms.notice("doubt", "odd", 5);
        alarms.begin_anew(["bridge", "intents"], "starting", 90_000);
        assert_eq!(alarms.ready(), Err("bridge: starting; intents: starting".to_owned()));
        assert!(alarms.notices().is_empty() && alarms.unpaged(90_000).is_empty());
        assert_eq!(alarms.unpaged(90_000 + PAGE_AFTER_MS).len(), 2, "who was paged before is again");
    }
}
