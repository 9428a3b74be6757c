import * as lib from "./old/index.js";
export function u(i: lib.I): lib.B { return i; }
