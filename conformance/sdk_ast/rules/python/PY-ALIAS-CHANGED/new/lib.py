from posixpath import join as f
__all__ = ['f']
