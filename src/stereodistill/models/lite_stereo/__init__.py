"""The shipped stereo network."""
