"""The dialects of Fluent Bit's `http` output."""
