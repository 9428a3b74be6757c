package client

import p "w/GO-METHOD-POINTER-RECEIVER/old"

var _ interface{ M() } = p.T{}
