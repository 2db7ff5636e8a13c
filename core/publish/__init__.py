"""Publish: what a run has made leaves this machine, with a card, checked before and after."""
