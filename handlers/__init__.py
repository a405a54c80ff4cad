"""The Tornado shell: parse, authorise, call the buffer, write."""
