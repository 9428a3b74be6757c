package client

import p "w/GO-PKG-NAME-CHANGED/old"

import "w/GO-PKG-NAME-CHANGED/old/extra"

var _ p.T = extra.E
