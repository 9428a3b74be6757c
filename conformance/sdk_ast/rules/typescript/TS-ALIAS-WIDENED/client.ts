import * as lib from "./old/index.js";
export function u(a: lib.A): number { switch (a) { case "a": return 1; case "b": return 2; default: { const n: never = a; return n; } } }
