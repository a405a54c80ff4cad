"""Programs that read logurt over the network."""
