"""C and C++: Conan's locks and sources, and vcpkg's manifests and ports."""
