mod on_chain;
mod rules;
