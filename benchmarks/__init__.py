"""What logurt costs: each module measures one thing, takes its sizes as arguments, and prints a table."""
