"""What is wrong with a data set, row by row, before a night is spent on it."""
