"""The networks of Ye et al. (TIP 2021)."""
