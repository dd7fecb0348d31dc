"""simlora: a discrete-event testbed for serverless inference of LoRA-based LLMs."""

__version__ = "0.1.0"
