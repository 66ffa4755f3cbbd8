//! kogge-testkit
