"""Use cases that a person or a program asks for."""
