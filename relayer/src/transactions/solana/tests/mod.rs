mod acts;
mod liars;
mod on_chain;
mod rules;
mod world;
