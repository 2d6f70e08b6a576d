"""hornbook: small language models, from letter counts to a GPT, on the computer you have."""

__version__ = "0.1.0"
