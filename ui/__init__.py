"""What pages are made of, a room for each subject: ``shell jobs config data models chat publish runs``."""
