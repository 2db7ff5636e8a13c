"""The steps of a run. Each checks its inputs, plans a command (a list of arguments) and reads the result."""
