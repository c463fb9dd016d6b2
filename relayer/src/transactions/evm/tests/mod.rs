mod acts;
mod faults;
mod on_chain;
mod peers;
mod rules;
mod signers;
mod world;
