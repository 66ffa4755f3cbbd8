//! kogge-member
