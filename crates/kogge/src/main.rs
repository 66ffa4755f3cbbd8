//! kogge

fn main() {}
