"""A stranger's file is read by a child process with limits of time, memory and bytes: it may be a bomb."""
