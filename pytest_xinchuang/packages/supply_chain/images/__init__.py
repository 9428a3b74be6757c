"""What a container image or a root filesystem is made of: packages of the system, and of languages inside of it."""
