"""What surfaces look like: textures, patterns, materials, finishes."""
