import * as lib from "./old/index.js";
export const s: string = lib.f("");
