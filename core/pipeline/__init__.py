"""The whole way from a name to a proved assistant: step after step, and as one job."""
