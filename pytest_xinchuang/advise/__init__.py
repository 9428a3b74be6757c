"""What stops a port, from the source: compilers, linkers and build tools decide, for x86-64 and for each platform.

A survey knows one language or one kind of build. It says for each platform how much of its part of the tree it judged, and what
stops it. What fails on x86-64 too is not judged; nothing that is dead on the platform is a finding.
"""
