package client

import p "w/GO-DEFINED-TO-ALIAS/old"

func _(x any) {
	switch x.(type) {
	case string:
	case p.D:
	}
}
