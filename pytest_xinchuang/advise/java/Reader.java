// Reads sources of Java by javac's own parser, and compiles those that ask for os.arch.
//
// java Reader.java ORDERS OUT: ORDERS has lines "root DIR", "file NAME", "jar NAME", "classes DIR", "harness FILE"; to OUT goes a
// line for each fact, fields apart by tabs:
//   read FILE | broken FILE
//   load FILE LINE LIBRARY guarded|open
//   native FILE LINE CLASS.METHOD
//   decide FILE LINE END refuses|open NAME...
//   unsure FILE LINE END                   it looks something up by os.arch, or refuses something by it, and names no machine
//   method FILE LINE END CLASS METHOD      a static method without parameters that asks; METHOD "<clinit>" for a class's own start
//   throw FILE LINE END
//   compiled FILE

import com.sun.source.tree.*;
import com.sun.source.util.*;
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import javax.tools.*;

public class Reader {
    static PrintStream out;

    static void say(Object... fields) {
        StringBuilder line = new StringBuilder();
        for (Object field : fields) {
            if (line.length() > 0) line.append('\t');
            line.append(String.valueOf(field).replace('\t', ' ').replace('\n', ' ').replace('\r', ' '));
        }
        out.println(line);
    }

    public static void main(String[] words) throws Exception {
        out = new PrintStream(new FileOutputStream(words[1]), true, StandardCharsets.UTF_8);
        Path root = null;
        String classes = null, harness = null;
        List<String> files = new ArrayList<>(), jars = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(words[0]))) {
            String[] parts = line.split(" ", 2);
            switch (parts[0]) {
                case "root" -> root = Path.of(parts[1]);
                case "file" -> files.add(parts[1]);
                case "jar" -> jars.add(parts[1]);
                case "classes" -> classes = parts[1];
                case "harness" -> harness = parts[1];
            }
        }
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        Set<String> sourceRoots = new LinkedHashSet<>();
        List<String> asking = new ArrayList<>();
        try (StandardJavaFileManager manager = compiler.getStandardFileManager(d -> {}, null, StandardCharsets.UTF_8)) {
            for (String name : files) {
                boolean[] broken = {false};
                DiagnosticListener<JavaFileObject> listener =
                    d -> broken[0] |= d.getKind() == Diagnostic.Kind.ERROR;
                try {
                    JavacTask task = (JavacTask) compiler.getTask(Writer.nullWriter(), manager, listener,
                        List.of("-proc:none"), null, manager.getJavaFileObjects(root.resolve(name).toFile()));
                    for (CompilationUnitTree unit : task.parse()) {
                        if (broken[0]) break;
                        Unit read = new Unit(name, unit, Trees.instance(task));
                        read.scan(unit, null);
                        if (read.asks) {
                            asking.add(name);
                            sourceRoots.add(rootOf(root.resolve(name), unit));
                        }
                    }
                } catch (RuntimeException | Error error) {
                    broken[0] = true;
                }
                say(broken[0] ? "broken" : "read", name);
            }
            if (classes == null) return;
            String path = String.join(File.pathSeparator, jars);
            List<String> options = new ArrayList<>(List.of("-proc:none", "-implicit:class", "-nowarn", "-d", classes, "-g"));
            options.addAll(List.of("-sourcepath", String.join(File.pathSeparator, sourceRoots), "-cp", path.isEmpty() ? classes : path));
            for (String name : asking) {
                boolean done = false;
                try {
                    done = compiler.getTask(Writer.nullWriter(), manager, d -> {}, options, null,
                        manager.getJavaFileObjects(root.resolve(name).toFile())).call();
                } catch (RuntimeException | Error error) {
                    done = false;
                }
                if (done) say("compiled", name);
            }
            compiler.getTask(Writer.nullWriter(), manager, d -> {}, List.of("-proc:none", "-d", classes), null,
                manager.getJavaFileObjects(new File(harness))).call();
        }
    }

    static String rootOf(Path file, CompilationUnitTree unit) {
        Path here = file.getParent();
        if (unit.getPackageName() != null) {
            for (String ignored : unit.getPackageName().toString().split("\\.")) {
                if (here.getParent() != null) here = here.getParent();
            }
        }
        return here.toString();
    }

    static class Unit extends TreePathScanner<Void, Void> {
        final String name;
        final CompilationUnitTree unit;
        final SourcePositions places;
        final Set<String> asking = new HashSet<>();
        boolean asks;
        int guards;

        Unit(String name, CompilationUnitTree unit, Trees trees) {
            this.name = name;
            this.unit = unit;
            this.places = trees.getSourcePositions();
            for (int again = 0; again < 3; again++) new Asking().scan(unit, null);
        }

        long line(Tree tree) {
            long at = places.getStartPosition(unit, tree);
            return at < 0 ? 1 : unit.getLineMap().getLineNumber(at);
        }

        long end(Tree tree) {
            long at = places.getEndPosition(unit, tree);
            return at < 0 ? line(tree) : unit.getLineMap().getLineNumber(at);
        }

        static String last(Tree tree) {
            if (tree instanceof IdentifierTree identifier) return identifier.getName().toString();
            if (tree instanceof MemberSelectTree select) return select.getIdentifier().toString();
            return "";
        }

        static String literal(Tree tree) {
            return tree instanceof LiteralTree l && l.getValue() instanceof String s ? s : null;
        }

        boolean isSource(Tree tree) {
            if (tree instanceof MethodInvocationTree call) {
                String called = last(call.getMethodSelect());
                if (call.getMethodSelect().toString().matches("(com\\.sun\\.jna\\.)?Platform\\.is(Intel|ARM|64Bit)")) return true;
                if (called.equals("getProperty") || called.equals("get")) {
                    return !call.getArguments().isEmpty() && "os.arch".equals(literal(call.getArguments().get(0)));
                }
                return asking.contains(called) && call.getArguments().isEmpty();
            }
            if (tree instanceof IdentifierTree || tree instanceof MemberSelectTree) {
                String said = last(tree);
                return said.equals("OS_ARCH") || tree.toString().matches("(com\\.sun\\.jna\\.)?Platform\\.ARCH") || asking.contains(said);
            }
            return false;
        }

        boolean asks(Tree tree) {
            boolean[] found = {false};
            if (tree != null) {
                new TreeScanner<Void, Void>() {
                    @Override public Void scan(Tree below, Void nothing) {
                        if (below != null && isSource(below)) found[0] = true;
                        return found[0] ? null : super.scan(below, nothing);
                    }
                }.scan(tree, null);
            }
            return found[0];
        }

        class Asking extends TreeScanner<Void, Void> {
            @Override public Void visitVariable(VariableTree node, Void nothing) {
                if (asks(node.getInitializer())) asking.add(node.getName().toString());
                return super.visitVariable(node, nothing);
            }

            @Override public Void visitAssignment(AssignmentTree node, Void nothing) {
                if (asks(node.getExpression())) asking.add(last(node.getVariable()));
                return super.visitAssignment(node, nothing);
            }

            @Override public Void visitMethod(MethodTree node, Void nothing) {
                if (node.getParameters().isEmpty() && node.getReturnType() != null && asks(node.getBody())) {
                    asking.add(node.getName().toString());
                }
                return super.visitMethod(node, nothing);
            }
        }

        String className() {
            Deque<String> names = new ArrayDeque<>();
            for (TreePath at = getCurrentPath(); at != null; at = at.getParentPath()) {
                if (at.getLeaf() instanceof ClassTree c) names.addFirst(c.getSimpleName().toString());
            }
            String within = String.join("$", names);
            return unit.getPackageName() == null ? within : unit.getPackageName() + "." + within;
        }

        @Override public Void visitClass(ClassTree node, Void nothing) {
            for (Tree member : node.getMembers()) {
                boolean start = member instanceof BlockTree block && block.isStatic()
                    || member instanceof VariableTree v && v.getModifiers().getFlags().contains(javax.lang.model.element.Modifier.STATIC);
                if (start && asks(member)) {
                    asks = true;
                    TreePath before = getCurrentPath();
                    say("method", name, line(member), end(member), className(), "<clinit>");
                    decide(member);
                }
            }
            return super.visitClass(node, nothing);
        }

        @Override public Void visitMethod(MethodTree node, Void nothing) {
            var flags = node.getModifiers().getFlags();
            if (flags.contains(javax.lang.model.element.Modifier.NATIVE)) {
                say("native", name, line(node), className() + "." + node.getName());
            }
            if (asks(node.getBody())) {
                asks = true;
                if (flags.contains(javax.lang.model.element.Modifier.STATIC) && node.getParameters().isEmpty()) {
                    say("method", name, line(node), end(node), className(), node.getName());
                }
                decide(node);
            }
            return super.visitMethod(node, nothing);
        }

        /** What finds something, or nothing, by a name. */
        static final Set<String> LOOKS = Set.of("get", "containsKey", "contains", "valueOf", "forName", "load", "loadLibrary",
            "getResource", "getResourceAsStream", "resolve");

        void decide(Tree tree) {
            Set<String> names = new TreeSet<>();
            boolean[] refuses = {false}, looked = {false};
            new TreeScanner<Void, Void>() {
                @Override public Void visitMethodInvocation(MethodInvocationTree call, Void none) {
                    if (call.getMethodSelect() instanceof MemberSelectTree select) {
                        String how = select.getIdentifier().toString();
                        if (Set.of("equals", "equalsIgnoreCase", "startsWith", "contains", "matches", "endsWith").contains(how)
                            && call.getArguments().size() == 1) {
                            String given = literal(call.getArguments().get(0)), turned = literal(select.getExpression());
                            if (given != null && asks(select.getExpression())) names.add(given);
                            if (turned != null && asks(call.getArguments().get(0))) names.add(turned);
                        }
                    }
                    looked[0] |= LOOKS.contains(last(call.getMethodSelect()))
                        && call.getArguments().stream().anyMatch(Unit.this::asks);
                    return super.visitMethodInvocation(call, none);
                }

                @Override public Void visitSwitch(SwitchTree node, Void none) {
                    if (asks(node.getExpression())) cases(node.getCases());
                    return super.visitSwitch(node, none);
                }

                @Override public Void visitSwitchExpression(SwitchExpressionTree node, Void none) {
                    if (asks(node.getExpression())) cases(node.getCases());
                    return super.visitSwitchExpression(node, none);
                }

                void cases(List<? extends CaseTree> all) {
                    for (CaseTree one : all) {
                        for (ExpressionTree label : one.getExpressions()) {
                            if (literal(label) != null) names.add(literal(label));
                        }
                    }
                }

                @Override public Void visitThrow(ThrowTree node, Void none) {
                    refuses[0] = true;
                    return super.visitThrow(node, none);
                }
            }.scan(tree, null);
            if (!names.isEmpty()) {
                List<Object> fields = new ArrayList<>(List.of("decide", name, line(tree), end(tree), refuses[0] ? "refuses" : "open"));
                fields.addAll(names);
                say(fields.toArray());
            } else if (refuses[0] || looked[0]) {
                say("unsure", name, line(tree), end(tree));
            }
        }

        @Override public Void visitThrow(ThrowTree node, Void nothing) {
            say("throw", name, line(node), end(node));
            return super.visitThrow(node, nothing);
        }

        @Override public Void visitTry(TryTree node, Void nothing) {
            boolean catches = false;
            for (CatchTree one : node.getCatches()) {
                String type = one.getParameter().getType().toString();
                catches |= type.matches("(?s).*(Throwable|Error|Exception).*");
            }
            scan(node.getResources(), nothing);
            guards += catches ? 1 : 0;
            scan(node.getBlock(), nothing);
            guards -= catches ? 1 : 0;
            guards++;
            scan(node.getCatches(), nothing);
            guards--;
            scan(node.getFinallyBlock(), nothing);
            return null;
        }

        @Override public Void visitIf(IfTree node, Void nothing) {
            boolean chosen = asks(node.getCondition());
            scan(node.getCondition(), nothing);
            guards += chosen ? 1 : 0;
            scan(node.getThenStatement(), nothing);
            scan(node.getElseStatement(), nothing);
            guards -= chosen ? 1 : 0;
            return null;
        }

        @Override public Void visitMethodInvocation(MethodInvocationTree call, Void nothing) {
            String called = call.getMethodSelect().toString();
            if (!call.getArguments().isEmpty()) {
                String given = literal(call.getArguments().get(0));
                boolean jna = called.matches("(com\\.sun\\.jna\\.)?Native\\.(load|loadLibrary|register)");
                boolean own = called.matches("(java\\.lang\\.)?(System|Runtime\\.getRuntime\\(\\))\\.loadLibrary");
                boolean path = called.matches("(java\\.lang\\.)?(System|Runtime\\.getRuntime\\(\\))\\.load");
                String library = given == null ? null : own || jna ? "lib" + given + ".so" : path ? given : null;
                if (library != null) say("load", name, line(call), library, guards > 0 ? "guarded" : "open");
            }
            return super.visitMethodInvocation(call, nothing);
        }
    }
}
