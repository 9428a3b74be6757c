package client

import p "w/GO-TYPE-REMOVED/old"

var _ p.T
