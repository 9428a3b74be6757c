import * as lib from "./old/index.js";
export type U = lib.I<string>;
