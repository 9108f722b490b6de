"""What stands in a scene: solids, the camera that sees them, and what a pixel sees on them."""
