package client

import p "w/GO-PKG-ADDED/old"

var _ p.T
