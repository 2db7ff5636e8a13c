"""The commands of the command line, a room for each subject: their names, options and results."""
