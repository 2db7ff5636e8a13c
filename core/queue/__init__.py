"""The queue: which job computes on which device of this machine, and which waits for one, in order."""
