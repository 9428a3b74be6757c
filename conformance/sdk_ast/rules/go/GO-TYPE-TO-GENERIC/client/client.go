package client

import p "w/GO-TYPE-TO-GENERIC/old"

var _ p.T
