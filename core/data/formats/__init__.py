"""What a row of a conversation file may look like, and the one form that all of it becomes."""
