//! kogge-sim
