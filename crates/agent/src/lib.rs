//! kogge-agent
