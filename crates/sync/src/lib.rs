//! kogge-sync
