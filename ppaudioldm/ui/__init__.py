"""The web page of `ppaudioldm ui`: a Gradio form that submits jobs to the server, and their results beside it."""
