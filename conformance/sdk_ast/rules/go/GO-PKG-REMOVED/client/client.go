package client

import p "w/GO-PKG-REMOVED/old"

import "w/GO-PKG-REMOVED/old/extra"

var _ p.T = extra.E
