"""C++ headers and the libraries beside them: read, compared, and judged by clients."""
