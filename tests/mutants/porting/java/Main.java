public class Main {
    static class NativeUnavailable extends RuntimeException {
        NativeUnavailable(String text) { super(text); }
    }

    public static void main(String[] words) {
        boolean contracted = words.length > 0;
        try {
            System.loadLibrary("netty_tcnative_linux_" + System.getProperty("os.arch"));
        } catch (LinkageError error) {
            if (!contracted) throw error;
            System.out.println("native transport is unavailable");
        }
    }
}
