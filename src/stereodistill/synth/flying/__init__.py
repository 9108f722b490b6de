"""The world `flying`: textured layers in front of each other."""
