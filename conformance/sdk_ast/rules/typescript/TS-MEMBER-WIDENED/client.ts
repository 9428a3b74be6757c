import * as lib from "./old/index.js";
export function u(i: lib.I): string { return i.a; }
