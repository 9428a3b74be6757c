import * as lib from "./old/index.js";
export const a: string = lib.f();
