"""`gpu-tunedctl init`: what sets the GPUs of a host today, read as text and never run, and the first policy from it."""
