//! Numbers read as choices. Zero is always the plainest one, and what comes after the last number is zero, so that a
//! shrunk history is a plain one.

/// The numbers of one step.
#[derive(Debug)]
pub struct Dice<'a>(std::slice::Iter<'a, u16>);

impl<'a> Dice<'a> {
    pub fn new(numbers: &'a [u16]) -> Self {
        Self(numbers.iter())
    }

    fn next(&mut self) -> u64 {
        self.0.next().copied().unwrap_or_default().into()
    }

    /// 0 to `bound` - 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == times - 1
    }

    pub fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()].clone()
    }

    /// 0 to `bound`, by 96 bits.
    pub fn up_to(&mut self, bound: u128) -> u128 {
        let wide = (0..6).fold(0_u128, |wide, _| wide << 16 | u128::from(self.next()));
        match bound.checked_add(1) {
            Some(size) => wide % size,
            None => wide,
        }
    }

    pub fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}
