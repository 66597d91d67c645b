//! Stories that cross services.

mod actions;
mod add_on;
mod cached;
mod decision;
mod dependencies;
mod first_roles;
mod graphs;
mod objects;
mod readme;
mod rules;
mod scopes;
mod time;
mod whole_life;
