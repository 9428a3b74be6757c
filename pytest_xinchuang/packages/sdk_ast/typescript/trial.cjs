"use strict";
// Type-checks clients against an installed package, and prints the first complaint about each, a JSON line a client.
// Arguments: the directory of the `typescript` package; a directory with node_modules and client in it.
const fs = require("node:fs");
const path = require("node:path");

const [typescript, home] = process.argv.slice(2);
const ts = require(path.join(typescript, "lib", "typescript.js"));
const directory = path.join(home, "client");
const names = fs.readdirSync(directory);
const BASE = { strict: true, noEmit: true, types: [], skipLibCheck: true, esModuleInterop: true, allowJs: true, target: ts.ScriptTarget.ESNext };

check(names.filter((one) => /\.[cm]ts$/.test(one)), { module: ts.ModuleKind.Node16, moduleResolution: ts.ModuleResolutionKind.Node16 });
check(names.filter((one) => /[^cm]ts$/.test(one)), { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler });

function check(files, more) {
  if (!files.length) return;
  const program = ts.createProgram(files.map((one) => path.join(directory, one)), { ...BASE, ...more });
  for (const file of files) {
    const source = program.getSourceFile(path.join(directory, file));
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    const first = found.find((one) => one.category === ts.DiagnosticCategory.Error);
    if (!first) continue;
    const text = ts.flattenDiagnosticMessageText(first.messageText, " ").split(home).join("");
    process.stdout.write(JSON.stringify({ file, said: `TS${first.code}: ${text}` }) + "\n");
  }
}
