//! kogge-model
