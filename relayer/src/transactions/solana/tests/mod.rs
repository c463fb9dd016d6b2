mod acts;
mod on_chain;
mod rules;
mod world;
