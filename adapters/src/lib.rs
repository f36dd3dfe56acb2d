//! The outside world: foreign files, later brokers and feeds.
