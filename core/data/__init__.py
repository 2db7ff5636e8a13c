"""Conversations: read, made, mixed with replay, counted."""
