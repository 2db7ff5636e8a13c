"""The proof: what is asked of base and tuned model, how an answer is judged, and what the shares come to."""
