"""gpu-tuned: declared GPU settings, made so and kept so."""

__version__ = "0.1.0"
