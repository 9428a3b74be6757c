from os.path import join as f
__all__ = ['f']
