"""Chat: its history, the server that holds one model, one answer, and answers from a server elsewhere."""
