"""From a scene to both pictures: shading, shadows, edges, disparity."""
