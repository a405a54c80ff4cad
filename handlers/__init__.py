"""The Tornado shell: parse, authorise, call the core, write."""
