"use strict";
// Reads the declarations that an npm package delivers, as its consumers' compiler resolves them, and prints JSON lines.
// Arguments: the directory of the `typescript` package; a directory with node_modules/NAME in it; NAME.
const fs = require("node:fs");
const path = require("node:path");
const { entriesOf } = require("./entries.cjs");
const { Trees } = require("./trees.cjs");

const [typescript, home, name] = process.argv.slice(2);
const ts = require(path.join(typescript, "lib", "typescript.js"));
const root = fs.realpathSync(path.join(home, "node_modules", name));
const manifest = readManifest(path.join(root, "package.json"));

const OPTIONS = {
  strict: true, noEmit: true, allowJs: true, maxNodeModuleJsDepth: 2, types: [], esModuleInterop: true,
  target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.Node16, moduleResolution: ts.ModuleResolutionKind.Node16,
};

function write(record) {
  process.stdout.write(JSON.stringify(record) + "\n");
}

function readManifest(file) {
  if (!fs.existsSync(file)) return null;
  try {
    const found = JSON.parse(fs.readFileSync(file, "utf8").replace(/^\ufeff/, ""));
    if (found && typeof found === "object" && !Array.isArray(found)) return found;
    throw new Error("it is no object");
  } catch (error) {
    write({ fault: "manifest", why: error.message });
    process.exit(0);
  }
}

const entries = entriesOf(ts, OPTIONS, home, root, name, manifest);
const files = [...new Set(entries.flatMap((entry) => (entry.file ? [entry.file] : [])))];
const program = ts.createProgram(files, OPTIONS);
const checker = program.getTypeChecker();

// What every export of every entry is called by: a type that can be named is named, and the others are written out.
const named = new Map();
for (const entry of entries) collect(moduleOf(entry), entry.path, "", new Set());

function moduleOf(entry) {
  const source = entry.file && program.getSourceFile(entry.file);
  return source && checker.getSymbolAtLocation(source);
}

function target(symbol) {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

function exported(module) {
  const found = checker.getExportsOfModule(module).filter((one) => one.escapedName !== "export=");
  const whole = module.exports && module.exports.get("export=");
  return [...(whole ? [["export=", whole]] : []), ...found.map((one) => [ts.unescapeLeadingUnderscores(one.escapedName), one])];
}

function isNamespace(symbol) {
  return !!(symbol.flags & (ts.SymbolFlags.NamespaceModule | ts.SymbolFlags.ValueModule));
}

function collect(module, place, prefix, seen) {
  if (!module || seen.has(module)) return;
  seen.add(module);
  for (const [key, symbol] of exported(module)) {
    const found = target(symbol);
    const at = prefix + key;
    const known = named.get(found);
    if (!known || known.n.split(".").length > at.split(".").length) named.set(found, { e: place, n: at });
    if (isNamespace(found)) collect(found, place, at + ".", seen);
  }
  seen.delete(module);
}

const trees = new Trees(ts, program, checker, named, root);

function describe(entry, module, prefix, seen) {
  if (!module || seen.has(module) || seen.size > 6) return;
  seen.add(module);
  for (const [key, symbol] of exported(module)) {
    const found = target(symbol);
    write({ entry: entry.path, mode: entry.mode, name: prefix + key, symbol: trees.symbol(found, symbol) });
    if (isNamespace(found)) describe(entry, found, prefix + key + ".", seen);
  }
  seen.delete(module);
}

write({ manifest: manifest || {}, entries, typescript: ts.version });
for (const entry of entries) {
  const module = moduleOf(entry);
  if (module) describe(entry, module, "", new Set());
}
for (const file of files) {
  for (const source of [program.getSourceFile(file)]) {
    for (const problem of source ? program.getSyntacticDiagnostics(source) : []) tell(problem, "syntax");
  }
}
const { leastVersion } = require("./language.cjs");
let language = "";
for (const source of program.getSourceFiles()) {
  if (!source.fileName.startsWith(root) || program.isSourceFileDefaultLibrary(source)) continue;
  augmentations(source);
  if (source.isDeclarationFile) language = leastVersion(ts, source, language);
  if (!files.includes(source.fileName)) for (const problem of program.getSyntacticDiagnostics(source)) tell(problem, "syntax");
  if (/\.[cm]?tsx?$/.test(source.fileName)) {
    const missing = program.getSemanticDiagnostics(source).filter((one) => [2307, 2688, 7016, 2792].includes(one.code));
    for (const problem of missing) tell(problem, "missing");
  }
}

write({ language });

function tell(problem, what) {
  const line = problem.file && problem.file.getLineAndCharacterOfPosition(problem.start || 0).line + 1;
  write({
    problem: what, line: line || null, file: problem.file ? path.relative(root, problem.file.fileName) : "",
    why: ts.flattenDiagnosticMessageText(problem.messageText, " ").split("\n")[0],
  });
}

// What a package adds to other modules and to the global scope is its API, too.
function augmentations(source) {
  const whole = source.statements.filter((one) => ts.isModuleDeclaration(one));
  const scripts = ts.isExternalModule(source) ? [] : source.statements.filter((one) => !ts.isModuleDeclaration(one));
  for (const one of whole) {
    const global = !!(one.flags & ts.NodeFlags.GlobalAugmentation);
    if (!global && !ts.isStringLiteral(one.name)) {
      if (!ts.isExternalModule(source)) globals(one, "global");
    } else if (one.body) for (const part of one.body.statements) globals(part, global ? "global" : one.name.text);
  }
  for (const one of scripts) globals(one, "global");
}

function globals(statement, scope) {
  const nodes = ts.isVariableStatement(statement) ? statement.declarationList.declarations : [statement];
  for (const node of nodes) {
    const symbol = node.name && checker.getSymbolAtLocation(node.name);
    if (!symbol) continue;
    const members = ts.isInterfaceDeclaration(node) ? node.members : [];
    const symbols = members.map((m) => m.name && checker.getSymbolAtLocation(m.name)).filter(Boolean);
    write({ augments: scope, name: symbol.name, symbol: trees.augmentation(symbol, symbols) });
  }
}
