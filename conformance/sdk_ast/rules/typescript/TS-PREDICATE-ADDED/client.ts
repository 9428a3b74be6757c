import * as lib from "./old/index.js";
export const b: boolean = lib.f(1);
