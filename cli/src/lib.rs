//! The command line: talks the gRPC API and nothing else.
