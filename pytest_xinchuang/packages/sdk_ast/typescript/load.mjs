// Loads one entry as a program does, and prints what it exports. It stands in a directory that the package is installed for.
import { createRequire } from "node:module";

const [mode, specifier] = process.argv.slice(2);
let said;
try {
  const found = mode === "import" ? await import(specifier) : createRequire(import.meta.url)(specifier);
  const whole = found !== null && (typeof found === "object" || typeof found === "function");
  said = { names: whole ? Object.keys(found) : [] };
} catch (error) {
  said = { why: String(error).split("\n")[0] };
}
process.stdout.write("\n" + JSON.stringify(said) + "\n", () => process.exit(0));
