"""Where everything lies: every path, and files that are never half-written."""
