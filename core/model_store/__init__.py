"""The workspace's models: importing one, who uses it, and deleting it."""
