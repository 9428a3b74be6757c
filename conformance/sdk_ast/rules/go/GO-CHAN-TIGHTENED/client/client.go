package client

import p "w/GO-CHAN-TIGHTENED/old"

func _(t p.T) { t <- 1 }
