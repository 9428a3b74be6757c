package client

import p "w/GO-CHAN-LOOSENED/old"

func _(t p.T) int { return <-t }
