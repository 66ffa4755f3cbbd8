//! How the binary is linked.

fn main() {
    // At a fixed address: a megabyte of relocations is not read and another not written when it
    // starts, which is much of what an agent needs.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|it| it == "linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
