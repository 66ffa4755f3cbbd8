//! How the binary is linked.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // At a fixed address: a megabyte of relocations is not read and another not written when it
    // starts, which is much of what an agent needs. The price is that only libraries, stacks and
    // heaps are at random addresses.
    let is = |name, value: &str| env::var(name).is_ok_and(|it| it == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
