"""Attacks on a server, one function each: what the prober has going on while it measures."""
