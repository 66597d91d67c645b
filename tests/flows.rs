//! Stories that cross services.

mod actions;
mod add_on;
mod decision;
mod dependencies;
mod readme;
mod rules;
mod scopes;
mod time;
mod whole_life;
