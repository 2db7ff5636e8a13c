"""Publishing on its page: what is asked, what would be sent, what a run has made."""
