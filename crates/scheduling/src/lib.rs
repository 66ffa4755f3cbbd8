//! kogge-scheduling
