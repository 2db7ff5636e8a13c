"""The chat page's parts: its server, its chats, one answer."""
