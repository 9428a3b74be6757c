import * as lib from "./old/index.js";
export const s: string | undefined = lib.v;
