//! kogge-store
