package client

import p "w/GO-METHOD-TO-FIELD/old"

var _ interface{ M() } = p.T{}
