import * as lib from "./old/index.js";
export function u(a: lib.E): number { switch (a) { case lib.E.A: return 1; case lib.E.B: return 2; default: { const n: never = a; return n; } } }
