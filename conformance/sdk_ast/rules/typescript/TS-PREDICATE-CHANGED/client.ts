import * as lib from "./old/index.js";
export function u(a: unknown) { if (lib.f(a)) a.length; }
