"""What a model folder is, which architectures can be trained, and where a model may come from."""
