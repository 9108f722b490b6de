"""Published data sets, a class and a file each, and the table that knows them by name."""
