"use strict";
// The oldest TypeScript that can parse a file of declarations (its release notes, version by version).

function leastVersion(ts, source, known) {
  let least = known;
  const needs = (version) => {
    if (compare(version, least) > 0) least = version;
  };
  const visit = (node) => {
    const K = ts.SyntaxKind;
    if (ts.isTypePredicateNode(node) && node.assertsModifier) needs("3.7");
    if (ts.isAccessor(node)) needs("3.6");
    if (ts.isNamedTupleMember(node)) needs("4.0");
    if (ts.isTemplateLiteralTypeNode(node)) needs("4.1");
    if (ts.isMappedTypeNode(node) && node.nameType) needs("4.1");
    if (ts.isTypeParameterDeclaration(node)) {
      const words = (node.modifiers || []).map((one) => one.kind);
      if (words.includes(K.InKeyword) || words.includes(K.OutKeyword)) needs("4.7");
      if (words.includes(K.ConstKeyword)) needs("5.0");
      if (node.parent && ts.isInferTypeNode(node.parent) && node.constraint) needs("4.7");
    }
    if (ts.isPropertyDeclaration(node) && (node.modifiers || []).some((one) => one.kind === K.AccessorKeyword)) needs("4.9");
    if (ts.isImportDeclaration(node) && node.importClause && node.importClause.isTypeOnly) needs("3.8");
    if (ts.isExportDeclaration(node)) {
      if (node.isTypeOnly) needs(node.exportClause && ts.isNamedExports(node.exportClause) ? "3.8" : "5.0");
      if (node.exportClause && ts.isNamespaceExport(node.exportClause)) needs("3.8");
    }
    if ((ts.isImportSpecifier(node) || ts.isExportSpecifier(node)) && node.isTypeOnly) needs("4.5");
    if (ts.isImportTypeNode(node) && node.attributes) needs("5.3");
    ts.forEachChild(node, visit);
  };
  visit(source);
  return least;
}

function compare(one, other) {
  const [a, b] = [one, other].map((text) => text.split(".").map(Number));
  return a[0] - (b[0] || 0) || (a[1] || 0) - (b[1] || 0);
}

module.exports = { leastVersion };
