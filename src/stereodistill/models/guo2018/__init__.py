"""The networks of Guo et al. (ECCV 2018)."""
