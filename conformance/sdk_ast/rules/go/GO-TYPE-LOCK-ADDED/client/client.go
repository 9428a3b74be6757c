package client

import p "w/GO-TYPE-LOCK-ADDED/old"

func _(t p.T) { u := t; _ = u }
