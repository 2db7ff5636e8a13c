"""From a file as it was given to its rows: compression, encoding, tables, and where each row begins and ends."""
