"""Hugging Face Inference Endpoints, API v2."""
