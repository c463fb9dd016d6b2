//! Nothing: this member is its test, which rebuilds the committed ABI and bytecode of the contracts and compares them.
