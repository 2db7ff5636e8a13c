"""A Recipe is everything that decides a fine-tune; it becomes XTuner's own config file."""
