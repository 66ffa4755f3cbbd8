//! kogge-placement
