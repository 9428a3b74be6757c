package client

import p "w/GO-FUNC-TO-VAR/old"

func _() { p.F(1); f := p.F; f(2) }
