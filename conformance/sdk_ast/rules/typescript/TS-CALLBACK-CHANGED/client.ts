import * as lib from "./old/index.js";
lib.on((a: string) => void a);
