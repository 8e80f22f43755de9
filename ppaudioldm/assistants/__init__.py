"""What assistants use over the Model Context Protocol: tools that run the server's jobs, and the folder of sounds."""
