//! kogge-api
