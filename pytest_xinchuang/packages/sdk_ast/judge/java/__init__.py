"""Clients in Java: javac and the virtual machine's linker judge what differs."""
