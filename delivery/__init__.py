"""Where lines are fanned out: who gets what, in which form, and what is shared. Plain Python that waits for nothing."""
