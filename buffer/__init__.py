"""Where lines are kept: sources, chunks, rings, the store, and the brokers that number chunks."""
