"""Bytes in, records out: what shippers send becomes batches of lines. No network, no clock, no settings."""
