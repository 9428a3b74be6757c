__version__ = '2'
VERSION = '2'
