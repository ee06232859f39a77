"""The use-cases: one module each, callable from task, command line, panel and API alike."""
