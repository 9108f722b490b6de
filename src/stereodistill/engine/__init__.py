"""The training loop and what feeds it; the only user of `accelerate`."""
