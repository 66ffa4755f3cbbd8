//! One module for each command: its arguments, and `run`.

pub mod apply;
pub mod hub;
pub mod init;
pub mod join;
pub mod sim;
pub mod unjoin;
pub mod up;
pub mod why;
