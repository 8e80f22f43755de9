"""A page to play with: Gradio's form, whose jobs a server makes, and what became of them, beside it."""
