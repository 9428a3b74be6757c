import * as lib from "./old/index.js";
export const v: lib.E.A = lib.E.A;
