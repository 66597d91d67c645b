//! The program is killed while it works, again and again; what it acknowledged stands.

mod history;
mod under_load;
