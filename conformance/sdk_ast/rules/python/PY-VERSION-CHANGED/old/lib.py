__version__ = '1'
VERSION = '1'
