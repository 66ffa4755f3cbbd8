//! kogge-autoscale
