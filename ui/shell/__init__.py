"""What every page stands in: the door, the frame, the language and downloads."""
