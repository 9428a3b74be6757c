import java.io.*;
import java.lang.reflect.InvocationTargetException;
import java.net.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.stream.*;
import javax.tools.*;

/** Finds what is true of cases: arguments are directories with old/, new/ and client/; a line of what it found for each. */
public class Truth {
    public static void main(String[] cases) throws Exception {
        PrintStream out = System.out;
        for (String one : cases) {
            Path root = Paths.get(one);
            String said = compiled(root.resolve("old"), null) + compiled(root.resolve("new"), null);
            if (said.isEmpty()) said = compiled(root.resolve("client"), root.resolve("old.classes"));
            if (!said.isEmpty()) {
                out.println("unsound " + said.replaceAll("\\s+", " "));
                continue;
            }
            String before = run(root, "old");
            List<String> found = new ArrayList<>();
            String after = run(root, "new");
            Path twin = Files.createDirectories(root.resolve("again"));
            if (!compile(root.resolve("client"), root.resolve("new.classes"), twin).isEmpty()) found.add("source");
            if (after.startsWith("linkage")) found.add("binary");
            else if (!after.equals(before)) found.add("behaviour");
            out.println(before.startsWith("linkage") ? "unsound " + before : "truth " + String.join(" ", found));
        }
    }

    static String compiled(Path sources, Path classpath) throws IOException {
        return compile(sources, classpath, Files.createDirectories(sources.resolveSibling(sources.getFileName() + ".classes")));
    }

    static String compile(Path sources, Path classpath, Path out) throws IOException {
        List<String> words = new ArrayList<>(List.of("-nowarn", "-proc:none", "-d", out.toString()));
        if (classpath != null) words.addAll(List.of("-cp", classpath.toString()));
        try (Stream<Path> all = Files.walk(sources)) {
            all.filter(p -> p.toString().endsWith(".java")).forEach(p -> words.add(p.toString()));
        }
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        int code = ToolProvider.getSystemJavaCompiler().run(null, said, said, words.toArray(new String[0]));
        return code == 0 ? "" : "refused: " + said;
    }

    static String run(Path root, String side) throws Exception {
        URL[] path = {root.resolve(side + ".classes").toUri().toURL(), root.resolve("client.classes").toUri().toURL()};
        PrintStream kept = System.out;
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        System.setOut(new PrintStream(said, true, StandardCharsets.UTF_8));
        try (URLClassLoader loader = new URLClassLoader(path, ClassLoader.getPlatformClassLoader())) {
            loader.loadClass("client.Use").getMethod("main", String[].class).invoke(null, (Object) new String[0]);
            return "ended " + said;
        } catch (InvocationTargetException thrown) {
            return (thrown.getCause() instanceof LinkageError ? "linkage " : "threw ") + thrown.getCause();
        } catch (LinkageError refused) {
            return "linkage " + refused;
        } finally {
            System.setOut(kept);
        }
    }
}
