//! kogge-apiserver
