//! Stories that cross services.

mod decision;
mod dependencies;
mod time;
mod whole_life;
