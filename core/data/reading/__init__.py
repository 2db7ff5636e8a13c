"""From a file as it was given to its rows: compression, encoding, tables, where each row begins and ends."""
