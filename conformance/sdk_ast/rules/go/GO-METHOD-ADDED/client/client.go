package client

import p "w/GO-METHOD-ADDED/old"

var _ p.T
