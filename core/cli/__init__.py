"""The command line: its commands, a module for each subject, and what they print."""
