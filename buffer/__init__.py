"""The core: sources, chunks, rings, views and the hub. No I/O, no clock, no settings."""
