from old import lib

from old.lib import *
f()
