mod acts;
mod faults;
mod on_chain;
mod peers;
mod rounds;
mod rules;
mod signers;
mod world;
