"""Java: code that asks for os.arch, libraries that it loads, and artifacts that a build takes by classifier."""
