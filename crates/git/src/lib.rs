//! kogge-git
