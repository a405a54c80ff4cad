"""The broker of any number of replicas: chunks go through a stream of NATS JetStream."""
