//! What keeps the relayer from being ready, each reason under the name of the task that has it.

use std::{
    collections::BTreeMap,
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

/// The alarms that are on.
#[derive(Debug, Default)]
pub struct Alarms(Mutex<BTreeMap<&'static str, Alarm>>);

impl Alarms {
    fn held(&self) -> MutexGuard<'_, BTreeMap<&'static str, Alarm>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
}
