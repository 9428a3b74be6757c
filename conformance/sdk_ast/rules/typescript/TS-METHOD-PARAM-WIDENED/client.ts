import * as lib from "./old/index.js";
export class K implements lib.I { m(a: string) {} }
