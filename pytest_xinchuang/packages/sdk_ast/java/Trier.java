import java.io.*;
import java.lang.invoke.*;
import java.lang.reflect.*;
import java.net.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.regex.*;
import javax.tools.*;

/**
 * Compiles clients with two versions of a library, and links those of the old version with the new one. Nothing of the library is
 * run: references are resolved by the virtual machine's own linker, which method handles are made by (JVMS 5.4.3.5).
 *
 * <p>Arguments: the old class path, the new one, a directory with a directory of sources for each client, a directory for class
 * files, and the file for results: a line "client, old, source, binary" each, with "-" for what holds, "?" for what was not tried
 * and else the complaint.
 */
public class Trier {
    static final String HOLDS = "-", UNTRIED = "?";

    public static void main(String[] words) throws Exception {
        Path clients = Paths.get(words[2]), out = Paths.get(words[3]);
        TreeMap<String, List<Path>> files = new TreeMap<>();
        try (DirectoryStream<Path> all = Files.newDirectoryStream(clients)) {
            for (Path one : all) {
                List<Path> sources = new ArrayList<>();
                try (DirectoryStream<Path> below = Files.newDirectoryStream(one, "*.java")) {
                    below.forEach(sources::add);
                }
                files.put(one.getFileName().toString(), sources);
            }
        }
        Map<String, String> old = settled(files, words[0], out.resolve("old"));
        TreeMap<String, List<Path>> right = new TreeMap<>(files);
        right.keySet().removeAll(old.keySet());
        Map<String, String> now = right.isEmpty() ? Map.of() : settled(right, words[1], null);
        try (PrintWriter results = new PrintWriter(Files.newBufferedWriter(Paths.get(words[4]), StandardCharsets.UTF_8));
                Linker linker = new Linker(words[1], out.resolve("old"));
                Linker before = new Linker(words[0], out.resolve("old"))) {
            for (String client : files.keySet()) {
                if (old.containsKey(client)) {
                    line(results, client, old.get(client), UNTRIED, UNTRIED);
                    continue;
                }
                // What does not even link with the version that it was built with says nothing of the other.
                String binary = before.linked(client) == null ? linker.linked(client) : UNTRIED;
                String source = now.getOrDefault(client, HOLDS);
                binary = binary == null ? HOLDS : binary;
                // What needs a class of neither version, as of a dependency that is not here, was not tried.
                if (before.lacks(source) && linker.lacks(source)) source = UNTRIED;
                if (before.lacks(binary) && linker.lacks(binary)) binary = UNTRIED;
                if (source.equals(UNTRIED) && binary.equals(HOLDS)) binary = UNTRIED;
                if (binary.equals(UNTRIED) && source.equals(HOLDS)) source = UNTRIED;
                line(results, client, HOLDS, source, binary);
            }
        }
    }

    static void line(PrintWriter results, String... fields) {
        List<String> clean = new ArrayList<>();
        for (String field : fields) clean.add(field.replaceAll("\\s+", " "));
        results.println(String.join("\t", clean));
    }

    /** What javac says of each client that it refuses; classes of the others are written to a directory, if there is one. */
    static Map<String, String> settled(TreeMap<String, List<Path>> files, String classpath, Path out) throws IOException {
        Map<String, String> refused = new TreeMap<>();
        TreeMap<String, List<Path>> left = new TreeMap<>(files);
        // Syntax errors end a run before types are looked at, and errors of any kind before classes are written.
        while (!left.isEmpty()) {
            Map<String, String> said = compiled(left, classpath, out);
            if (said.isEmpty()) break;
            refused.putAll(said);
            left.keySet().removeAll(said.keySet());
        }
        return refused;
    }

    static Map<String, String> compiled(Map<String, List<Path>> files, String classpath, Path out) throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        Map<String, String> owner = new HashMap<>(), said = new TreeMap<>();
        List<File> sources = new ArrayList<>();
        files.forEach((client, paths) -> paths.forEach(path -> {
            owner.put(path.toUri().toString(), client);
            sources.add(path.toFile());
        }));
        List<String> options = new ArrayList<>(List.of("-cp", classpath, "-proc:none", "-implicit:none", "-nowarn", "-Xmaxerrs",
                "1000000", "-XDshould-stop.ifError=FLOW", "-encoding", "UTF-8"));
        if (out == null) {
            options.add("-XDshould-stop.ifNoError=FLOW");
        } else {
            Files.createDirectories(out);
            options.addAll(List.of("-d", out.toString()));
        }
        String[] lost = {null}, gone = {null};
        DiagnosticListener<JavaFileObject> listener = diagnostic -> {
            if (diagnostic.getKind() != Diagnostic.Kind.ERROR) return;
            String text = diagnostic.getMessage(Locale.ENGLISH);
            // A source of ours that is gone is a fault of this machine, and no client's.
            if (diagnostic.getCode().equals("compiler.err.error.reading.file")) gone[0] = text;
            String client = diagnostic.getSource() == null ? null : owner.get(diagnostic.getSource().toUri().toString());
            if (client != null) said.putIfAbsent(client, text);
            else lost[0] = text;
        };
        try (StandardJavaFileManager manager = compiler.getStandardFileManager(listener, Locale.ENGLISH, StandardCharsets.UTF_8)) {
            boolean right = compiler.getTask(null, manager, listener, options, null, manager.getJavaFileObjectsFromFiles(sources)).call();
            if (gone[0] != null) throw new IOException(gone[0]);
            if (!right && said.isEmpty()) throw new IOException("javac failed without a place: " + lost[0]);
        }
        return said;
    }

    /** Loads classes of clients with a version of the library. */
    static class Linker implements Closeable {
        static final Pattern MISSING = Pattern.compile("class file for (\\S+) not found"
                + "|^(?:NoClassDefFoundError|ClassNotFoundException): ([\\w/.$]+)$"
                + "|^TypeNotPresentException: Type (\\S+) not present");
        final Path classes;
        final URLClassLoader loader;

        Linker(String classpath, Path classes) throws IOException {
            this.classes = classes;
            List<URL> urls = new ArrayList<>();
            urls.add(classes.toUri().toURL());
            for (String part : classpath.split(File.pathSeparator)) urls.add(Paths.get(part).toUri().toURL());
            loader = new URLClassLoader(urls.toArray(new URL[0]), ClassLoader.getPlatformClassLoader());
        }

        @Override public void close() throws IOException {
            loader.close();
        }

        /** Whether a complaint is of a class that is not there, and that this version of the library has not either. */
        boolean lacks(String said) {
            Matcher missing = MISSING.matcher(said);
            if (!missing.find()) return false;
            String name = (missing.group(1) != null ? missing.group(1) : missing.group(2) != null ? missing.group(2) : missing.group(3)).replace('.', '/');
            for (String tried = name; ; tried = tried.substring(0, tried.lastIndexOf('/')) + "$" + tried.substring(tried.lastIndexOf('/') + 1)) {
                if (loader.getResource(tried + ".class") != null) return false;
                if (tried.lastIndexOf('/') < 0) return true;
            }
        }

        /** What the virtual machine refuses of a client; null: nothing. */
        String linked(String client) throws IOException {
            Path directory = classes.resolve(client);
            if (!Files.isDirectory(directory)) return null;
            List<Path> found = new ArrayList<>();
            try (DirectoryStream<Path> all = Files.newDirectoryStream(directory, "*.class")) {
                all.forEach(found::add);
            }
            Collections.sort(found);
            for (Path file : found) {
                String name = client + "." + file.getFileName().toString().replace(".class", "");
                try {
                    Class<?> loaded = Class.forName(name, false, loader);
                    loaded.getDeclaredMethods(); // links, and so verifies
                    new References(Files.readAllBytes(file), loaded).resolve();
                } catch (LinkageError | ReflectiveOperationException | TypeNotPresentException refused) {
                    Throwable cause = refused;
                    while (cause.getCause() != null) cause = cause.getCause();
                    return cause.getClass().getSimpleName() + ": " + String.valueOf(cause.getMessage()).replaceAll(", from .*", "");
                }
            }
            return null;
        }
    }

    /** The references of a class to others (JVMS 4.4), with the instructions that use them. */
    static class References {
        final Object[] pool;
        final Map<Integer, Integer> uses = new TreeMap<>();
        final Class<?> owner;
        final MethodHandles.Lookup lookup;

        References(byte[] data, Class<?> owner) throws IOException, IllegalAccessException {
            this.owner = owner;
            lookup = MethodHandles.privateLookupIn(owner, MethodHandles.lookup());
            DataInputStream in = new DataInputStream(new ByteArrayInputStream(data));
            in.skipBytes(8);
            pool = new Object[in.readUnsignedShort()];
            for (int i = 1; i < pool.length; i++) {
                int tag = in.readUnsignedByte();
                switch (tag) {
                    case 1: pool[i] = in.readUTF(); break;
                    case 3: case 4: in.readInt(); break;
                    case 5: case 6: in.readLong(); i++; break;
                    case 7: case 8: case 16: case 19: case 20: pool[i] = new int[] {tag, in.readUnsignedShort()}; break;
                    case 15: pool[i] = new int[] {tag, in.readUnsignedByte(), in.readUnsignedShort()}; break;
                    default: pool[i] = new int[] {tag, in.readUnsignedShort(), in.readUnsignedShort()};
                }
            }
            in.skipBytes(6);
            in.skipBytes(2 * in.readUnsignedShort());
            for (int members = 0; members < 2; members++) {
                for (int count = in.readUnsignedShort(); count > 0; count--) {
                    in.skipBytes(6);
                    for (int attributes = in.readUnsignedShort(); attributes > 0; attributes--) {
                        Object name = pool[in.readUnsignedShort()];
                        byte[] body = in.readNBytes(in.readInt());
                        if ("Code".equals(name)) scan(body);
                    }
                }
            }
        }

        /** Notes the references of a method's instructions; lengths are those of JVMS 6.5. */
        void scan(byte[] body) {
            int length = u4(body, 4), start = 8;
            for (int at = 0; at < length; ) {
                int code = body[start + at] & 0xff;
                if (code >= 178 && code <= 185) uses.put(code << 16 | u2(body, start + at + 1), code);
                int size = 1;
                if (code == 170 || code == 171) {
                    int aligned = (at + 4) & ~3;
                    int low = u4(body, start + aligned + 4), high = u4(body, start + aligned + 8);
                    size = aligned - at + (code == 170 ? 12 + 4 * (high - low + 1) : 8 + 8 * low);
                } else if (code == 196) {
                    size = (body[start + at + 1] & 0xff) == 132 ? 6 : 4;
                } else if (code == 16 || code == 18 || code >= 21 && code <= 25 || code >= 54 && code <= 58 || code == 169 || code == 188) {
                    size = 2;
                } else if (code == 17 || code == 19 || code == 20 || code == 132 || code >= 153 && code <= 168 || code >= 178 && code <= 184
                        || code == 187 || code == 189 || code == 192 || code == 193 || code == 198 || code == 199) {
                    size = 3;
                } else if (code == 185 || code == 186 || code == 200 || code == 201) {
                    size = 5;
                } else if (code == 197) {
                    size = 4;
                }
                at += size;
            }
        }

        static int u2(byte[] b, int at) {
            return (b[at] & 0xff) << 8 | b[at + 1] & 0xff;
        }

        static int u4(byte[] b, int at) {
            return u2(b, at) << 16 | u2(b, at + 2);
        }

        void resolve() throws ReflectiveOperationException {
            for (Object entry : pool) {
                if (entry instanceof int[] && ((int[]) entry)[0] == 7) {
                    lookup.accessClass(element(named((int[]) entry)));
                }
            }
            // Handles of method references: JVMS table 5.4.3.5-A, as the instructions that do the same.
            int[] same = {0, 180, 178, 181, 179, 182, 184, 183, 183, 185};
            for (Object entry : pool) {
                if (entry instanceof int[] && ((int[]) entry)[0] == 15) {
                    int[] handle = (int[]) entry;
                    uses.put(same[handle[1]] << 16 | handle[2], same[handle[1]]);
                }
            }
            for (Map.Entry<Integer, Integer> use : uses.entrySet()) one(use.getValue(), (int[]) pool[use.getKey() & 0xffff]);
        }

        static Class<?> element(Class<?> type) {
            while (type.isArray()) type = type.getComponentType();
            return type;
        }

        Class<?> named(int[] entry) throws ClassNotFoundException {
            return Class.forName(((String) pool[entry[1]]).replace('/', '.'), false, owner.getClassLoader());
        }

        void one(int code, int[] reference) throws ReflectiveOperationException {
            Class<?> of = named((int[]) pool[reference[1]]);
            int[] both = (int[]) pool[reference[2]];
            String name = (String) pool[both[1]], descriptor = (String) pool[both[2]];
            if (of.isArray()) return;
            if (code < 182) {
                Class<?> type = MethodType.fromMethodDescriptorString("()" + descriptor, owner.getClassLoader()).returnType();
                boolean own = of == owner; // a constructor may write its own final fields
                if (code == 178) lookup.findStaticGetter(of, name, type);
                else if (code == 179 && !own) lookup.findStaticSetter(of, name, type);
                else if (code == 180) lookup.findGetter(of, name, type);
                else if (code == 181 && !own) lookup.findSetter(of, name, type);
                return;
            }
            MethodType type = MethodType.fromMethodDescriptorString(descriptor, owner.getClassLoader());
            boolean asInterface = reference[0] == 11;
            if (asInterface != of.isInterface()) {
                throw new IncompatibleClassChangeError(of.getName() + (asInterface ? " is no interface" : " is an interface"));
            }
            if (name.equals("<init>")) constructor(of, type);
            else if (code == 184) lookup.findStatic(of, name, type);
            else if (code == 183) lookup.findSpecial(of, name, type, owner);
            else lookup.findVirtual(of, name, type);
        }

        void constructor(Class<?> of, MethodType type) throws ReflectiveOperationException {
            if (of == owner.getSuperclass()) {
                int flags = of.getDeclaredConstructor(type.parameterArray()).getModifiers();
                boolean near = of.getPackageName().equals(owner.getPackageName());
                if (!Modifier.isPublic(flags) && !Modifier.isProtected(flags) && (!near || Modifier.isPrivate(flags))) {
                    throw new IllegalAccessException("the constructor of " + of.getName() + " is not accessible");
                }
                return;
            }
            if (Modifier.isAbstract(of.getModifiers())) throw new InstantiationException(of.getName() + " is abstract");
            lookup.findConstructor(of, type);
        }
    }
}
