"""What stands around target code: the system calls that it may make, and how programs of the host are kept out."""
