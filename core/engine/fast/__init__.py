"""Training a Llama-like model with LoRA faster than XTuner 0.2.0 does by itself, and with the same result.

``install`` puts it under XTuner; which of it is used stands in the config (``acceleration``).
"""
