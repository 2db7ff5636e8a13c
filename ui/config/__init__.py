"""The recipe on its page: the form, its file, what a launch will take."""
