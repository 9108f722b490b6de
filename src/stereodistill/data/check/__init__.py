"""The rig doctor: what would spoil training on a data set, said before hours are spent."""
