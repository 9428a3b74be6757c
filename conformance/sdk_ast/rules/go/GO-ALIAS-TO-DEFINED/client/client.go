package client

import p "w/GO-ALIAS-TO-DEFINED/old"

var i int; var _ p.A = i
