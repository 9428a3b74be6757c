"""What the platform's loaders refuse or cannot do: the kernel for programs, glibc's or musl's loader for everything else.

Each rule names the release that it holds from or until, as read from the loaders' own sources (glibc 2.17 to 2.43, musl 1.2).
"""
