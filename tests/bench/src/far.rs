//! A node next door, as if it were far away: every answer is late by a round trip, and all answers share one line.

use std::{
    convert::Infallible,
    num::NonZeroU64,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::{Body, Bytes};
use futures::stream;
use tokio::time::{Instant, sleep_until};

/// Bytes of one answer that go over the line before it is the next answer's turn: 1.3 ms of 100 Mbit/s.
const CHUNK: usize = 16 * 1024;
/// How much of the line's past an answer may still use: timers are late by a millisecond or two, and a line does not stand still for
/// that. More of it would make up for what the machine does.
const LATE_MAX: Duration = Duration::from_millis(5);

/// A line that carries one chunk after another, whosever it is.
#[derive(Debug)]
struct Line {
    bytes_per_second: NonZeroU64,
    /// Until then it is taken.
    free: Instant,
}

impl Line {
    const fn new(bytes_per_second: NonZeroU64, free: Instant) -> Self {
        Self { bytes_per_second, free }
    }

    /// Takes the line for a chunk that was there to be sent at `ready`, after all chunks that were asked for before; answers when
    /// the last byte of it is through.
    fn carry(&mut self, bytes: usize, ready: Instant, now: Instant) -> Instant {
        let bytes = u64::try_from(bytes).expect("a length");
        let nanos = (bytes * 1_000_000_000).div_ceil(self.bytes_per_second.get());
        self.free = self.free.max(ready).max(now - LATE_MAX) + Duration::from_nanos(nanos);
        self.free
    }
}

/// What lies between a node far away and whoever asks it.
#[derive(Debug)]
pub struct Far {
    delay: Duration,
    line: Arc<Mutex<Line>>,
}

impl Far {
    /// Answers are late by `delay`, and all of them together have so many bytes a second.
    pub fn new(delay: Duration, bytes_per_second: NonZeroU64) -> Self {
        Self { delay, line: Arc::new(Mutex::new(Line::new(bytes_per_second, Instant::now()))) }
    }

    /// Waits for the round trip; the body then comes as the line carries it. `arrived` is called once all of it has.
    pub async fn deliver(&self, answer: Bytes, arrived: impl FnOnce() + Send + 'static) -> Body {
        let ready = Instant::now() + self.delay;
        sleep_until(ready).await;
        let line = self.line.clone();
        // An answer asks for its next chunk when the one before is through, so that others have their turn between.
        let chunks = stream::unfold((answer, ready, Some(arrived)), move |(mut rest, ready, mut arrived)| {
            let line = line.clone();
            async move {
                if rest.is_empty() {
                    return None;
                }
                let chunk = rest.split_to(rest.len().min(CHUNK));
                let through = line.lock().expect("no panic").carry(chunk.len(), ready, Instant::now());
                sleep_until(through).await;
                if rest.is_empty()
                    && let Some(arrived) = arrived.take()
                {
                    arrived();
                }
                Some((Ok::<_, Infallible>(chunk), (rest, through, arrived)))
            }
        });
        Body::from_stream(chunks)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        num::NonZeroU64,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use axum::body::{Bytes, to_bytes};
    use tokio::time::Instant;

    use super::{CHUNK, Far, LATE_MAX, Line};

    const RATE: NonZeroU64 = NonZeroU64::new(12_500_000).unwrap();
    /// A chunk at that rate.
    const SLOT: Duration = Duration::from_nanos(1_310_720);

    /// An answer that is under way.
    #[derive(Clone, Copy)]
    struct Answer {
        ready: Instant,
        awake: Instant,
        chunks: usize,
    }

    /// Answers that begin after a while and have so many chunks, each asked for when the one before was passed on, which is so
    /// late; which answer's chunk was passed on when.
    fn play(answers: &[(Duration, usize)], late: impl Fn(usize) -> Duration) -> Vec<(usize, Duration)> {
        let began = Instant::now();
        let mut line = Line::new(RATE, began);
        let begin = |(after, chunks): &(Duration, usize)| Answer {
            ready: began + *after,
            awake: began + *after,
            chunks: *chunks,
        };
        let mut answers: Vec<Answer> = answers.iter().map(begin).collect();
        let mut passed = Vec::new();
        loop {
            let under_way = (0..answers.len()).filter(|at| answers[*at].chunks > 0);
            let Some(at) = under_way.min_by_key(|at| answers[*at].awake) else { return passed };
            let Answer { ready, awake, chunks } = answers[at];
            let through = line.carry(CHUNK, ready, awake);
            let awake = if through > awake { through + late(passed.len()) } else { awake };
            passed.push((at, awake - began));
            answers[at] = Answer { ready: through, awake, chunks: chunks - 1 };
        }
    }

    #[test]
    fn a_line_never_carries_more_than_it_can() {
        let (window, answers) = (Duration::from_millis(100), [(Duration::ZERO, 60); 8]);
        for latest in [0, 2, 23, 300] {
            let late = |nth: usize| Duration::from_millis(u64::try_from(nth * 7 % (latest + 1)).unwrap());
            let passed = play(&answers, late);
            assert_eq!(passed.len(), answers.len() * 60);
            // What late timers leave is small: a chunk of each answer, and what an answer may use of the past.
            let most =
                (window + LATE_MAX).as_nanos() / SLOT.as_nanos() + u128::try_from(answers.len()).unwrap();
            for (_, end) in &passed {
                let within = passed.iter().filter(|(_, when)| *when <= *end && *when + window > *end).count();
                assert!(u128::try_from(within).unwrap() <= most, "{within} of {most}, {latest} ms late");
            }
            let all = SLOT * u32::try_from(passed.len()).unwrap();
            assert!(passed.iter().map(|(_, when)| *when).max().unwrap() >= all, "{latest} ms late");
        }
    }

    #[test]
    fn answers_share_the_line_and_one_that_comes_later_has_as_much_of_it() {
        let after = Duration::from_millis(100);
        let passed = play(&[(Duration::ZERO, 200), (after, 40)], |_| Duration::ZERO);
        let end = passed.iter().filter(|(at, _)| *at == 1).map(|(_, when)| *when).max().unwrap();
        let beside = passed.iter().filter(|(at, when)| *at == 0 && *when > after && *when <= end).count();
        assert!((39..=41).contains(&beside), "{beside}");
        // Nothing of the line is left unused while there is something to send.
        assert_eq!(passed.iter().map(|(_, when)| *when).max().unwrap(), SLOT * 240);
    }

    #[test]
    fn late_timers_cost_the_line_nothing_but_what_is_very_late_is_lost() {
        let late = Duration::from_millis(2);
        let passed = play(&[(Duration::ZERO, 100)], |_| late);
        let end = passed.iter().map(|(_, when)| *when).max().unwrap();
        assert!(end >= SLOT * 100 && end <= SLOT * 100 + late, "{end:?}");

        let began = Instant::now();
        let mut line = Line::new(RATE, began);
        let now = began + Duration::from_secs(1);
        assert_eq!(line.carry(CHUNK, began, now), now - LATE_MAX + SLOT);
    }

    #[tokio::test]
    async fn an_answer_comes_whole_not_before_its_time_and_says_once_that_it_did() {
        // Two answers of 2.5 chunks each: 20 ms for the way and 81 ms for the line.
        let answers = [Bytes::from(vec![1; CHUNK * 5 / 2]), Bytes::from(vec![2; CHUNK * 5 / 2])];
        let (delay, rate) = (Duration::from_millis(20), NonZeroU64::new(1_000_000).unwrap());
        let (began, arrived) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
        let far = Far::new(delay, rate);
        let come = async |answer: &Bytes| {
            let arrived = arrived.clone();
            let arrived = move || {
                arrived.fetch_add(1, Ordering::Relaxed);
            };
            let body = far.deliver(answer.clone(), arrived).await;
            assert!(began.elapsed() >= delay);
            to_bytes(body, usize::MAX).await.unwrap()
        };
        let [first, second] = &answers;
        let (came_first, came_second) = tokio::join!(come(first), come(second));
        assert_eq!([came_first, came_second], answers);
        assert!(began.elapsed() >= delay + Duration::from_micros(81_920));
        assert_eq!(arrived.load(Ordering::Relaxed), 2);
    }
}
