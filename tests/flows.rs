//! Stories that cross services.

mod add_on;
mod cached;
mod decision;
mod dependencies;
mod objects;
mod readme;
mod scopes;
mod time;
mod whole_life;
