"""The host around the GPUs: what else on it sets them, read as text and never run."""
