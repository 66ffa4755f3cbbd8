//! kogge-hub
