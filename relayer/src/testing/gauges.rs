//! What the gauges of one thread say, apart from those of other tests.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Hears the gauges of a thread while [`metrics::set_default_local_recorder`] has it.
#[derive(Debug, Default)]
pub struct Gauges(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Gauges {
    /// What a gauge says; it is named with the values of its labels behind it. None where it says nothing.
    pub fn get(&self, gauge: &str) -> Option<f64> {
        self.0.lock().unwrap().get(gauge).map(|value| f64::from_bits(value.load(Ordering::SeqCst)))
    }
}

impl Recorder for Gauges {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let name = key.labels().fold(key.name().to_owned(), |name, label| name + " " + label.value());
        self.0.lock().unwrap().entry(name).or_default().clone().into()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
