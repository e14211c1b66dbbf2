"""The watch session without Textual."""
