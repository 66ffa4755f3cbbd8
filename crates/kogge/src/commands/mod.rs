//! One module for each command: its arguments, and `run`.

pub mod agent;
pub mod apply;
pub mod failover;
pub mod gossip;
pub mod hub;
pub mod identity;
pub mod init;
pub mod join;
pub mod sim;
pub mod token;
pub mod unjoin;
pub mod up;
pub mod why;
