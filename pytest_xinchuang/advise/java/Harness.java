// Runs static methods without parameters, and the start of classes, under the os.arch that the virtual machine was given.
//
// java -Dos.arch=NAME -cp CLASSES Harness ORDERS OUT: ORDERS has lines "FILE LINE CLASS METHOD" apart by tabs; to OUT goes the line
// with "value TEXT" or "error TYPE LINE MESSAGE" behind it. A line is written when its method ends: one that ends the virtual
// machine leaves "began" as the last.

import java.io.*;
import java.lang.reflect.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;

public class Harness {
    public static void main(String[] words) throws Exception {
        PrintStream out = new PrintStream(new FileOutputStream(words[1]), true, StandardCharsets.UTF_8);
        PrintStream nothing = new PrintStream(OutputStream.nullOutputStream());
        System.setOut(nothing);
        System.setErr(nothing);
        for (String line : Files.readAllLines(Path.of(words[0]))) {
            String[] parts = line.split("\t");
            out.println("began\t" + line);
            String file = Path.of(parts[0]).getFileName().toString();
            String said;
            try {
                Class<?> type = Class.forName(parts[2], true, Harness.class.getClassLoader());
                Object value = "";
                if (!parts[3].equals("<clinit>")) {
                    Method method = type.getDeclaredMethod(parts[3]);
                    method.setAccessible(true);
                    value = method.invoke(null);
                }
                said = "value\t" + plain(String.valueOf(value));
            } catch (Throwable error) {
                Throwable cause = error;
                while ((cause instanceof InvocationTargetException || cause instanceof ExceptionInInitializerError)
                    && cause.getCause() != null) cause = cause.getCause();
                int at = 0;
                for (StackTraceElement frame : cause.getStackTrace()) {
                    if (file.equals(frame.getFileName())) {
                        at = frame.getLineNumber();
                        break;
                    }
                }
                said = "error\t" + cause.getClass().getName() + "\t" + at + "\t" + plain(String.valueOf(cause.getMessage()));
            }
            out.println("ended\t" + line + "\t" + said);
        }
        System.exit(0);
    }

    static String plain(String text) {
        String line = text.replace('\t', ' ').replace('\n', ' ').replace('\r', ' ');
        return line.length() > 200 ? line.substring(0, 200) : line;
    }
}
