"""Lines fanned out: who gets what, in which form, and what is shared. Plain synchronous Python, without a clock."""
