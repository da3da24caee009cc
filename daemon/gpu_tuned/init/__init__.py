"""`gpu-tunedctl init`: what sets a host's GPUs today, read as text and never run, and a first policy from it."""
